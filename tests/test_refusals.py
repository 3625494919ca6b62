"""Wrong arguments, and numbers at the edge of their type: one line says why, or it works."""

from __future__ import annotations

import math
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import dtd
from cases import positive_input, random_network
from dtd.networks.network import Layer
from dtd.relevance.cost import every_root
from dtd.relevance.series.taylor import Taylor
from dtd.roots import ROOT_FINDERS
from test_cli import dtd_run
from test_library import SEED, WIDTHS, X, sequential

NAN, INF = math.nan, math.inf


@pytest.fixture(scope="module")
def net():
    return random_network(WIDTHS, SEED, "positive", output_relu=False)


@pytest.fixture(scope="module")
def x():
    return positive_input(4, 3, n=5)


def refused(said):
    """A context that asks for the refusal of an argument, in one line that begins so."""
    return pytest.raises(dtd.InvalidSetting, match=rf"\A{said}.*\Z")


# Numbers that leave the range of the dtype


def scaled(net, size):
    layers = (Layer(layer.weight * size, layer.bias * size, layer.relu) for layer in net.layers)
    return dtd.Network(tuple(layers))


FEW = dtd.roots.Random(candidates=20, steps=5)
SIZES = [(1e-310, 1), (1e-200, 1), (1e-160, 1), (1e160, 1), (1e200, 1), (1e300, 1), (1, 1e-100),
         (1, 1e-60), (1, 1e60), (1, 1e100)]  # fmt: skip


@pytest.mark.parametrize(("of_x", "of_weights"), SIZES)
@pytest.mark.parametrize(
    "settings",
    [{"rule": rule} for rule in dtd.rules.RULES if rule != "zB"]
    + [{"degree": 2}, {"degree": INF}, {"interactions": True}]
    + [{"estimator": dtd.MonteCarlo(paths=100)}]
    + [{"method": method} for method in ("train_free", "gradient_x_input", "simple_taylor")]
    + [{"input_roots": roots} for roots in ("line", "interpolation", "polytope")]
    + [{"input_roots": roots(steps=4)} for roots in (dtd.roots.HitAndRun, dtd.roots.Metropolis)]
    + [{"input_roots": FEW}],
    ids=str,
)
def test_no_relevance_is_nan(net, x, settings, of_x, of_weights):
    explainer = dtd.DTD(scaled(net, of_weights), **settings)
    try:
        result = explainer.explain(x[:2] * of_x, 1)
    except dtd.InvalidSetting as error:
        said = str(error)
    else:
        said = ""
    if said:
        assert said.startswith("x=sample ")
        assert "leaves the range of float64" in said
        return
    numbers = [*result.relevance, *(result.stderr or ()), *(result.interactions or ())]
    assert all(values.isfinite().all() for values in numbers)
    assert result.to_frame()["relevance"].notna().all()
    assert result.ledger_frame().notna().all(axis=None)


def test_which_sample_leaves_the_range(net, x):
    mixed = torch.cat([x[:2], x[1:2] * 1e200, x[2:]])
    assert (net.forward(mixed)[1:3, 1] > 0).all()
    with refused("x=sample 2: the square of an activation of layer 0 leaves the range of float64"):
        dtd.DTD(net).explain(mixed, 1)
    with refused("a=sample 1: the relevance of layer 0"):
        dtd.DTD(net).relevance_function(0, 1)(mixed[1:3])
    with refused("x=sample 2: the activation of layer"):
        dtd.DTD(net).explain(mixed * x.new_tensor([1, 1, 9e107, 1, 1, 1]).unsqueeze(1), 1)


def test_weights_leave_the_range_of_single_precision(net):
    with refused("model=layer 1: its weights are not all finite in float32"):
        dtd.DTD(scaled(net, 1e50), dtype=torch.float32)


