"""Files that could run code are never loaded unless their bundle's digest is trusted; honest safe files always are."""

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
import skops.io
from onnx import TensorProto, helper
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer

from kept.core.digests import digest_bytes
from kept.core.errors import Damaged, Forbidden, Invalid, KeptError
from kept.packaging.bundle import read_bundle
from kept.packaging.manifest import MANIFEST, Manifest, encode_manifest
from kept.packaging.onnx_model import OnnxModel
from kept.packaging.runtime import load_runtime
from kept.packaging.sklearn_model import load_skops, save_skops


class Planted:
    """Creates a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


def with_model(folder: Path, manifest: Manifest, kind: Any, data: bytes) -> Any:
    """The bundle with another model in it, its digests made right again."""
    (folder / manifest.model).unlink()
    name = "model.bin"
    (folder / name).write_bytes(data)
    files = (
        *(file for file in manifest.files if file.name != manifest.model),
        msgspec.structs.replace(manifest.files[0], name=name, size=len(data), digest=digest_bytes(data)),
    )
    changed = msgspec.structs.replace(manifest, runtime=kind, model=name, files=files)
    (folder / MANIFEST).write_bytes(encode_manifest(changed))


def planted_skops(state_change: Any) -> Any:
    """A skops file of an honest estimator with its description changed."""
    model = LogisticRegression().fit(np.arange(20.0).reshape(-1, 1), np.arange(20) > 9)
    data = skops.io.dumps(model)
    source = zipfile.ZipFile(io.BytesIO(data))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "schema.json":
                state = json.loads(content)
                state_change(state)
                content = json.dumps(state).encode()
            target.writestr(name, content)
    return out.getvalue()


def function(state: dict[str, Any]) -> Any:
    state["content"]["content"]["C"] = {
        "__class__": "system",
        "__module__": "os",
        "__loader__": "FunctionNode",
        "__id__": 99991,
    }


def reduced(state: dict[str, Any]) -> Any:
    state.update(
        __class__="mkdir",
        __module__="os",
        __loader__="ObjectNode",
        __id__=99992,
    )


def partial(state: dict[str, Any]) -> Any:
    node = {"__class__": "system", "__module__": "os", "__loader__": "FunctionNode", "__id__": 99993}
    empty = {
        "__class__": "dict",
        "__module__": "builtins",
        "__loader__": "JsonNode",
        "is_json": True,
        "content": "{}",
        "__id__": 99994,
    }
    state["content"]["content"]["C"] = {
        "__class__": "partial",
        "__module__": "functools",
        "__loader__": "PartialNode",
        "__id__": 99995,
        "content": {
            "func": node,
            "args": empty | {"content": "[]", "__id__": 99996},
            "kwds": empty,
            "namespace": empty,
        },
    }


@pytest.mark.parametrize("change", [function, reduced, partial])
def test_planted_objects_in_a_skops_file_are_refused(change: Any) -> None:
    with pytest.raises((Forbidden, Damaged)):
        load_skops(planted_skops(change))


def test_planted_functions_are_refused_for_being_untrusted() -> None:
    for change in (function, partial):
        with pytest.raises(Forbidden, match=r"os\.system|posix\.system"):
            load_skops(planted_skops(change))


@pytest.mark.parametrize("kind", ["onnx", "skops"])
def test_a_pickle_in_other_clothes_never_runs(
    packaged: Callable[..., tuple[Path, Manifest]], tmp_path: Path, kind: Any
) -> None:
    folder, manifest = packaged()
    mark = tmp_path / "mark"
    with_model(folder, manifest, kind, pickle.dumps(Planted(mark)))
    with pytest.raises(Damaged):
        load_runtime(folder, trusted=frozenset({read_bundle(folder).digest}))
    assert not mark.exists()


def test_a_pickle_runs_only_when_its_bundle_is_trusted(
    packaged: Callable[..., tuple[Path, Manifest]], tmp_path: Path
) -> None:
    folder, manifest = packaged()
    mark = tmp_path / "mark"
    with_model(folder, manifest, "pickle-trusted", pickle.dumps(Planted(mark)))
    for trusted in (frozenset(), frozenset({"sha256:" + "0" * 64}), frozenset({digest_bytes(b"")})):
        with pytest.raises(Forbidden, match="pickle"):
            load_runtime(folder, trusted=trusted)
        assert not mark.exists()
    with pytest.raises(KeptError):
        load_runtime(folder, trusted=frozenset({read_bundle(folder).digest}))
    assert mark.exists()


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"not a zip", b"\x80\x05."])
@pytest.mark.parametrize("kind", ["onnx", "skops"])
def test_garbage_is_damaged(packaged: Callable[..., tuple[Path, Manifest]], kind: Any, data: bytes) -> None:
    folder, manifest = packaged()
    with_model(folder, manifest, kind, data)
    with pytest.raises(Damaged):
        load_runtime(folder)


def test_a_zip_without_a_description_and_one_that_is_too_deep_are_damaged() -> None:
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    nested, deep = io.BytesIO(), io.BytesIO()
    opening = (
        '{"__class__":"dict","__module__":"builtins","__loader__":"DictNode","__id__":1,"key_types":{},"content":{"a":'
    )
    for stream, text in ((nested, '{"a":' * 100_000), (deep, opening * 400 + "1" + "}}" * 400)):
        with zipfile.ZipFile(stream, "w") as target:
            target.writestr("schema.json", text)
    for data in (empty.getvalue(), nested.getvalue(), deep.getvalue()):
        with pytest.raises((Damaged, Forbidden)):
            load_skops(data)


@pytest.mark.parametrize("location", ["/etc/hostname", "../secret.bin", "secret.bin"])
def test_an_onnx_model_cannot_read_other_files(tmp_path: Path, location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.bin").write_bytes(b"\0" * 64)
    weights = TensorProto(name="w", data_type=TensorProto.DOUBLE, dims=[1, 2], data_location=TensorProto.EXTERNAL)
    weights.external_data.add(key="location", value=location)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Add", ["features", "w"], ["answers"])],
        "g",
        [value("features", TensorProto.DOUBLE, ["n", 2])],
        [value("answers", TensorProto.DOUBLE, ["n", 2])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    with pytest.raises(Damaged):
        OnnxModel(model.SerializeToString(), width=2)


def test_an_onnx_model_of_another_shape_is_damaged(packaged: Callable[..., tuple[Path, Manifest]]) -> None:
    folder, _ = packaged()
    data = (folder / "model.onnx").read_bytes()
    with pytest.raises(Damaged, match="7 columns"):
        OnnxModel(data, width=7)
    model = onnx.load_from_string(data)
    model.graph.output.add().CopyFrom(model.graph.output[0])
    model.graph.output[1].name = model.graph.node[0].output[0]
    with pytest.raises(Damaged):
        OnnxModel(model.SerializeToString(), width=5)


def own_function(values: Any) -> Any:
    return values


def test_a_function_of_ones_own_is_not_written_as_a_safe_file() -> None:
    with pytest.raises(Invalid, match="own_function"):
        save_skops(FunctionTransformer(own_function).fit(np.zeros((2, 1))))
