"""A sweep and its report, which several files look at; a worker makes them once."""

from __future__ import annotations

import gc
import io
import pickle
import shutil
from dataclasses import replace
from functools import lru_cache

import omegaconf.base
import pytest
from hydra._internal import config_loader_impl, defaults_list
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.defaults_list import Overrides, create_defaults_list
from hydra._internal.hydra import Hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from dtd_cli.app.locations import CONF, EXPERIMENTS
from dtd_cli.report import write_report
from test_cli import dtd_run

SWEEP = [
    "-m", "rule=z+,gamma,zB", "seed=0,1,2", "network.hidden=[5]", "training.epochs=3",
    "inputs.n=3", "progress=false", "report=false", "sweep=tried",
]  # fmt: skip

# A full collection walks through all that PyTorch and pandas hold; a twentieth of the suite's time.
gc.set_threshold(50_000)

# Every run composes its configuration; half of that time goes to the same interpolations, to the
# same overrides and to the same files.
omegaconf.base.parse = lru_cache(1000)(omegaconf.base.parse)
_load, _parse_rule = OmegaConf.load, OverridesParser.parse_rule
# To read it takes an eighth of the time of a deep copy.
_loaded = lru_cache(1000)(lambda text: pickle.dumps(_load(io.StringIO(text))))
_parsed = lru_cache(1000)(lambda text: _parse_rule(OverridesParser.create(), text, "override"))


def _copied(file):
    """What a file holds, by its text, for a reader who may change it."""
    return pickle.loads(_loaded(file.read())) if hasattr(file, "read") else _load(file)


def _copied_rule(self, text, rule_name):
    """What an override says, by its text; who parses it adds where its options come from."""
    return replace(_parsed(text)) if rule_name == "override" else _parse_rule(self, text, rule_name)


OmegaConf.load = staticmethod(_copied)
OverridesParser.parse_rule = _copied_rule

_get_mode = Hydra.get_mode


def _mode(self, config_name, overrides):
    """What ``hydra.mode`` is. Hydra composes the configuration once more to know it."""
    # Experiments and the command line alone set it.
    may_be_set = any("hydra.mode" in o or "experiment=" in o for o in overrides)
    return _get_mode(self, config_name, overrides) if may_be_set else None


Hydra.get_mode = _mode

# What Hydra merges from files is the same for all runs that choose the same options, and was most
# of what composing took.
_lists, _merges = create_defaults_list, ConfigLoaderImpl._compose_config_from_defaults_list
_SOURCES = {("pkg", "hydra.conf"), ("file", str(CONF)), ("file", str(EXPERIMENTS)),
            ("structured", "")}  # fmt: skip
_kept: dict = {}


def _keeps(repo):
    """Whether options come from the checkout and Hydra alone; what a test writes may change."""
    return {(source.scheme(), source.path) for source in repo.get_sources()} == _SOURCES


def _listed(repo, config_name, overrides_list, **how):
    """The files that overrides choose, listed once; the values are put beside them."""
    if not _keeps(repo):
        return _lists(repo, config_name, overrides_list, **how)
    values = Overrides(repo, overrides_list).config_overrides
    choices = [override for override in overrides_list if override not in values]
    key = (config_name, *(override.input_line for override in choices), *how.items())
    if key not in _kept:
        _kept[key] = _lists(repo, config_name, choices, **how)
    return replace(_kept[key], config_overrides=values)


def _merged(self, defaults, repo):
    """What is in these files, merged once, for a reader who may change it."""
    if not _keeps(repo):
        return _merges(self, defaults, repo)
    key = tuple((file.config_path, file.package, file.primary) for file in defaults)
    if key not in _kept:
        _kept[key] = pickle.dumps(_merges(self, defaults, repo))
    return pickle.loads(_kept[key])


_interpolation_map = defaults_list._create_interpolation_map


def _map_where_asked(overrides, defaults, self_added):
    """What the names of files may refer to; Hydra makes it for every file, also where none does."""
    if any(default.is_interpolation() for default in defaults):
        return _interpolation_map(overrides, defaults, self_added)
    return None


defaults_list._create_interpolation_map = _map_where_asked
config_loader_impl.create_defaults_list = _listed
ConfigLoaderImpl._compose_config_from_defaults_list = _merged


@pytest.fixture
def hydra_as_it_is(monkeypatch):
    """Hydra lists and merges all files for every configuration."""
    monkeypatch.setattr(config_loader_impl, "create_defaults_list", _lists)
    monkeypatch.setattr(ConfigLoaderImpl, "_compose_config_from_defaults_list", _merges)


@pytest.fixture
def no_pictures(monkeypatch):
    """Reports have none; they are most of what a report costs."""
    monkeypatch.setattr("dtd_cli.report.story._pictures", lambda *_: ())


@pytest.fixture(scope="session")
def swept(tmp_path_factory):
    """A real sweep: rule=zB is for the input layer only, so these three runs fail."""
    folder = tmp_path_factory.mktemp("swept")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert dtd_run(patch, *SWEEP) == 2
    return folder / "outputs" / "sweeps" / "tried"


@pytest.fixture(scope="session")
def reported(swept, tmp_path_factory):
    """The sweep with its report; not to be changed."""
    sweep = shutil.copytree(swept, tmp_path_factory.mktemp("reported") / "sweep")
    assert write_report(sweep, progress=False) == sweep / "report" / "index.html"
    return sweep
