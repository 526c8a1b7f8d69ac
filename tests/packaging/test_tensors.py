"""ONNX graphs of any origin that take tensors: checked before anything of them runs, proved, packaged."""

import json
import tracemalloc
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from graphs import CLASSES, IMAGE, image_model, mixed_model, model_of, value
from kept.core.errors import CheckFailed, Conflict, Damaged, Forbidden, Invalid
from kept.packaging.bundle import read_bundle
from kept.packaging.manifest import MANIFEST
from kept.packaging.model_folder import FolderFacts, write_model_folder
from kept.packaging.onnx_check import check_onnx
from kept.packaging.onnx_tensors import OnnxTensors
from kept.packaging.runtime import load_runtime
from kept.packaging.signature import Field, Output, Scored, Signature, Tensor
from kept.packaging.tensor_build import graph_signature, package_tensors
from kept.packaging.tensor_runtime import TENSOR_TEST, TensorRuntime
from kept.packaging.tensor_sample import read_sample
from kept.packaging.tensors import Array, batch_of

LOGITS = Scored(output="logits", form="logits")
IMAGES = np.random.default_rng(3).normal(size=(6, *IMAGE)).astype(np.float32)


def images(data: bytes | None = None) -> tuple[bytes, Signature]:
    data = image_model() if data is None else data
    return data, graph_signature(data, where="model.onnx", task="multiclass", classes=CLASSES, scored=LOGITS)


def loaded(folder: Path) -> TensorRuntime:
    runtime = load_runtime(folder)
    assert isinstance(runtime, TensorRuntime)
    return runtime


def one_node(node: Any, *, output: list[int | str] | None = None, initializers: list[TensorProto] | None = None) -> Any:
    graph = helper.make_graph(
        [node],
        "one",
        [value("x", TensorProto.FLOAT, ["rows", 2])],
        [value("y", TensorProto.FLOAT, output or ["rows", 2])],
        initializers or [],
    )
    return model_of(graph)


def external() -> Any:
    weights = numpy_helper.from_array(np.ones((2, 2), dtype=np.float32), "w")
    model = one_node(helper.make_node("MatMul", ["x", "w"], ["y"]), initializers=[weights])
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value="../../../etc/passwd")
    return model


def external_in_a_branch() -> Any:
    weights = external().graph.initializer[0]
    branch = helper.make_graph(
        [helper.make_node("Constant", [], ["z"], value=weights)], "branch", [], [value("z", TensorProto.FLOAT, [2, 2])]
    )
    condition = numpy_helper.from_array(np.array(True), "c")
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    return one_node(node, initializers=[condition])


def foreign_in_a_function() -> Any:
    inner = helper.make_node("Evil", ["a"], ["b"], domain="com.example")
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1), helper.make_opsetid("com.example", 1)]
    function = helper.make_function("own", "F", ["a"], ["b"], [inner], opsets)
    node = helper.make_node("F", ["x"], ["y"], domain="own")
    graph = helper.make_graph(
        [node], "g", [value("x", TensorProto.FLOAT, ["n", 2])], [value("y", TensorProto.FLOAT, ["n", 2])]
    )
    return model_of(graph, opset_imports=opsets, functions=[function])


def giant() -> Any:
    shape = numpy_helper.from_array(np.array([1 << 20, 1 << 20]), "s")
    nodes = [helper.make_node("ConstantOfShape", ["s"], ["big"]), helper.make_node("ReduceMax", ["big"], ["y"])]
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", TensorProto.FLOAT, ["rows", 2])],
        [value("y", TensorProto.FLOAT, [1, 1])],
        [shape],
    )
    return model_of(graph)


def giant_at_the_end() -> Any:
    shape = numpy_helper.from_array(np.array([1 << 15, 1 << 15]), "shape")
    graph = helper.make_graph(
        [helper.make_node("Expand", ["x", "shape"], ["y"])],
        "one",
        [value("x", TensorProto.FLOAT, [1, 1])],
        [value("y", TensorProto.FLOAT, ["rows", "columns"])],
        [shape],
    )
    return model_of(graph)


