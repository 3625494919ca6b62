"""Configurations of a sweep's runs are those that Hydra composes."""

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.errors import ConfigCompositionException
from hydra.types import RunMode
from omegaconf import OmegaConf

from dtd_cli.app.locations import CONF, ExperimentsSearchPath

RUNS = [
    [],
    ["seed=3", "rule=gamma", "rule.gamma=0.5"],
    ["rule.gamma=0.5", "seed=4", "rule=gamma"],
    # The order of values counts, that of options does not.
    ["inputs.n=2", "++inputs.n=3"],
    ["++inputs.n=3", "inputs.n=2"],
    ["rule={name:own}", "seed=5"],
    ["~plots.dpi", "+x.y=[1,2]"],
    ["+input_roots@compare_input_roots.a=closed_form", "inputs=notebook"],
    ["hydra.job.env_copy=[HOME]", "seed=1"],
    ["hydra.job.config.override_dirname.exclude_keys=[seed]", "inputs.n=1", "seed=2"],
    ["hydra.sweep.subdir=${hydra.job.override_dirname}", "seed=2"],
]
WRONG = [["nothing=1"], ["rule=zz"], ["~seed=7"], ["+seed=1"]]


@pytest.fixture(scope="module")
def loader():
    Plugins.instance().register(ExperimentsSearchPath)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield GlobalHydra.instance().config_loader()


@pytest.fixture(scope="module")
def sweep(loader):
    return loader.load_configuration("config", ["hydra.verbose=true", "seed=1,2"], RunMode.MULTIRUN)


@pytest.fixture(scope="module")
def compose(loader, sweep):
    # Not before Hydra has looked for plugins, when it executes its modules anew.
    from dtd_cli.app.composing import composer

    return composer(loader, sweep)


@pytest.mark.parametrize("overrides", RUNS, ids=" ".join)
def test_it_composes_what_hydra_composes(loader, sweep, compose, overrides, request):
    ours = compose(overrides)
    # As the tests of the program have it, with the files merged once, and as Hydra itself does.
    kept = loader.load_sweep_config(sweep, overrides)
    request.getfixturevalue("hydra_as_it_is")
    theirs = loader.load_sweep_config(sweep, overrides)
    assert OmegaConf.to_yaml(kept) == OmegaConf.to_yaml(theirs)
    assert OmegaConf.to_container(ours) == OmegaConf.to_container(theirs)
    assert OmegaConf.is_struct(ours)


@pytest.mark.parametrize("overrides", WRONG, ids=" ".join)
def test_it_refuses_what_hydra_refuses(loader, sweep, compose, overrides, request):
    with pytest.raises(ConfigCompositionException) as ours:
        compose(overrides)
    request.getfixturevalue("hydra_as_it_is")
    with pytest.raises(ConfigCompositionException) as theirs:
        loader.load_sweep_config(sweep, overrides)
    assert str(ours.value) == str(theirs.value)


def test_runs_share_nothing_that_one_of_them_changes(compose):
    first = compose(["seed=1"])
    OmegaConf.update(first, "inputs.n", 99)
    assert compose(["seed=1"]).inputs.n != 99