def test_a_run_whose_numbers_leave_the_range(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    Path("big.csv").write_text("a,b,c\n1,2,3\n1e200,2e200,1e200\n")
    shell = ["network=mlp", "network.hidden=[5,4]", "network.outputs=2", "network.seed=4",
             "network.output_activation=linear", "network.init=default", "training=none",
             "inputs=csv", "inputs.path=big.csv", "progress=false", "plots=none",
             "hydra.run.dir=run"]  # fmt: skip
    assert dtd_run(monkeypatch, *shell) == 2
    said = capfd.readouterr().err.splitlines()[-1]
    assert said.startswith(
        "dtd-run: inputs: row 1 (the first is 0), column 'b' is 2e+200, the largest of its row: "
        "the square of an activation of layer 0 leaves the range of float64"
    )
    assert "row 1" in Path("run/FAILED").read_text()
    assert not Path("run/DONE").exists()
    assert not list(Path("run").glob("*.csv"))


# Inference mode


def inferred():
    """Settings, and whether a module is given; one explains it, and all in the exhaustive tests."""
    few = dtd.roots.Random(candidates=3, steps=3)
    for settings in (
        {}, {"rule": "w2"}, {"degree": 2}, {"forward_passes": False}, {"interactions": True},
        {"method": "gradient_x_input"}, {"method": "simple_taylor"}, {"input_roots": few},
    ):  # fmt: skip
        long = pytest.mark.exhaustive if settings else ()
        yield pytest.param(settings, False, id=f"{settings}-network")
        yield pytest.param(settings, True, id=f"{settings}-module", marks=long)


@pytest.mark.parametrize(("settings", "module"), [*inferred()])
def test_inference_mode(net, x, settings, module):
    x = x[:2]

    def model():
        return sequential(seed=3, dtype=torch.float64) if module else scaled(net, 1)

    explained = model()
    want = dtd.DTD(explained, **settings).explain(x)
    with torch.inference_mode():
        explainer = dtd.DTD(model(), **settings)
        result = explainer.explain(x.clone())
        assert torch.equal(result.attribution, want.attribution)
    again = explainer.explain(x)
    numbers = [result.x, result.f, *result.relevance, again.attribution, result.ledger[0].remainder]
    assert not any(values.is_inference() for values in numbers)
    assert torch.equal(again.attribution, want.attribution)
    if explainer.method == "recursive":
        a = x.clone().requires_grad_()
        value = explainer.relevance_function(0, 1)(a)
        assert torch.autograd.grad(value.sum(), a)[0].isfinite().all()
        with torch.inference_mode():
            inside = explainer.relevance_function(0, 1)(x.clone())
        torch.testing.assert_close(inside, value.detach(), rtol=1e-12, atol=1e-14)


# The module is never changed


def spectral():
    module = sequential(seed=5)
    for index in (0, 2):
        parametrizations.spectral_norm(module[index])
    return module


def weighted():
    module = sequential(seed=5)
    parametrizations.weight_norm(module[2])
    return module


def counting():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, weight):
            self.calls += 1
            return weight

    module = sequential(seed=5)
    nn.utils.parametrize.register_parametrization(module[0], "weight", Counting())
    return module


@pytest.mark.parametrize("make", [sequential, spectral, weighted, counting])
@pytest.mark.parametrize("training", [True, False])
def test_a_module_stays_as_it_is(x, make, training):
    module = make().train(training)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    if training and make is spectral:
        with refused("model=.*call model.eval.* first"):
            dtd.DTD(module)
    else:
        dtd.DTD(module).explain(x)
    after = module.state_dict()
    assert module.training is training
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_a_module_that_cannot_be_copied():
    module = sequential()
    module.extra = (row for row in module[0].weight)
    with refused("model=Sequential: it cannot be copied"):
        dtd.DTD(module)


# What was computed


@pytest.mark.parametrize(
    "target", [[1, 0], pytest.param([1, 1], marks=pytest.mark.exhaustive)], ids=str
)
def test_degrees_and_interactions_are_those_of_the_frames(net, x, target):
    x = x[:2]
    result = dtd.DTD(net, degree=3, interactions=True).explain(x, target)
    assert result.explained.any()
    frame, matrices = result.to_frame(), result.interactions_frame()
    assert list(matrices.columns) == ["sample", "layer", "i", "k", "relevance"]
    for layer, width in enumerate(WIDTHS[:-1]):
        degrees, interactions = result.degrees[layer], result.interactions[layer]
        assert degrees.shape == (2, 3, width)
        assert interactions.shape == (2, width, width)
        torch.testing.assert_close(degrees.sum(1), result.relevance[layer])
        torch.testing.assert_close(interactions.sum(2), degrees[:, 1])
        rows = frame[frame["layer"] == layer]
        places = rows["sample"].tolist(), (rows["degree"] - 1).tolist(), rows["neuron"].tolist()
        assert torch.equal(degrees[places], x.new_tensor(rows["relevance"].tolist()))
        rows = matrices[matrices["layer"] == layer]
        places = rows["sample"].tolist(), rows["i"].tolist(), rows["k"].tolist()
        assert torch.equal(interactions[places], x.new_tensor(rows["relevance"].tolist()))


