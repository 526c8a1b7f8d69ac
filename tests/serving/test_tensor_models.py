"""Models whose inputs and answers are tensors: asked in every form, logged, shipped."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from predicting import Packaged, Service
from tensor_models import answers_of, pack_images, pack_mixed
from test_public_client import run
from test_shipping import predictions, shipper_of

from graphs import CLASSES, IMAGE
from waiting import free_ports

IMAGES = np.random.default_rng(5).normal(size=(3, *IMAGE)).astype(np.float32)
MIXED = {
    "tokens": np.array([[1, 2, 3, 9], [4, 5, 6, 0]]),
    "mask": np.array([[True, True, False, True], [True, False, False, False]]),
    "pixels": np.array([[[0, 255], [1, 2]], [[9, 9], [9, 9]]], dtype=np.uint8),
    "offset": np.array([0.5, -1.5]),
}
TYPES = {"tokens": "INT64", "mask": "BOOL", "pixels": "UINT8", "offset": "FP64"}


@pytest.fixture(scope="module")
def tensors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Packaged]:
    root = tmp_path_factory.mktemp("tensors")
    return {
        "images": pack_images(root / "images"),
        "other": pack_images(root / "other", seed=1),
        "mixed": pack_mixed(root / "mixed"),
    }


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, tensors: dict[str, Packaged]) -> Iterator[Service]:
    made = Service(tmp_path_factory.mktemp("asked"), tensors, settings={"grpc_port": str(free_ports())})
    made.route(
        images=(made.arm("images", 1),),
        mixed=(made.arm("mixed", 2),),
        watched=(made.arm("images", 1), made.arm("other", 2, "shadow", 0.0)),
    )
    yield made.start()
    assert made.stop() == 0


def ask(service: Service, path: str, body: object) -> dict[str, object]:
    answer = httpx.post(f"{service.url}{path}", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


def infer(service: Service, model: str, *inputs: dict[str, object], **more: object) -> dict[str, np.ndarray]:
    answer = ask(service, f"/v2/models/{model}/infer", {"inputs": list(inputs), **more})
    return {one["name"]: np.array(one["data"]).reshape(one["shape"]) for one in answer["outputs"]}  # type: ignore[attr-defined]


def test_metadata_names_elements_and_shapes(asked: Service) -> None:
    told = httpx.get(f"{asked.url}/v2/models/images").json()
    assert told["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 3, 8, 8]}]
    assert [(one["name"], one["datatype"], one["shape"]) for one in told["outputs"]] == [
        ("probabilities", "FP64", [-1, 3]),
        ("prediction", "BYTES", [-1]),
        ("logits", "FP32", [-1, 3]),
        ("embedding", "FP32", [-1, 5]),
        ("prediction_id", "BYTES", [-1]),
    ]
    told = httpx.get(f"{asked.url}/v2/models/mixed").json()
    assert {one["name"]: (one["datatype"], one["shape"]) for one in told["inputs"]} == {
        "tokens": ("INT64", [-1, -1]),
        "mask": ("BOOL", [-1, -1]),
        "pixels": ("UINT8", [-1, 2, 2]),
        "offset": ("FP64", [-1]),
    }
    assert {one["name"]: (one["datatype"], one["shape"]) for one in told["outputs"]} == {
        "summed": ("FP64", [-1, 3]),
        "value": ("FP64", [-1]),
        "above": ("BOOL", [-1, -1, 3]),
        "prediction_id": ("BYTES", [-1]),
    }


@pytest.mark.parametrize("flat", [True, False])
def test_tensors_in_json_nested_or_flat(asked: Service, tensors: dict[str, Packaged], flat: bool) -> None:
    expected = answers_of(tensors["images"], image=IMAGES)
    data = IMAGES.ravel().tolist() if flat else IMAGES.tolist()
    found = infer(asked, "images", {"name": "image", "shape": [3, *IMAGE], "datatype": "FP32", "data": data})
    np.testing.assert_allclose(found["logits"], expected["logits"], rtol=1e-6)
    np.testing.assert_allclose(found["embedding"], expected["embedding"], rtol=1e-6)
    powers = np.exp(expected["logits"].astype(float))
    np.testing.assert_allclose(found["probabilities"], powers / powers.sum(axis=1, keepdims=True), rtol=1e-6)
    assert found["prediction"].tolist() == [CLASSES[place] for place in expected["logits"].argmax(axis=1)]
    mixed = [
        {"name": name, "shape": list(MIXED[name].shape), "datatype": TYPES[name], "data": (MIXED[name].ravel() if flat else MIXED[name]).tolist()}
        for name in TYPES
    ]  # fmt: skip
    found, wanted = infer(asked, "mixed", *mixed), answers_of(tensors["mixed"], **MIXED)
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)


def test_rows_columns_and_the_forms_of_mlflow(asked: Service, tensors: dict[str, Packaged]) -> None:
    wanted = answers_of(tensors["mixed"], **MIXED)
    rows = [{name: MIXED[name][row].tolist() for name in TYPES} for row in range(2)]
    columns = {name: MIXED[name].tolist() for name in TYPES}
    for body in ({"rows": rows}, {"columns": columns}):
        for row, one in enumerate(ask(asked, "/predict/mixed", body)["predictions"]):  # type: ignore[arg-type, var-annotated]
            assert set(one) == {"id", "outputs"}
            for name, array in wanted.items():
                np.testing.assert_array_equal(one["outputs"][name], array[row])
    split = {"columns": [*TYPES], "data": [[row[name] for name in TYPES] for row in rows]}
    for body in ({"inputs": columns}, {"instances": rows}, {"dataframe_records": rows}, {"dataframe_split": split}):
        found = ask(asked, "/invocations/mixed", body)["predictions"]
        for name, array in wanted.items():
            np.testing.assert_array_equal(found[name], array)  # type: ignore[index]
    found = ask(asked, "/invocations/images", {"inputs": IMAGES.tolist()})
    assert len(found["probabilities"]) == len(found["predictions"]) == 3  # type: ignore[arg-type]
    assert np.shape(found["outputs"]["embedding"]) == (3, 5)  # type: ignore[index]


def test_rows_of_different_lengths_in_one_request(asked: Service) -> None:
    rows = [
        {"tokens": [1] * length, "mask": [True] * length, "pixels": [[0, 0], [0, 0]], "offset": 0}
        for length in (2, 5, 2)
    ]
    found = ask(asked, "/predict/mixed", {"rows": rows})["predictions"]
    assert [np.shape(one["outputs"]["above"]) for one in found] == [(2, 3), (5, 3), (2, 3)]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        ({"shape": [3, 8, 8]}, "inputs 'image': expected the shape [-1, 3, 8, 8], found [3, 8, 8]"),
        ({"shape": [1, 8, 8, 3]}, "inputs 'image': expected the shape [-1, 3, 8, 8], found [1, 8, 8, 3]"),
        ({"shape": [0, 3, 8, 8]}, "expected the shape [-1, 3, 8, 8], found [0, 3, 8, 8]"),
        ({"datatype": "FP64"}, "inputs 'image': expected the datatype FP32, found 'FP64'"),
        ({"data": [1.0]}, "the shape [1, 3, 8, 8] holds 192 values, found 1"),
        ({"data": [[[[1.0, 2.0], [1.0]]]]}, "its lists are not all of one length"),
        ({"data": [[[[1.0]]]]}, "its lists are not as long as the shape [1, 3, 8, 8] says"),
        ({"data": ["x"] * 192}, "expected a number, found text"),
        ({"data": [None] * 192}, "expected a number, found null"),
        ({"data": [1e300] * 192}, "a value is beyond float32"),
        ({"name": "picture"}, "the input 'image' is missing"),
    ],
)
def test_what_does_not_fit_is_named(asked: Service, tensor: dict[str, object], said: str) -> None:
    body = {"name": "image", "shape": [1, *IMAGE], "datatype": "FP32", "data": [0.5] * 192} | tensor
    answer = httpx.post(f"{asked.url}/v2/models/images/infer", json={"inputs": [body]})
    assert answer.status_code == 400
    assert said in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"rows": [{"image": [[1.0]]}]}, "rows[0].image"),
        ({"rows": [{"image": np.zeros((3, 8, 7)).tolist()}]}, "rows[0].image: expected the shape [3, 8, 8], found [3, 8, 7]"),
        ({"rows": [{}]}, "'image' is missing"),
        ({"rows": [{"image": "x"}]}, "expected a list, found text"),
    ],
)  # fmt: skip
def test_rows_that_do_not_fit_are_named(asked: Service, body: dict[str, object], said: str) -> None:
    answer = httpx.post(f"{asked.url}/predict/images", json=body)
    assert answer.status_code == 400
    assert said in answer.json()["error"]


def test_what_the_graph_itself_refuses(asked: Service) -> None:
    row = {"tokens": [99], "mask": [True], "pixels": [[0, 0], [0, 0]], "offset": 0.0}
    answer = httpx.post(f"{asked.url}/predict/mixed", json={"rows": [row]})
    assert answer.status_code == 422
    assert "the model does not take these tensors" in answer.json()["error"]
    assert (
        httpx.post(f"{asked.url}/predict/mixed", json={"rows": [row | {"pixels": [[0, 256], [0, 0]]}]})
        .json()["error"]
        .startswith("rows[0].pixels: a value is beyond uint8")
    )
    csv = httpx.post(f"{asked.url}/invocations/images", content=b"image\n1\n", headers={"content-type": "text/csv"})
    assert (csv.status_code, "tensors cannot be sent as CSV" in csv.text) == (400, True)


def test_the_public_client_sends_images_and_gets_logits_and_embeddings(asked: Service, client_python: Path) -> None:
    run(client_python, "tensors_over_http.py", f"127.0.0.1:{asked.port}")
    pytest.importorskip("grpc", reason="kept[grpc] is not installed")
    run(client_python, "tensors_over_grpc.py", f"127.0.0.1:{asked.settings['grpc_port']}")


def test_the_log_holds_small_tensors_whole_and_of_large_ones_a_digest(
    tmp_path: Path, tensors: dict[str, Packaged]
) -> None:
    service = Service(
        tmp_path, tensors, settings={"log_tensor_values": "16", "log_hash": "offset", "log_key": "k" * 16}
    )
    service.route(
        images=(service.arm("images", 1), service.arm("other", 2, "shadow", 0.0)), mixed=(service.arm("mixed", 3),)
    )
    service.start()
    answered = ask(service, "/predict/images", {"rows": [{"image": image.tolist()} for image in IMAGES]})
    ask(service, "/invocations/mixed", {"inputs": {name: array.tolist() for name, array in MIXED.items()}})
    assert service.stop() == 0
    shipper_of(tmp_path).ship()
    rows = predictions(tmp_path, "images").filter(role="champion")
    assert rows["id"].to_list() == [one["id"] for one in answered["predictions"]]  # type: ignore[attr-defined]
    assert rows["prediction"].to_list() == [one["prediction"] for one in answered["predictions"]]  # type: ignore[attr-defined]
    first = rows.row(0, named=True)
    assert first["tensor_image"]["shape"] == list(IMAGE)
    assert first["tensor_image"]["values"] is None
    assert first["tensor_image"]["digest"] == "sha256:" + hashlib.sha256(IMAGES[0].tobytes()).hexdigest()
    assert first["feature_image__norm"] == pytest.approx(np.linalg.norm(IMAGES[0]))
    expected = answers_of(tensors["images"], image=IMAGES)
    np.testing.assert_allclose(first["answer_embedding"]["values"], expected["embedding"][0], rtol=1e-6)
    assert first["answer_logits"]["digest"] is None
    mixed = predictions(tmp_path, "mixed")
    assert mixed["tensor_tokens"].struct.field("values").to_list() == MIXED["tokens"].tolist()
    assert mixed["score"].to_list() == [None, None]
    assert "tensor_offset" not in mixed.columns
    assert mixed["feature_offset"].n_unique() == 2
