"""ONNX files: read as ``torch`` computes them, or refused in one line."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.nn import functional as F

import dtd
from test_cli import dtd_run

DRAWN = np.random.default_rng(5)


def drawn(*shape, dtype=np.float32):
    return DRAWN.normal(size=shape).astype(dtype)


def node(kind, *weights, first=True, **attributes):
    """An operator of a chain, with the weights that it takes besides the activations."""
    return kind, weights, first, attributes


def chained(shape, *nodes, dtype=np.float32, batch="N", opset=20, **changes):
    """A model whose nodes ``n1``, ``n2``, … each take the output of the one before."""
    tensors, protos, last = [], [], "x"
    for index, (kind, weights, first, attributes) in enumerate(nodes, 1):
        names = [f"w{index}_{place}" for place in range(len(weights))]
        pairs = zip(weights, names, strict=True)
        tensors += [numpy_helper.from_array(np.asarray(one), name) for one, name in pairs]
        inputs = [last, *names] if first else [*names, last]
        protos.append(helper.make_node(kind, inputs, [f"h{index}"], f"n{index}", **attributes))
        last = f"h{index}"
    return model([batch, *shape], protos, tensors, last, dtype, opset, **changes)


def model(shape, nodes, tensors, output, dtype=np.float32, opset=20, inputs=(), domains=()):
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    taken = [helper.make_tensor_value_info("x", kind, shape), *inputs]
    given = [helper.make_tensor_value_info(output, kind, None)]
    graph = helper.make_graph(nodes, "g", taken, given, tensors)
    versions = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    return helper.make_model(graph, opset_imports=versions, ir_version=8)


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def loaded(made, **settings):
    onnx.save(made, "net.onnx", **settings)
    return dtd.load("net.onnx")


W, B, V = drawn(4, 6), drawn(6), drawn(5, 6)
KERNEL, BIAS = drawn(4, 2, 3, 3), drawn(4)
PAIRS = drawn(6, 2, 3, 2)
NORM = (drawn(4), drawn(4), drawn(4), np.abs(drawn(4)) + 0.1)  # scale, bias, mean, variance
OUT, POINT, COLUMN = drawn(3, 72), drawn(4, 1, 1), drawn(9, 1)
IMAGE = (2, 9, 8)
SOME = node("Conv", KERNEL), node("Relu")


def tensors(*arrays):
    return [torch.from_numpy(np.asarray(array)).double() for array in arrays]


def some(x):
    return F.conv2d(x, *tensors(KERNEL)).relu()


def dense(x):
    w, b, v, c = tensors(W, B, V, V[:, 0])
    h = (2 * x @ w + 0.5 * b).relu()
    return h @ v.T + c


def lenet(x):
    k, b, p, scale, bias, mean, variance, out = tensors(KERNEL, BIAS, PAIRS, *NORM, OUT)
    h = F.conv2d(x, k, b, stride=(2, 1), padding=(0, 1), dilation=(1, 2))
    h = F.max_pool2d(F.batch_norm(h, mean, variance, scale, bias, eps=0.3).relu(), 2, 1, 1)
    h = F.conv2d(h, p, padding=(1, 0), groups=2).relu()
    return F.avg_pool2d(h, (2, 1)).flatten(1) @ out.T


FILES = {
    "dense": (lambda: chained(
        (4,), node("Identity"), node("Gemm", W, B, alpha=2.0, beta=0.5), node("Relu"),
        node("Dropout", np.float32(0.4)), node("Gemm", V, transB=1),
        node("Add", V[:, 0], first=False)), dense, [(4,), (6,), (5,)]),
    "dense, oldest": (lambda: chained(
        (4,), node("Gemm", W, B, alpha=2.0, beta=0.5), node("Relu"), node("Dropout", ratio=0.4),
        node("MatMul", V.T), node("Add", V[:, 0][None]), opset=7, batch=1), dense,
        [(4,), (6,), (5,)]),
    "double": (lambda: chained((4,), node("MatMul", W.astype(float)), dtype=float),
               lambda x: x @ tensors(W)[0], [(4,), (6,)]),
    "a scalar is added": (lambda: chained((4,), node("Gemm", W, np.float32(3))),
                          lambda x: x @ tensors(W)[0] + 3, [(4,), (6,)]),
    "added to inputs and behind a ReLU": (lambda: chained(
        IMAGE, node("Add", COLUMN), *SOME, node("Add", POINT)),
        lambda x: some(x + tensors(COLUMN)[0]) + tensors(POINT)[0], [IMAGE, (4, 7, 6), (4, 7, 6)]),
    "convolutions": (lambda: chained(
        IMAGE, node("Conv", KERNEL, BIAS, strides=[2, 1], pads=[0, 1, 0, 1], dilations=[1, 2]),
        node("BatchNormalization", *NORM, epsilon=0.3), node("Relu"),
        node("MaxPool", kernel_shape=[2, 2], pads=[1, 1, 1, 1]),
        node("Conv", PAIRS, pads=[1, 0, 1, 0], group=2, kernel_shape=[3, 2]), node("Relu"),
        node("AveragePool", kernel_shape=[2, 1], strides=[2, 1]), node("Flatten"),
        node("Gemm", OUT, transB=1)), lenet,
        [IMAGE, (4, 4, 6), (4, 5, 7), (6, 5, 6), (6, 2, 6), (3,)]),
    "same": (lambda: chained(
        IMAGE, node("Conv", KERNEL, auto_pad="SAME_UPPER", strides=[2, 1]), node("Relu"),
        node("MaxPool", kernel_shape=[2, 2], auto_pad="VALID")),
        lambda x: F.max_pool2d(
            F.conv2d(x, *tensors(KERNEL), stride=(2, 1), padding=1).relu(), 2, 1),
        [IMAGE, (4, 5, 8), (4, 4, 7)]),
    "padding counts": (lambda: chained(
        IMAGE, *SOME, node("AveragePool", kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1)),
        lambda x: F.avg_pool2d(some(x), 3, 1, 1), [IMAGE, (4, 7, 6), (4, 7, 6)]),
    "windows up to the edge": (lambda: chained(
        IMAGE, *SOME, node("MaxPool", kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1)),
        lambda x: F.max_pool2d(some(x), (3, 2), 2), [IMAGE, (4, 7, 6), (4, 3, 3)]),
    "means of all": (lambda: chained(
        IMAGE, *SOME, node("GlobalAveragePool"), node("Reshape", np.array([0, -1]))),
        lambda x: some(x).mean((2, 3)), [IMAGE, (4, 7, 6), (4, 1, 1)]),
    "means of all, without their places": (lambda: chained(
        IMAGE, *SOME, node("ReduceMean", np.array([-1, 2]), keepdims=0), node("MatMul", W)),
        lambda x: some(x).mean((2, 3)) @ tensors(W)[0], [IMAGE, (4, 7, 6), (4, 1, 1), (6,)]),
    "means of all, oldest": (lambda: chained(
        IMAGE, *SOME, node("ReduceMean", axes=[2, 3]), opset=7),
        lambda x: some(x).mean((2, 3)), [IMAGE, (4, 7, 6), (4, 1, 1)]),
    "reshaped": (lambda: chained(
        (144,), node("Reshape", np.array([-1, 2, 9, 8])), *SOME, node("Flatten", axis=-3)),
        lambda x: some(x.view(-1, *IMAGE)), [IMAGE, (4, 7, 6)]),
    "lines": (lambda: chained(
        (2, 9), node("Conv", KERNEL[..., 0], BIAS, pads=[1, 1]), node("Relu"),
        node("MaxPool", kernel_shape=[2], strides=[2])),
        lambda x: F.max_pool1d(
            F.conv1d(x, *tensors(KERNEL[..., 0], BIAS), padding=1).relu(), 2),
        [(2, 9), (4, 9), (4, 4)]),
}  # fmt: skip


@pytest.mark.parametrize(("make", "expected", "shapes"), FILES.values(), ids=FILES)
def test_a_file_is_read_as_torch_computes_it(make, expected, shapes):
    network = loaded(make())
    assert list(network.shapes) == shapes
    given = make().graph.input[0].type.tensor_type.shape.dim[1:]
    x = torch.randn(5, *(dim.dim_value for dim in given), dtype=torch.float64)
    want = expected(x).flatten(1)
    got = network.to(torch.float64).forward(x.flatten(1))
    torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-6 * float(want.abs().max()))


def test_an_explanation():
    network = loaded(FILES["convolutions"][0]())
    x = torch.rand(2, *IMAGE)
    result = dtd.DTD(network, method="train_free").explain(x)
    assert result.attribution.shape == x.shape
    assert result.f.double().tolist() == pytest.approx(lenet(x.double()).amax(1).tolist(), 1e-6)


def constants():
    """Weights from nodes, under a second name, and among the inputs as in old files."""
    kind = helper.np_dtype_to_tensor_dtype(W.dtype)
    return model(
        ["N", 4],
        [
            helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(W)),
            helper.make_node("Constant", [], ["one"], value_float=1.0),
            helper.make_node("Identity", ["v"], ["again"]),
            helper.make_node("Gemm", ["x", "w", "one"], ["h"]),
            helper.make_node("Relu", ["h"], ["a"]),
            helper.make_node("Gemm", ["a", "again"], ["y"], transB=1),
        ],
        [numpy_helper.from_array(V, "v")],
        "y",
        inputs=[helper.make_tensor_value_info("v", kind, V.shape)],
    )


def test_where_weights_may_stand():
    x = torch.randn(5, 4, dtype=torch.float64)
    w, v = tensors(W, V)
    got = loaded(constants()).to(torch.float64).forward(x)
    torch.testing.assert_close(got, (x @ w + 1).relu() @ v.T, rtol=1e-6, atol=1e-6)


def test_the_full_name_of_the_domain():
    made = FILES["lines"][0]()
    for one in (*made.opset_import, *made.graph.node):
        one.domain = "ai.onnx"
    assert loaded(made).depth == 2


BESIDE = {"save_as_external_data": True, "location": "net.data", "size_threshold": 0}


def test_weights_beside_the_file():
    made = FILES["dense"][0]()
    want = loaded(made).state_dict()
    again = loaded(made, **BESIDE)
    assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in want.items())
    assert Path("net.data").exists()


def other_file(location, **more):
    """A file whose first weight lies at a location."""
    made = FILES["dense"][0]()
    onnx.save(made, "net.onnx", **BESIDE)
    made = onnx.load("net.onnx", load_external_data=False)
    for entry in made.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = location
        if entry.key in more:
            entry.value = more[entry.key]
    Path("net.onnx").write_bytes(made.SerializeToString())


def linked():
    other_file("link.data")
    Path("link.data").symlink_to(Path("net.data").absolute())


def outside():
    Path("sub").mkdir()
    other_file("../net.data")
    Path("net.onnx").rename("sub/net.onnx")
    Path("net.onnx").symlink_to("sub/net.onnx")


def with_shape(*shape):
    return lambda: model(list(shape), *wired(("Conv", ["x", "w"], ["y"])), "y")


def wired(*nodes, weight=KERNEL):
    protos = [helper.make_node(*n[:3], f"n{i}", **dict(n[3:])) for i, n in enumerate(nodes, 1)]
    return protos, [numpy_helper.from_array(weight, "w")]


def square(*nodes, output="y", **more):
    """Nodes of vectors of six, with a matrix ``w``."""
    return lambda: model(["N", 6], *wired(*nodes, weight=SQUARE), output, **more)


SQUARE = drawn(6, 6)
GEMM = "Gemm", ["x", "w"], ["h"]
BEHIND = "Gemm", ["h", "w"], ["y"]


def behind(*nodes, **more):
    """Nodes behind a convolution and a ReLU."""
    return lambda: chained(IMAGE, *SOME, *nodes, **more)


def pool(**attributes):
    return node("MaxPool", **({"kernel_shape": [2, 2]} | attributes))


def indices():
    made = behind(pool())()
    made.graph.node[-1].output.append("indices")
    return made


def two_outputs():
    made = square(GEMM, BEHIND)()
    made.graph.output.append(helper.make_tensor_value_info("h", TensorProto.FLOAT, ["N", 6]))
    return made


def large(kind):
    """Very many nodes or weights."""
    made = square(GEMM)()
    getattr(made.graph, kind).extend(10_000 * list(getattr(made.graph, kind)))
    return made


def half(made):
    return made.SerializeToString()[: made.ByteSize() // 2]


FIRST = FILES["dense"][0]
REFUSED = {
    # No such file.
    "missing": (lambda: None, "no such file"),
    "empty": (lambda: b"", "no whole ONNX file"),
    "text": (lambda: b"weights, biases\n1,2\n", "no whole ONNX file"),
    "half": (lambda: half(FIRST()), "no whole ONNX file"),
    "no graph": (lambda: helper.make_model(onnx.GraphProto(name="g")), "its graph is empty"),
    "many nodes": (lambda: large("node"), "10001 nodes or weights; allowed are 10000"),
    "many weights": (lambda: large("initializer"), "10001 nodes or weights"),
    "opset": (lambda: chained((4,), node("Gemm", W), opset=6), "opset is 6; allowed is .* 7 to"),
    "future": (lambda: chained((4,), node("Gemm", W), opset=99), "its opset is 99"),
    # Inputs and outputs.
    "height": (with_shape("N", 2, "height", 8), r"x is \[N, 2, height, 8\]; .*known sizes"),
    "no rank": (lambda: model(None, *wired(GEMM), "h"), r"x is \[\?\]; .*known sizes"),
    "batch of eight": (with_shape(8, *IMAGE), r"x is \[8, 2, 9, 8\]; allowed is a batch of one"),
    "large inputs": (with_shape("N", 2, 10**6, 10**6), "allowed are 67108864 inputs"),
    "two inputs": (square(GEMM, inputs=[helper.make_tensor_value_info("z", 1, [1])], output="h"),
                   r"has 2 inputs \(x, z\)"),
    "two outputs": (two_outputs, r"has 2 outputs \(y, h\)"),
    "another output": (square(GEMM, BEHIND, output="h"),
                       r"its output is the output of node n1 \(Gemm\); allowed is .* last"),
    "half precision": (lambda: chained((4,), node("Gemm", W.astype(np.float16)), dtype=np.float16),
                       "w1_0 has the type FLOAT16; .*convert"),
    "halves go in": (lambda: chained((4,), node("Gemm", W), dtype=np.float16),
                     "its input x has the type FLOAT16"),
    "NaN": (lambda: chained((4,), node("Gemm", W * np.nan)), r"node n1 \(Gemm\): .*NaN"),
    # Weights that lie elsewhere.
    "outside": (outside, "of w2_0 cannot be read|of w[0-9]_0 cannot be read"),
    "absolute": (lambda: other_file("/etc/hostname"), "cannot be read .*in the file"),
    "link": (linked, "cannot be read"),
    "absent": (lambda: other_file("none.data"), "cannot be read"),
    "too long": (lambda: other_file("net.data", length="99999999999"), "cannot be read"),
    # The graph is no chain.
    "residual": (square(GEMM, ("Relu", ["h"], ["r"]), ("Gemm", ["r", "w"], ["g"]),
                        ("Add", ["g", "r"], ["y"])),
                 r"node n4 \(Add\): it takes the output of node n3 \(Gemm\) and the output of "
                 r"node n2 \(Relu\), which is a branch"),
    "twice": (square(GEMM, ("Add", ["h", "h"], ["y"])), r"n2 \(Add\): .*a branch"),
    "the input again": (square(GEMM, ("Gemm", ["x", "w"], ["y"])),
                        "n2 .* takes the input, .*branch"),
    "out of order": (square(BEHIND, GEMM), r"n1 \(Gemm\): it takes h, which nothing before it"),
    "no weight": (square(("Gemm", ["x", "v"], ["y"])), "n1 .* takes v, which nothing before it"),
    "constants alone": (square(("Relu", ["w"], ["y"])), "n1 .* takes constants alone"),
    "weight first": (lambda: chained((4,), node("MatMul", W.T, first=False)), "n1 .*first input"),
    "no layer": (square(("Identity", ["x"], ["y"])), "it has no layer with weights"),
    "ReLU of the input": (square(("Relu", ["x"], ["y"])), "n1 .*before the first affine layer"),
    "too many inputs": (square(("Gemm", ["x", "w", "w", "w"], ["y"])), "no node that ONNX allows"),
    # Operators.
    "tanh": (behind(node("Tanh")), r"node n3 \(Tanh\): it is no operator .*; allowed are Gemm, "),
    "softmax": (behind(node("Softmax")), r"node n3 \(Softmax\): .*; if it is the output, leave it"),
    "If": (square(("If", ["x"], ["y"], ("then_branch", onnx.GraphProto(name="t")),
                   ("else_branch", onnx.GraphProto(name="e")))),
           r"node n1 \(If\): it is no operator"),
    "another domain": (square(("Gemm", ["x", "w"], ["y"], ("domain", "com.own")),
                              domains=["com.own"]), r"n1 \(Gemm\): .* operator of com\.own"),
    "unknown attribute": (behind(pool(own=3)), "n3 .*no node that ONNX allows: .*own"),
    # Attributes, inputs and shapes.
    "transA": (lambda: chained((4,), node("Gemm", W, transA=1)), "n1 .*transA is 1"),
    "bias": (lambda: chained((4,), node("Gemm", W, B[:5])), r"n1 .*bias is of shape \(5,\)"),
    "vector": (lambda: chained((4,), node("MatMul", W[:, 0])), r"weight is of shape \(4,\)"),
    "other width": (lambda: chained((5,), node("Gemm", W)), "takes 4 inputs, and .* gives 5"),
    "images": (behind(node("MatMul", W)), "n3 .* takes 4 inputs, and .* gives 4x7x6"),
    "channels": (lambda: chained((3, 9, 8), SOME[0]), r"n1 \(Conv\)"),
    "one side": (behind(pool(pads=[0, 0, 1, 1])), r"its pads is \[0, 0, 1, 1\]"),
    "same of even": (behind(pool(auto_pad="SAME_LOWER")), "pads one side more"),
    "own padding": (behind(pool(auto_pad="OWN")), "its auto_pad is OWN"),
    "rounded up": (behind(pool(strides=[2, 3], ceil_mode=1)), "its ceil_mode is True"),
    "no stride": (behind(pool(strides=[0, 1])), r"its stride is \(0, 1\)"),
    "one stride": (behind(pool(strides=[2])), r"its stride is \(2,\)"),
    "window": (behind(pool(kernel_shape=[9, 2])), r"its window is \(9, 2\)"),
    "wide padding": (behind(pool(kernel_shape=[2, 2], pads=[10**5] * 4)), "at most 67108864 units"),
    "indices": (indices, r"n3 \(MaxPool\): it has several outputs"),
    "kernel": (lambda: chained(IMAGE, node("Conv", KERNEL, kernel_shape=[2, 3])),
               r"kernel_shape is \(2, 3\)"),
    "border": (behind(node("AveragePool", kernel_shape=[3, 3], pads=[1] * 4)), "count_include_pad"),
    "mean of some": (behind(node("ReduceMean", np.array([3]))), r"its axes is \[3\]"),
    "mean of all": (behind(node("ReduceMean")), r"its axes is \[\]"),
    "training": (behind(node("BatchNormalization", *NORM, training_mode=1)), "training_mode is 1"),
    "statistics": (behind(node("BatchNormalization", *(part[:3] for part in NORM))),
                   "a number for each of 4 channels"),
    "dropping": (behind(node("Dropout", np.float32(0.5), np.array(True))), "training_mode is True"),
    "axis": (behind(node("Flatten", axis=2)), "its axis is 2"),
    "shape": (behind(node("Reshape", np.array([4, -1]))), r"its shape is \[4, -1\]"),
    "zero": (behind(node("Reshape", np.array([0, -1]), allowzero=1)), r"its shape is \[0, -1\]"),
    "not all": (behind(node("Reshape", np.array([1, 100]))), r"its shape is \[1, 100\]"),
    "negative maximum": (lambda: chained(IMAGE, SOME[0], pool()), "may be negative"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "said"), REFUSED.values(), ids=REFUSED)
def test_files_that_cannot_be(make, said):
    made = make()
    if isinstance(made, onnx.ModelProto):
        made = made.SerializeToString()
    if made is not None:
        Path("net.onnx").write_bytes(made)
    with pytest.raises(dtd.InvalidSetting, match=f"^path=net.onnx: .*({said})") as caught:
        dtd.load("net.onnx")
    assert len(str(caught.value)) < 400


def test_a_file_that_may_not_be_read(monkeypatch):
    Path("net.onnx").write_bytes(FIRST().SerializeToString())

    def denied(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "read_bytes", denied)
    said = "^path=net.onnx: Permission denied; allowed is an ONNX file that can be read$"
    with pytest.raises(dtd.InvalidSetting, match=said):
        dtd.load("net.onnx")


def test_the_evaluator_has_the_last_word(monkeypatch):
    from dtd.networks.onnx import operators

    monkeypatch.setitem(operators.OPERATORS, "Relu", operators.OPERATORS["Identity"])
    with pytest.raises(dtd.InvalidSetting, match=r"n2 \(Relu\): its output is not what"):
        loaded(chained((4,), node("Gemm", W), node("Relu"), node("Gemm", V, transB=1)))


def test_arguments_beside_the_file():
    network = loaded(FIRST())
    assert not network.layers[-1].relu
    assert dtd.load("net.onnx", output_relu=True).layers[-1].relu
    with pytest.raises(dtd.InvalidSetting, match=r"^output_relu=1: "):
        dtd.load("net.onnx", output_relu=1)
    with pytest.raises(dtd.InvalidSetting, match=r"^layers=.*an ONNX file says them"):
        dtd.load("net.onnx", layers=["a"])


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(dtd.InvalidSetting, match=r"path=net.onnx: .*pip install 'dtd-run\[onnx\]'"):
        dtd.load("net.onnx")


def test_from_the_command_line(monkeypatch, capfd):
    onnx.save(FIRST(), "net.onnx")
    rows = drawn(3, 4)
    pd.DataFrame(rows, columns=list("abcd")).to_csv("rows.csv", index=False)
    given = ["network.path=net.onnx", "training=none", "inputs=csv", "inputs.path=rows.csv",
             "plots=none", "progress=false", "hydra.run.dir=run"]  # fmt: skip
    assert dtd_run(monkeypatch, "network=onnx", *given) == 0
    f = dense(tensors(rows)[0]).amax(1).tolist()
    assert pd.read_csv("run/inputs.csv")["f"].tolist() == pytest.approx(f, rel=1e-5)
    assert len(json.loads(Path("run/environment.json").read_text())["network_sha256"]) == 64
    capfd.readouterr()
    assert dtd_run(monkeypatch, "network=file", *given) == 2
    said = "network.path=net.onnx: an ONNX file; take network=onnx"
    assert capfd.readouterr().err == f"dtd-run: {said}\n"


def test_images_of_the_size_of_the_data(monkeypatch, capfd):
    """Where axes are dynamic. What cannot be is one line."""
    made = chained(IMAGE, *SOME, node("Flatten"), node("Gemm", drawn(3, 168), transB=1))
    shape = made.graph.input[0].type.tensor_type.shape
    for axis, name in ((2, "height"), (3, "width")):
        shape.dim[axis].dim_param = name
    onnx.save(made, "net.onnx")
    rows = torch.rand(2, *IMAGE, generator=torch.Generator().manual_seed(0))
    pd.DataFrame(rows.flatten(1).numpy()).add_prefix("p").to_csv("rows.csv", index=False)
    given = ["network=onnx", "network.path=net.onnx", "training=none", "inputs=csv",
             "inputs.path=rows.csv", "plots=none", "progress=false", "hydra.run.dir=run",
             "relevance.methods=[train_free]"]  # fmt: skip
    assert dtd_run(monkeypatch, *given, "inputs.image=[2,9,8]") == 0
    net = dtd.load("net.onnx", input_shape=IMAGE)
    f = net.forward(rows.flatten(1)).amax(1).tolist()
    assert pd.read_csv("run/inputs.csv")["f"].tolist() == pytest.approx(f, rel=1e-5)
    capfd.readouterr()
    for image, said in (
        ([], "its height and width are dynamic axes, and the data are 144 numbers and no images"),
        (["inputs.image=[12,12]"], "with the data's images of 1 x 12 x 12: its input x is"),
        (["inputs.image=[2,6,12]"], "with the data's images of 2 x 6 x 12: node "),
    ):
        assert dtd_run(monkeypatch, *given, *image) == 2
        (line,) = capfd.readouterr().err.splitlines()
        assert line.startswith(f"dtd-run: network.path=net.onnx: {said}")
    with pytest.raises(dtd.InvalidSetting, match="input_shape=zero: allowed are the sizes"):
        dtd.load("net.onnx", input_shape="zero")
    onnx.save(chained(IMAGE, *SOME), "told.onnx")
    with pytest.raises(dtd.InvalidSetting, match=r"\[N, 2, 9, 8\], which takes no .* 2 x 8 x 9"):
        dtd.load("told.onnx", input_shape=(2, 8, 9))
    with pytest.raises(dtd.InvalidSetting, match=r"\[N, 2, height, width\].*give input_shape="):
        dtd.load("net.onnx")


def test_an_identity_has_the_weights_beside_the_file():
    from dtd_cli.networks.onnx import Onnx

    found = set()
    for change in range(2):
        # The path is another one, because a file is read once in a process.
        onnx.save(chained((4,), node("Gemm", W + change)), f"net{change}.onnx", **BESIDE)
        found.add(Onnx(f"net{change}.onnx").sources["network.path"])
        Path("net.data").unlink()
    padded = (chained(IMAGE, SOME[0], node("Relu"), pool(strides=s)) for s in ([2, 4], [2, 5]))
    for index, made in enumerate(padded):
        onnx.save(made, f"pooled{index}.onnx")
        found.add(Onnx(f"pooled{index}.onnx").sources["network.path"])
    assert len(found) == 4