def test_what_was_not_computed(net, x):
    plain = dtd.DTD(net).explain(x, 1)
    assert [degrees.shape[1] for degrees in plain.degrees] == [1] * 3
    assert torch.equal(plain.degrees[1].squeeze(1), plain.relevance[1])
    assert plain.interactions is None
    assert plain.interactions_frame().empty
    shallow = random_network((4, 5, 3), SEED)
    assert dtd.DTD(shallow, degree=INF).explain(x, 1).degrees[0].shape == (5, 1, 4)
    assert dtd.DTD(net, method="train_free").explain(x, 1).degrees is None
    assert dtd.DTD(net, estimator="monte_carlo").explain(x, 1).degrees is None


def test_shapes_where_nothing_is_explained(net, x):
    net = net.with_output_relu(True)
    least = net.forward(x).argmin(1)
    estimated = dtd.DTD(net, rule="x", estimator="monte_carlo").explain(x, least)
    assert not estimated.explained.any()
    assert [error.shape for error in estimated.stderr] == [r.shape for r in estimated.relevance]
    exact = dtd.DTD(net, degree=3, interactions=True).explain(x, least)
    assert [degrees.shape for degrees in exact.degrees] == [(5, 3, d) for d in WIDTHS[:-1]]
    assert [matrix.shape for matrix in exact.interactions] == [(5, d, d) for d in WIDTHS[:-1]]
    for numbers in (*estimated.stderr, *exact.degrees, *exact.interactions):
        assert (numbers == 0).all()
    assert exact.stderr is None


# What a degree costs


def visits(widths, degree):
    series = Taylor(degree) if degree > 1 else None
    return sum(every_root((*widths[:-1], 1), [1] * (len(widths) - 1), series))


def test_the_cost_of_degrees():
    """Fifteen seconds for one sample of this network, on one core."""
    assert visits((3, 4, 3, 2), 5) > 1e7
    assert visits((3, 4, 3, 2), 5) < 1e8 < visits((3, 4, 3, 2), 6)
    # The growth that was measured, one layer and two below the last.
    for widths, power in (((3, 4, 2), 1), ((6, 12, 12, 2), 2)):
        growth = visits(widths, 6) / visits(widths, 5)
        assert growth == pytest.approx(4**power, rel=0.05)


@pytest.mark.parametrize("degree", [10, 5000, 10**40])
def test_high_degrees_are_refused(net, x, degree):
    explainer = dtd.DTD(net, degree=degree)
    with refused("max_visits=100000000: the recursion of . samples through 4-6-5-3 would cost"):
        explainer.explain(x, 1)
    with refused("max_visits=100000000"):
        explainer.relevance_function(0, 1)


# Wrong objects

WEIGHT, BIAS = torch.ones(2, 3), torch.ones(2)
LAYERS = {
    "weight=list": ([[1.0]], BIAS),
    "weight=Tensor": (WEIGHT.to_sparse(), BIAS),
    "weight=Tensor: ": (WEIGHT.to("meta"), BIAS.to("meta")),
    "weight=torch.float32 of shape": (torch.ones(2), BIAS),
    "weight=torch.int64": (WEIGHT.long(), BIAS),
    "weight=torch.float32 of shape .0, 3": (torch.ones(0, 3), torch.ones(0)),
    "weight=torch.float32 of shape .2, 0": (torch.ones(2, 0), BIAS),
    "bias=NoneType": (WEIGHT, None),
    "bias=torch.float32 of shape .3": (WEIGHT, torch.ones(3)),
    "bias=torch.float64": (WEIGHT, BIAS.double()),
    "relu=yes": (WEIGHT, BIAS, "yes"),
}


@pytest.mark.parametrize(("said", "parts"), LAYERS.items(), ids=LAYERS)
def test_layers_that_cannot_be(said, parts):
    with refused(said):
        Layer(*parts)


@pytest.mark.parametrize(
    "layers",
    [(), [], None, Layer(WEIGHT, BIAS), [Layer(WEIGHT, BIAS)], (WEIGHT,),
     (Layer(WEIGHT, BIAS), Layer(WEIGHT, BIAS))],
)  # fmt: skip
def test_networks_that_cannot_be(layers):
    with refused("layers"):
        dtd.Network(layers)