def training() -> Any:
    model = one_node(helper.make_node("Relu", ["x"], ["y"]))
    model.training_info.add()
    return model


@pytest.mark.parametrize(
    ("make", "kind", "said"),
    [
        (external, Forbidden, "its tensor 'w' is kept in another file"),
        (external_in_a_branch, Forbidden, "is kept in another file"),
        (foreign_in_a_function, Forbidden, "its operator Evil is of the domain 'com.example'"),
        (
            lambda: one_node(helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")),
            Forbidden,
            "operator Gelu is of the domain 'com.microsoft'",
        ),
        (lambda: one_node(helper.make_node("NoSuch", ["x"], ["y"])), Invalid, "it is not valid"),
        (giant, Invalid, "makes a tensor of 1,099,511,627,776 elements"),
        (giant_at_the_end, Invalid, "makes a tensor of 1,073,741,824 elements"),
        (training, Invalid, "it holds a graph for training"),
    ],
)
def test_a_graph_that_should_not_be_read_is_not(make: Callable[[], Any], kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        check_onnx(make().SerializeToString(), where="model.onnx")


@pytest.mark.parametrize("data", [b"", b"\x80\x04N.", b"no graph at all", image_model()[:-40]])
def test_bytes_that_are_no_graph(data: bytes) -> None:
    with pytest.raises(Invalid):
        graph_signature(data, where="model.onnx")


def test_a_graph_of_its_own_functions_of_standard_operators_is_read() -> None:
    inner = helper.make_node("Relu", ["a"], ["b"])
    function = helper.make_function("own", "F", ["a"], ["b"], [inner], [helper.make_opsetid("", 17)])
    node = helper.make_node("F", ["x"], ["y"], domain="own")
    graph = helper.make_graph(
        [node], "g", [value("x", TensorProto.FLOAT, ["n", 2])], [value("y", TensorProto.FLOAT, ["n", 2])]
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    check_onnx(model_of(graph, opset_imports=opsets, functions=[function]).SerializeToString(), where="model.onnx")


def test_the_signature_is_what_the_graph_declares() -> None:
    _, signature = images()
    assert signature.names == ("image",)
    assert signature.inputs[0].tensor == Tensor(element="float32", shape=IMAGE)
    assert [(one.name, one.tensor.shape) for one in signature.outputs] == [("logits", (3,)), ("embedding", (5,))]
    mixed = graph_signature(mixed_model(), where="model.onnx")
    assert mixed.task == "tensors"
    assert {one.name: one.tensor for one in mixed.inputs} == {
        "tokens": Tensor(element="int64", shape=(-1,)),
        "mask": Tensor(element="bool", shape=(-1,)),
        "pixels": Tensor(element="uint8", shape=(2, 2)),
        "offset": Tensor(element="float64"),
    }


def test_a_packaged_graph_answers_as_the_graph_does(tmp_path: Path) -> None:
    data, signature = images()
    manifest = package_tensors(data, signature, tmp_path / "bundle", sample={"image": IMAGES}, latency_runs=5)
    assert manifest.parity.holds
    assert manifest.latency.runs == 5
    assert {one.name for one in manifest.files} == {"model.onnx", TENSOR_TEST, "sbom.cdx.json"}
    runtime = loaded(tmp_path / "bundle")
    wanted = list(ReferenceEvaluator(data).run(None, {"image": IMAGES}))
    found = runtime.answer({"image": IMAGES})
    for array, name in zip(wanted, ("logits", "embedding"), strict=True):
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-5)
    powers = np.exp(wanted[0].astype(float))
    np.testing.assert_allclose(
        runtime.predict_columns({"image": IMAGES.tolist()}), powers / powers.sum(axis=1, keepdims=True), atol=1e-5
    )
    with pytest.raises(Conflict):
        package_tensors(data, signature, tmp_path / "bundle")


def test_a_graph_for_one_row_answers_many(tmp_path: Path) -> None:
    package_tensors(*images(image_model(rows=1)), tmp_path / "one", latency_runs=5)
    package_tensors(*images(), tmp_path / "many", latency_runs=5)
    one, many = (loaded(tmp_path / name).answer({"image": IMAGES}) for name in ("one", "many"))
    np.testing.assert_allclose(one["logits"], many["logits"], rtol=1e-5)


def test_a_graph_whose_rows_hang_together_is_refused(tmp_path: Path) -> None:
    """As batch normalisation that was exported in training mode."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["x", "m"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "g", [value("x", TensorProto.FLOAT, ["rows", 2])], [value("y", TensorProto.FLOAT, ["rows", 2])]
    )
    data = model_of(graph).SerializeToString()
    with pytest.raises(CheckFailed, match="rows alone and together: the answers of 'y' differ") as refused:
        package_tensors(data, graph_signature(data, where="g"), tmp_path / "bundle")
    assert "evaluation mode" in str(refused.value.fix)
    assert not (tmp_path / "bundle").exists()


def test_a_graph_that_answers_otherwise_than_declared_is_refused(tmp_path: Path) -> None:
    data, signature = images()
    expected = list(ReferenceEvaluator(data).run(None, {"image": IMAGES}))[1]
    np.savez(tmp_path / "right.npz", image=IMAGES, embedding=expected)
    np.savez(tmp_path / "wrong.npz", image=IMAGES, embedding=expected + 0.01)
    right, wrong = (read_sample(tmp_path / name, signature) for name in ("right.npz", "wrong.npz"))
    made = package_tensors(
        data, signature, tmp_path / "right", sample=right.inputs, expected=right.expected, latency_runs=5
    )
    assert "declared answers" in {one.name for one in made.parity.groups}
    with pytest.raises(CheckFailed, match="declared answers: the answers of 'embedding' differ by 0.0"):
        package_tensors(data, signature, tmp_path / "wrong", sample=wrong.inputs, expected=wrong.expected)


def test_a_graph_that_is_not_what_it_was_exported_from_is_refused(tmp_path: Path) -> None:
    data, signature = images()
    other = ReferenceEvaluator(image_model(seed=1))
    with pytest.raises(CheckFailed, match="the model it was exported from"):
        package_tensors(
            data, signature, tmp_path / "bundle", reference=lambda batches: list(other.run(None, dict(batches)))
        )


@pytest.mark.parametrize(
    ("scored", "said"),
    [
        (Scored(output="logits", form="probabilities"), "its scores are no probabilities"),
        (Scored(output="embedding", form="logits"), "expected 3 scores for a row, found 5"),
        (Scored(output="nothing", form="logits"), "there is no output 'nothing'"),
        (None, "come from nowhere"),
    ],
)
def test_scores_that_are_none(tmp_path: Path, scored: Scored | None, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        package_tensors(
            image_model(),
            graph_signature(image_model(), where="m", task="multiclass", classes=CLASSES, scored=scored),
            tmp_path / "bundle",
        )


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"image": IMAGES[0]}, "expected the shape"),
        ({"image": IMAGES[:, :1]}, "expected the shape"),
        ({"picture": IMAGES}, "'picture' is neither an input nor an output"),
        ({"embedding": np.zeros((6, 5))}, "no rows for the input 'image'"),
        ({"image": IMAGES, "embedding": np.zeros((5, 5))}, "equally many rows"),
        ({"image": np.array(["a"])}, "expected elements of float32, found text"),
    ],
)
def test_a_sample_that_does_not_fit(tmp_path: Path, arrays: dict[str, Any], said: str) -> None:
    data, signature = images()
    np.savez(tmp_path / "sample.npz", **arrays)
    with pytest.raises(Invalid, match=said):
        package_tensors(
            data, signature, tmp_path / "bundle", sample=read_sample(tmp_path / "sample.npz", signature).inputs
        )


def test_a_sample_of_objects_is_not_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "sample.npz", image=np.array([{"a": 1}], dtype=object))
    with pytest.raises(Invalid, match="it holds no arrays"):
        read_sample(tmp_path / "sample.npz", images()[1])


def test_a_file_that_holds_no_arrays_is_no_sample(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.zeros(3))
    np.savez_compressed(tmp_path / "sample.npz", image=np.arange(1_000.0))
    data = bytearray((tmp_path / "sample.npz").read_bytes())
    data[60:90] = b"\xff" * 30
    (tmp_path / "damaged.npz").write_bytes(data)
    (tmp_path / "empty.npz").write_bytes(b"")
    signature = images()[1]
    for name in ("one.npy", "damaged.npz", "empty.npz"):
        with pytest.raises(Invalid, match="it holds no arrays"):
            read_sample(tmp_path / name, signature)


def test_text_in_a_tensor_is_refused_at_the_cost_of_its_length() -> None:
    field = Field(name="x", kind="tensor", nullable=False, tensor=Tensor(element="float32", shape=(-1,)))
    tracemalloc.start()
    try:
        with pytest.raises(Invalid, match="expected elements of float32, found text"):
            batch_of([["a" * 20_000] + ["b"] * 2_000, [1.0]], field, "inputs")
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_many_rows_are_answered_some_at_a_time(tmp_path: Path) -> None:
    data, signature = images()
    package_tensors(data, signature, tmp_path / "bundle", latency_runs=1)
    asked: list[int] = []

    class Counted(OnnxTensors):
        def run(self, features: Mapping[str, Array]) -> list[Array]:
            asked.append(len(next(iter(features.values()))))
            return super().run(features)

    manifest = loaded(tmp_path / "bundle").manifest
    rows = [(image,) for image in np.random.default_rng(5).normal(size=(150, *IMAGE)).astype(np.float32)]
    found = TensorRuntime(manifest, "", Counted(data, signature)).answer_rows(rows)
    assert asked == [64, 64, 22]
    alone = loaded(tmp_path / "bundle").answer_rows(rows[149:])
    np.testing.assert_allclose(found[149][0], alone[0][0], atol=1e-5)


def test_a_bundle_whose_graph_was_exchanged_does_not_load(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    package_tensors(*images(), folder, latency_runs=5)
    (folder / "model.onnx").write_bytes(image_model(seed=1))
    with pytest.raises(Damaged):
        load_runtime(folder)
    # Even where somebody wrote the digest anew, the self-test tells.
    told = json.loads((folder / MANIFEST).read_bytes())
    (other,) = [one for one in read_other(tmp_path) if one["name"] == "model.onnx"]
    told["files"] = [other if one["name"] == "model.onnx" else one for one in told["files"]]
    (folder / MANIFEST).write_bytes(msgspec.json.encode(told))
    with pytest.raises(Damaged, match="otherwise than where it was packaged"):
        load_runtime(folder)


def read_other(tmp_path: Path) -> list[dict[str, Any]]:
    package_tensors(*images(image_model(seed=1)), tmp_path / "other", latency_runs=5)
    files: list[dict[str, Any]] = json.loads((tmp_path / "other" / MANIFEST).read_bytes())["files"]
    return files


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"kind": "tensor"}, "half a tensor"),
        ({"kind": "number", "nullable": False, "tensor": Tensor(element="int8")}, "half a tensor"),
        ({"kind": "tensor", "tensor": Tensor(element="int8")}, "half a tensor"),
        ({"kind": "tensor", "nullable": False, "tensor": Tensor(element="int8"), "name": 'a"b'}, "cannot be the name"),
    ],
)
def test_fields_that_are_no_tensors(more: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        Field(**({"name": "x"} | more))


def test_signatures_that_are_none() -> None:
    field = Field(name="x", kind="tensor", nullable=False, tensor=Tensor(element="float32", shape=(2,)))
    answered = Output(name="y", tensor=Tensor(element="float32"))
    with pytest.raises(Invalid, match="some inputs are tensors"):
        Signature(inputs=(field, Field(name="z", kind="number")), task="tensors", outputs=(answered,))
    with pytest.raises(Invalid, match="answers tensors, and no other does"):
        Signature(inputs=(field,), task="tensors")
    with pytest.raises(Invalid, match="answers tensors, and no other does"):
        Signature(inputs=(Field(name="z", kind="number"),), task="regression", outputs=(answered,))
    with pytest.raises(Invalid, match="cannot be called 'prediction_id'"):
        Signature(inputs=(field,), task="tensors", outputs=(Output(name="prediction_id", tensor=answered.tensor),))
    with pytest.raises(Invalid, match="no shape of a tensor"):
        Tensor(element="float32", shape=(0,))


def test_a_graph_whose_first_dimension_is_not_the_rows() -> None:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [value("x", TensorProto.FLOAT, [4, 2])],
        [value("y", TensorProto.FLOAT, [4, 2])],
    )
    with pytest.raises(Invalid, match="does not begin with any number of rows"):
        graph_signature(model_of(graph).SerializeToString(), where="g")


def labelled(*outputs: str) -> bytes:
    """As converters of scikit-learn write classifiers: labels as text, and probabilities."""
    names = numpy_helper.from_array(np.array(["no", "yes"], dtype=object), "names")
    nodes = [
        helper.make_node("Softmax", ["X"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["X"], ["place"], axis=1, keepdims=0),
        helper.make_node("Gather", ["names", "place"], ["label"]),
    ]
    told = {
        "label": value("label", TensorProto.STRING, ["rows"]),
        "probabilities": value("probabilities", TensorProto.FLOAT, ["rows", 2]),
    }
    graph = helper.make_graph(
        nodes, "g", [value("X", TensorProto.FLOAT, ["rows", 2])], [told[name] for name in outputs], [names]
    )
    return bytes(model_of(graph).SerializeToString())


def test_labels_as_text_are_left_out(tmp_path: Path) -> None:
    data = labelled("label", "probabilities")
    signature = graph_signature(data, where="g", task="binary", classes=("no", "yes"))
    assert [one.name for one in signature.outputs] == ["probabilities"]
    package_tensors(data, signature, tmp_path / "bundle", latency_runs=5)
    found = loaded(tmp_path / "bundle").predict_rows([{"X": [0.0, 0.0]}, {"X": [0, 50]}])
    np.testing.assert_allclose(found, [0.5, 1.0], atol=1e-6)
    with pytest.raises(Invalid, match=r"it is a tensor\(string\)"):
        graph_signature(labelled("label"), where="g")


def test_clients_of_mlflow_are_told_of_tensors(tmp_path: Path) -> None:
    package_tensors(*images(), tmp_path / "bundle", latency_runs=5)
    facts = FolderFacts(
        id="01a1fc3b-7a65-7371-8aa3-1df0d4cfb85e", model="birds", number=1, run_id=None, created_at=datetime(2026, 1, 2, tzinfo=UTC)
    )  # fmt: skip
    write_model_folder(tmp_path / "bundle", tmp_path / "folder", facts)
    told = yaml.safe_load((tmp_path / "folder" / "MLmodel").read_text())
    assert told["flavors"]["python_function"]["loader_module"] == "mlflow.onnx"
    assert told["flavors"]["onnx"]["data"] == "model.onnx"
    assert (tmp_path / "folder" / "model.onnx").read_bytes() == image_model()
    assert read_bundle(tmp_path / "folder" / "bundle").manifest.input == "tensors"
    (one,) = json.loads(told["signature"]["inputs"])
    assert one == {"name": "image", "type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3, 8, 8]}}
