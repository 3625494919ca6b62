"""Files of weights as trainers leave them: read as what ``torch`` computes, or refused by name."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import parametrizations

import dtd
from test_cli import dtd_run
from test_library import refused
from test_reading import normalisation


@pytest.fixture(autouse=True)
def _place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        yield


def net():
    return nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2))


def kept(tensors, suffix="pt"):
    path = Path(f"net.{suffix}")
    (save_file if suffix == "safetensors" else torch.save)(tensors, path)
    return path


def assert_reads(path, module, **settings):
    x = torch.randn(20, 3, dtype=torch.float64)
    network = dtd.load(path, output_relu=False, **settings).to(torch.float64)
    want = module.eval().double()(x).detach()
    torch.testing.assert_close(network.forward(x), want, rtol=1e-9, atol=1e-9)


def prefixed(module, prefix):
    return {f"{prefix}{name}": tensor for name, tensor in module.state_dict().items()}


def transposed(module):
    return {name: t.t().contiguous().t() for name, t in module.state_dict().items()}


WRAPPED = {
    "lightning": lambda m: {
        "epoch": 3, "state_dict": prefixed(m, "model."), "hyper_parameters": {"lr": 0.1},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(6, 3)}}, "param_groups": []}]},
    "tutorial": lambda m: {"model_state_dict": m.state_dict(), "loss": torch.tensor(0.3),
                           "optimizer_state_dict": {"state": {0: {"m": torch.ones(2, 2)}}}},
    "model": lambda m: {"model": prefixed(m, "module.")},
    "compiled": lambda m: prefixed(m, "_orig_mod.net."),
    "parameters": lambda m: dict(m.named_parameters()),
    "kept variables": lambda m: m.state_dict(keep_vars=True),
    "strided": transposed,
    "double": lambda m: m.double().state_dict(),
}  # fmt: skip


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_what_trainers_save(wrap):
    module = net()
    assert_reads(kept(wrap(module)), module)
    network = dtd.load("net.pt")
    assert not any(layer.weight.requires_grad for layer in network.layers)


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype, suffix):
    module = net().to(dtype)
    network = dtd.load(kept(module.state_dict(), suffix))
    assert {layer.weight.dtype for layer in network.layers} == {torch.float32}
    assert_reads(f"net.{suffix}", module)


def test_tied_weights():
    layer = nn.Linear(3, 3)
    module = nn.Sequential(layer, nn.ReLU(), layer)
    assert_reads(kept(module.state_dict()), module)


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_normalisation_is_folded(suffix, affine, bias):
    module = nn.Sequential(
        nn.Linear(3, 6, bias), normalisation(6, affine=affine), nn.ReLU(),
        nn.Linear(6, 6, bias), normalisation(6, affine=affine), nn.ReLU(), nn.Linear(6, 2),
    )  # fmt: skip
    assert_reads(kept(module.state_dict(), suffix), module)
    without_counters = {n: t for n, t in module.float().state_dict().items() if "num_" not in n}
    assert_reads(kept(without_counters, suffix), module)


def named(**widths):
    return nn.ModuleDict({name: nn.Linear(*sizes) for name, sizes in widths.items()})


def test_the_order_of_a_torch_file():
    """That of the definition, whatever the alphabet says."""
    layers = named(input=(3, 3), hidden=(3, 3), output=(3, 2))
    module = nn.Sequential(
        layers["input"], nn.ReLU(), layers["hidden"], nn.ReLU(), layers["output"]
    )
    assert_reads(kept(layers.state_dict()), module)
    assert_reads(kept(prefixed(layers, "model."), "safetensors"), module,
                 layers=["input", "hidden", "output"])  # fmt: skip
    assert_reads("net.safetensors", module, layers=("model.input", "model.hidden", "model.output"))
    with refused("path=net.safetensors: it keeps no order.*hidden, input, output.*layers="):
        dtd.load("net.safetensors")


def test_numbers_tell_the_order():
    layers = named(fc9=(3, 3), fc10=(3, 3), fc11=(3, 2))
    module = nn.Sequential(layers.fc9, nn.ReLU(), layers.fc10, nn.ReLU(), layers.fc11)
    assert_reads(kept(layers.state_dict(), "safetensors"), module)
    backwards = {name: layers.state_dict()[name] for name in reversed(layers.state_dict())}
    with refused("path=net.pt: the numbers of its layers are not in order"):
        dtd.load(kept(backwards))
    assert_reads("net.pt", module.float(), layers=["fc9", "fc10", "fc11"])


def test_layers_say_where_a_normalisation_is():
    parts = nn.ModuleDict({"fc1": nn.Linear(3, 6), "bn": normalisation(6), "fc2": nn.Linear(6, 2)})
    module = nn.Sequential(parts.fc1, parts.bn, nn.ReLU(), parts.fc2)
    with refused("path=net.pt: bn.running_mean is in doubt"):
        dtd.load(kept(parts.state_dict()))
    assert_reads("net.pt", module, layers=["fc1", "bn", "fc2"])


@pytest.mark.parametrize(
    "layers", [[], ["0", "2"], ["0", "2", "2", "4"], ["0", "2", "x"], "024", [0, 2, 4], 3, [None]]
)
def test_layers_that_cannot_be(layers):
    kept(net().state_dict())
    with refused("layers=.*allowed is a list of 0, 2, 4"):
        dtd.load("net.pt", layers=layers)


def linear(**more):
    return {
        "0.weight": torch.ones(6, 3),
        **{name.replace("__", "."): t for name, t in more.items()},
    }


ONES = torch.ones(6)
IN_DOUBT = {
    "layer norm": (lambda: nn.Sequential(nn.Linear(3, 6), nn.LayerNorm(6)).state_dict(),
                   r"1\.weight has shape \[6\]"),
    "prelu": (lambda: nn.Sequential(nn.Linear(3, 6, False), nn.PReLU(6)).state_dict(),
              r"1\.weight has shape \[6\]"),
    "recurrent": (lambda: nn.RNN(3, 3, bias=False).state_dict(), "weight_ih_l0.*recurrent"),
    "attention": (lambda: nn.MultiheadAttention(4, 2).state_dict(), "in_proj_weight.*attention"),
    "convolution": (lambda: nn.Conv1d(3, 6, 1).state_dict(), r"weight has shape \[6, 3, 1\]"),
    "bias": (lambda: linear(**{"1__bias": ONES}), r"1\.bias belongs to no weight"),
    "bias size": (lambda: linear(**{"0__bias": torch.ones(5)}), r"0\.bias has shape \[5\]"),
    "scale": (lambda: linear(alpha=ONES), r"alpha of shape \[6\]"),
    "second": (lambda: {"w": torch.ones(6, 3), "b": ONES, "beta": ONES}, "beta is a second bias"),
    "weight norm": (lambda: parametrizations.weight_norm(nn.Linear(3, 2)).state_dict(),
                    r"parametrizations\.weight\.original0 .*weight_norm"),
    "spectral norm": (lambda: parametrizations.spectral_norm(nn.Linear(3, 2)).state_dict(),
                      r"parametrizations\.weight\.original .*spectral_norm"),
    "old weight norm": (lambda: linear(**{"1__weight_g": torch.ones(6, 1)}), r"1\.weight_g"),
    "old spectral norm": (lambda: linear(**{"1__weight_orig": torch.ones(6, 6)}),
                          r"1\.weight_orig .*spectral_norm"),
    "gap": (lambda: nn.Sequential(nn.Linear(3, 6), nn.ReLU(), normalisation(6)).state_dict(),
            r"2\.running_mean is in doubt"),
    "first": (lambda: nn.Sequential(normalisation(3), nn.Linear(3, 2)).state_dict(),
              r"0\.running_mean is in doubt"),
    "statistics": (lambda: linear(**{"1__running_mean": ONES}), r"1\.running_mean stands with"),
    "counter": (lambda: linear(**{"0__num_batches_tracked": torch.tensor(3)}),
                r"0\.num_batches_tracked belongs to no weight"),
    "norm size": (lambda: linear(**{"1__running_mean": torch.ones(5), "1__running_var":
                                    torch.ones(5)}), r"1\.running_mean is for 5 inputs"),
    "chain": (lambda: linear(**{"2__weight": torch.ones(2, 5)}), r"2\.weight is for 5 inputs"),
    "sparse": (lambda: {"0.weight": torch.eye(3).to_sparse()}, r"0\.weight is sparse"),
    "csr": (lambda: {"0.weight": torch.eye(3).to_sparse_csr()}, r"0\.weight is sparse"),
    "float8": (lambda: {"0.weight": torch.eye(3).to(torch.float8_e4m3fn)}, "float8_e4m3fn"),
    "integers": (lambda: {"0.weight": torch.ones(2, 3).int()}, r"0\.weight is of int32"),
    "complex": (lambda: {"0.weight": torch.ones(2, 3) * 1j}, r"0\.weight is of complex64"),
    "quantised": (lambda: {"0.weight": torch.quantize_per_tensor(torch.ones(2, 3), 0.1, 0,
                           torch.qint8)}, r"0\.weight is quantised"),
    "meta": (lambda: {"0.weight": torch.ones(2, 3, device="meta")}, r"0\.weight is on.*meta"),
    "width 0": (lambda: {"0.weight": torch.zeros(2, 0)}, r"0\.weight has shape \[2, 0\]"),
    "two": (lambda: {"model": linear(), "ema": linear()}, "those of model or ema"),
    "other entry": (lambda: linear(epoch=3), "its entry 'epoch' is of the type int"),
    "number": (lambda: {0: torch.ones(2, 3)}, "its entry 0"),
    "nothing": (lambda: {"state_dict": {}}, "entry 'state_dict'"),
    "empty": (dict, "holds no weights"),
    "module": (net, "it holds torch.nn.modules.container.Sequential, which is code"),
    "settings": (lambda: {"state_dict": linear(), "args": Namespace(a=1)}, "argparse.Namespace"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("make", "said"), IN_DOUBT.values(), ids=IN_DOUBT)
def test_what_is_in_doubt_is_refused_by_name(make, said):
    torch.save(make(), "net.pt")
    with refused(f"path=net.pt: .*{said}"):
        dtd.load("net.pt")


def test_names_that_a_file_without_order_needs():
    weights = {"w1": torch.ones(6, 3), "b1": ONES}
    assert dtd.load(kept(weights)).widths == (3, 6)
    with refused(r"path=net.safetensors: b1 of shape \[6\] belongs to no layer"):
        dtd.load(kept(weights, "safetensors"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_code_is_named():
    torch.jit.script(net()).save("net.pt")
    with refused("path=net.pt: it is a TorchScript archive"):
        dtd.load("net.pt")


def table():
    Path("rows.csv").write_text("a,b,c\n3,1,2\n1,1,1\n")
    return ["network=file", "training=none", "inputs=csv", "inputs.path=rows.csv", "plots=none",
            "progress=false", "network.output_activation=linear", "hydra.run.dir=run"]  # fmt: skip


def test_from_the_command_line(monkeypatch, capfd):
    layers = named(input=(3, 3), hidden=(3, 3), output=(3, 2))
    layers["output"].bias.data += 3
    kept(layers.state_dict(), "safetensors")
    given = [*table(), "network.path=net.safetensors"]
    assert dtd_run(monkeypatch, *given) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "network.path=net.safetensors" in line
    assert "network.layers=[…]" in line
    assert dtd_run(monkeypatch, *given, "network.layers=[input,hidden]") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "network.layers=[input,hidden]: allowed is a list of hidden, input, output" in line
    assert dtd_run(monkeypatch, *given, "network.layers=[input,hidden,output]") == 0
    module = nn.Sequential(
        layers["input"], nn.ReLU(), layers["hidden"], nn.ReLU(), layers["output"]
    )
    f = module(torch.tensor([[3.0, 1, 2], [1, 1, 1]])).amax(1).tolist()
    assert pd.read_csv("run/inputs.csv")["f"].tolist() == pytest.approx(f, rel=1e-6)
    assert Path("run/dtd-run.log").read_text().count("a ReLU is assumed") == 1


def test_layers_may_be_numbers(monkeypatch):
    module = net()
    module[4].bias.data += 3
    kept(module.state_dict(), "safetensors")
    given = [*table(), "network.path=net.safetensors", "network.layers=[0,2,4]"]
    assert dtd_run(monkeypatch, *given) == 0