ONE = torch.ones(1)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0, 1, "low=int"), (ONE, 1.0, "high=float"), (ONE, torch.ones(2), "high="),
     (ONE.long(), ONE, "low="), (torch.tensor(0.0), torch.tensor(1.0), "low="),
     (ONE.to_sparse(), ONE, "low=")],
)  # fmt: skip
def test_domains_that_cannot_be(low, high, said):
    with refused(said):
        dtd.Domain(low, high)


@pytest.mark.parametrize("low", ["a", [[0, 1]], NAN, 2, [0, 0, 0], [], None, ONE.to_sparse(),
                                 10**400, object, [2] * 40])  # fmt: skip
def test_boxes_that_cannot_be(low):
    with refused("(low|high)="):
        dtd.Domain.box(low, [1, 1])


def without_units():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.Sequential(nn.Linear(4, 0), nn.ReLU(), nn.Linear(0, 2))


def sparse():
    module = sequential()
    module[0].weight = nn.Parameter(module[0].weight.detach().to_sparse())
    return module


CONSTRUCTED = {
    "model=layer": ("model=Sequential|model=0", {"model": without_units}),
    "sparse": ("model=Sequential: it cannot be copied", {"model": sparse}),
    "model_class": ("model=.*give|model=type|model=<class", {"model": lambda: nn.Sequential}),
    "rule_class": (r"rule=ZPlus: give an object: ZPlus\(\)", {"rule": dtd.rules.ZPlus}),
    "roots_class": (r"roots=RandomSearch: give an object: ", {"roots": dtd.roots.Random}),
    "estimator_class": (
        r"estimator=MonteCarlo: give an object: MonteCarlo\(\)", {"estimator": dtd.MonteCarlo}
    ),
    "rule_array": ("rule=", {"rule": np.array(["z+", "w2", "z+"])}),
    "rule_long_array": ("rule=ndarray", {"rule": np.zeros(100)}),
    "rule_dict": ("rule=", {"rule": {}}),
    "rule_empty": ("rule=0 rules", {"rule": []}),
    "domain_array": ("domain=", {"domain": np.zeros(2)}),
    "domain_class": ("domain=", {"domain": dtd.Domain}),
    "domain_empty": ("domain=", {"domain": dtd.Domain(torch.ones(4), torch.zeros(4))}),
    "domain_nan": ("domain=", {"domain": dtd.Domain(torch.full((4,), NAN), torch.ones(4))}),
    "rule_unknown": (
        r"rule=zplus: allowed are z\+, .*, or a dtd.rules object; zB is for the first layer alone",
        {"rule": "zplus"},
    ),
    "zB": ("rule=zB: for the first layer only; allowed is input_rule=zB", {"rule": "zB"}),
    "zB_box": (r"input_rule=zB.*dtd.Domain.box\(low, high\)", {"input_rule": "zB"}),
    "track": ("track=None", {"track": None}),
    "interactions": ("interactions=1: allowed are True and False", {"interactions": 1}),
    "forward_passes": ("forward_passes=no", {"forward_passes": "no"}),
    "degree": ("degree=ndarray|degree=.1", {"degree": np.array([1])}),
    "degree_true": ("degree=True", {"degree": True}),
    "degree_nan": ("degree=nan", {"degree": NAN}),
    "seed": ("seed=", {"seed": np.array([1, 2])}),
    "seed_true": ("seed=True", {"seed": True}),
    "dtype": ("dtype=", {"dtype": np.array([1, 2])}),
    "device": ("device=meta: torch cannot use it here; .*such as cpu", {"device": "meta"}),
    "device_object": ("device=<object object.*: torch cannot use it here", {"device": object()}),
    "max_points": ("max_points=", {"max_points": np.array([1, 2])}),
    "method": ("method=", {"method": np.array(["recursive"])}),
    "dependence": ("root_dependence=", {"root_dependence": None}),
}  # fmt: skip


@pytest.mark.parametrize(("said", "arguments"), CONSTRUCTED.values(), ids=CONSTRUCTED)
def test_explainers_that_cannot_be(net, said, arguments):
    given = {"model": lambda: net} | arguments
    model = given.pop("model")()
    with refused(said) as caught:
        dtd.DTD(model, **given)
    assert pickle.loads(pickle.dumps(caught.value)).allowed == caught.value.allowed


ASKED = {
    "x_sparse": ("x=Tensor", torch.ones(1, 4).to_sparse(), None),
    "x_nested": (
        "x=NestedTensor",
        torch.nested.nested_tensor([torch.ones(4)], layout=torch.jagged),
        None,
    ),
    "x_one": (r"x=shape \(4,\): allowed is \(B, 4\), of one sample or more", [0.5] * 4, None),
    "x_none": ("x=NoneType", None, None),
    "target_long": ("target=ndarray|target=10+: allowed is an output from 0 to 2", X, 10**30),
    "target_text": ("target='1': allowed is one output", X, "1"),
    "target_sparse": ("target=Tensor", X, torch.ones(1).long().to_sparse()),
    "target_meta": ("target=Tensor", X, torch.ones(1, device="meta").long()),
    "target_none": ("target=list", X, [None]),
    "target_nested": ("target=shape", X, [[0], [1]]),
    "pair_arrays": ("target=", X, (np.array([0, 1]), np.array([1, 2]))),
    "pair_tensors": ("target=", X, (torch.tensor([0, 1]), torch.tensor([1, 2]))),
    "pair_texts": ("target=", X, ("0", "1")),
    "pair_floats": ("target=", X, (0.0, 1.0)),
    "pair_one": ("target=", X, (1,)),
    "pair_empty": ("target=", X, ()),
    "pair_nan": ("target=", X, (None, NAN)),
}


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize(("said", "x", "target"), ASKED.values(), ids=ASKED)
def test_questions_that_cannot_be(net, said, x, target):
    with refused(said):
        dtd.DTD(net).explain(x, target)


def test_a_sample_outside_the_domain(net):
    x = torch.tensor([[0.5] * 4, [0.5, 0.5, 2, 0.5]])
    explainer = dtd.DTD(net, domain=dtd.Domain.box(torch.zeros(4), torch.ones(4)))
    said = r"it is 2\.0, outside the domain, which is 0\.0 to 1\.0 there; allowed are .*domain"
    with refused(rf"x=sample 1, feature 2: {said}"):
        explainer.explain(x)
    flattening = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
    images = dtd.DTD(flattening, domain=dtd.Domain.box(0, 1))
    with refused(rf"x=sample 1, feature \(1, 0\): {said}"):
        images.explain(x.reshape(2, 2, 2))


def test_a_function_takes_no_sample_too(net):
    function = dtd.DTD(net).relevance_function(0, 1)
    assert function(torch.ones(0, 4).double()).shape == (0, 4)
    with refused(r"a=shape \(4,\): allowed is \(N, 4\)$"):
        function(torch.ones(4))


ODD = [None, "a", [0], (0,), 1.0, NAN, True, object(), np.array([0, 1]), 10**30, {}]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: type(odd).__name__)
def test_places_that_there_are_not(net, x, odd):
    explainer = dtd.DTD(net)
    with refused("layer="):
        explainer.root_point(x, odd, 0, 1)
    with refused("unit="):
        explainer.root_point(x, 0, odd, 1)
    with refused("layer="):
        explainer.relevance_function(odd, 1)


FLAGS = [0, 1, "yes", np.array([True, False])]


@pytest.mark.parametrize("flag", FLAGS, ids=str)
def test_flags_are_true_or_false(tmp_path, flag):
    with refused("refine="):
        dtd.roots.Random(refine=flag)
    with refused("output_relu="):
        dtd.load(tmp_path / "net.pt", output_relu=flag)


@pytest.mark.parametrize(
    "kind", [np.int64, np.int8, np.uint8, torch.tensor], ids=lambda k: k.__name__
)
def test_numbers_of_numpy_are_numbers(net, x, kind):
    one, two = kind(1), kind(2)
    explainer = dtd.DTD(net)
    want = explainer.explain(x, 1)
    assert torch.equal(explainer.attribute(x, one), want.attribution)
    assert torch.equal(explainer.attribute(x, (two, one)), explainer.attribute(x, (2, 1)))
    residual = want.root_point(1, 2).residual
    assert torch.equal(want.root_point(one, two).residual.nan_to_num(), residual.nan_to_num())
    a = net.forward(x, 0, 1)
    assert torch.equal(
        explainer.relevance_function(one, one)(a), explainer.relevance_function(1, 1)(a)
    )


@pytest.mark.parametrize("kind", [np.int64, np.int8, np.uint8])
def test_settings_may_be_numbers_of_numpy(x, kind):
    small, x = random_network((4, 4, 3), SEED, "positive", output_relu=False), x[:1]

    def both(of):
        plain, numpys = (dtd.DTD(small, **of(number)).attribute(x, 1) for number in (int, kind))
        assert torch.equal(plain, numpys)

    roots = dtd.roots.Random(candidates=5, steps=5)
    both(lambda number: {
        "degree": number(2), "seed": number(3), "max_points": number(99), "input_roots": roots,
        "interactions": np.bool_(False), "forward_passes": np.bool_(True),
    })  # fmt: skip
    both(lambda number: {"estimator": dtd.MonteCarlo(number(99))})
    with refused("max_visits=2"):
        dtd.DTD(small, max_visits=kind(2)).explain(x, 1)


COUNTS = {
    "random": {"candidates": 20, "steps": 5, "sigma": 0.5}, "line": {"samples": 3},
    "interpolation": {"directions": 4}, "hit_and_run": {"chains": 2, "steps": 3, "warmup": 1},
    "metropolis": {"chains": 2, "steps": 3, "warmup": 1},
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTS)
def test_searches_count_with_numpy(net, x, name):
    kind, counts = ROOT_FINDERS[name], COUNTS[name]
    numpys = {key: np.array(value)[()] for key, value in counts.items()}
    assert all(isinstance(value, np.generic) for value in numpys.values())
    want = dtd.DTD(net, input_roots=kind(**counts)).attribute(x, 1)
    assert torch.equal(dtd.DTD(net, input_roots=kind(**numpys)).attribute(x, 1), want)


# Roots that are prescribed


@pytest.mark.parametrize(
    ("target", "said"),
    [([1.0], "roots=prescribed: its target has 1 numbers; allowed are 4"),
     ([0.0] * 4, "roots=prescribed: its target is all zero")],
)  # fmt: skip
def test_prescribed_roots_name_their_own_argument(net, x, target, said):
    with refused(said):
        dtd.DTD(net, roots=dtd.roots.Prescribed(target)).explain(x[1:2], 1)


# Files

LOADED = {
    "text": lambda path: path.write_text("weights, biases\n1, 2\n"),
    "empty": lambda path: path.write_bytes(b""),
    "zip": lambda path: path.write_bytes(b"PK\x03\x04" + bytes(40)),
    "pickle": lambda path: path.write_bytes(pickle.dumps({"a": 1})),
    "old_pickle": lambda path: path.write_bytes(pickle.dumps([1, 2], protocol=0)),
    "half": lambda path: path.write_bytes(saved(sequential().state_dict(), path)[:900]),
    "bytes": lambda path: path.write_bytes(bytes(range(256))),
    "dot": lambda path: path.write_bytes(b"."),
    "zero": lambda path: path.write_bytes(b"0"),
    "list": lambda path: torch.save([1, 2], path),
    "module": lambda path: torch.save(sequential(), path),
    "array": lambda path: path.write_bytes(np.ones((2, 3)).dumps()),
    "sparse": lambda path: torch.save({"0": torch.ones(2, 3).to_sparse()}, path),
    "meta": lambda path: torch.save({"0": torch.ones(2, 3, device="meta")}, path),
    "no_units": lambda path: torch.save({"0": torch.ones(0, 3)}, path),
    "dtypes": lambda path: torch.save({"0": torch.ones(2, 3), "1": torch.ones(2).double()}, path),
    "numbers": lambda path: torch.save({0: torch.ones(2), 1: torch.ones(2, 2, 2)}, path),
}


def saved(tensors, path):
    torch.save(tensors, path)
    return path.read_bytes()


@pytest.mark.filterwarnings("ignore:Environment variable TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")
@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@pytest.mark.parametrize("write", LOADED.values(), ids=LOADED)
def test_files_that_are_none(tmp_path, write, suffix):
    path = tmp_path / f"net.{suffix}"
    write(path)
    with refused("path=.*net.*allowed") as caught:
        dtd.load(path)
    assert caught.value.argument == "path"


@pytest.mark.parametrize("path", [None, 3, b"net.pt", "", "\0", "a" * 5000, [], object(), "."])
def test_paths_that_are_none(path):
    with refused("path"):
        dtd.load(path)
