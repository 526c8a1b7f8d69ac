"""No input makes a service of tensors answer 5xx, and whatever way a tensor comes, the model is given the same."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from predicting import Service
from tensor_models import pack_images, pack_mixed

from graphs import IMAGE

NAMES = ["tokens", "mask", "pixels", "offset", "image"]
lenient = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
words = st.sampled_from(
    ["rows", "columns", "inputs", "instances", "dataframe_split", "dataframe_records", "data", "params", "name", "shape", "datatype", *NAMES]
)  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)
paths = st.sampled_from([f"{way}/{name}" for way in ("/predict", "/invocations") for name in ("images", "mixed")])
datatypes = st.sampled_from(["FP64", "FP32", "FP16", "INT8", "INT64", "UINT8", "UINT64", "BOOL", "BYTES", "FP8", ""])


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    root = tmp_path_factory.mktemp("any")
    made = Service(root, {"images": pack_images(root / "images"), "mixed": pack_mixed(root / "mixed")})
    made.route(images=(made.arm("images", 1),), mixed=(made.arm("mixed", 2),))
    yield made.start()
    assert made.stop() == 0


@pytest.fixture(scope="module")
def client(asked: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=asked.url) as made:
        yield made


@given(st.dictionaries(words, json_values, max_size=4), paths)
@lenient
def test_any_json(client: httpx.Client, body: Any, path: str) -> None:
    answer = client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code in {200, 400, 422}, answer.text


@given(
    st.lists(st.integers(-(2**65), 2**65) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans(), min_size=1, max_size=4),
    st.lists(st.integers(-2, 300), min_size=4, max_size=4),
    st.sampled_from([0, -1.5, 1e300, "x", None, True]),
    st.sampled_from(["/predict/mixed", "/invocations/mixed"]),
)  # fmt: skip
@lenient
def test_values_beside_the_declared_ones(
    client: httpx.Client, tokens: list[Any], light: list[int], offset: Any, path: str
) -> None:
    row = {"tokens": tokens, "mask": [True] * len(tokens), "pixels": [light[:2], light[2:]], "offset": offset}
    body = {"rows": [row]} if path.startswith("/predict") else {"instances": [row]}
    answer = client.post(path, json=body)
    assert answer.status_code in {200, 400, 422}, answer.text


@given(
    st.lists(
        st.tuples(
            st.sampled_from(NAMES), datatypes, st.lists(st.integers(-2, 2**62), max_size=3) | st.sampled_from([[1, 2], [1, 2, 2], [1]]),
            st.binary(max_size=40), st.none() | json_values,
        ),
        max_size=5,
    ),
    st.sampled_from(["images", "mixed"]),
)  # fmt: skip
@lenient
def test_any_named_tensors_are_answered_or_refused(client: httpx.Client, tensors: list[Any], model: str) -> None:
    inputs, tail = [], b""
    for name, datatype, shape, data, values in tensors:
        one = {"name": name, "datatype": datatype, "shape": shape}
        if values is None:
            tail += data
            inputs.append(one | {"parameters": {"binary_data_size": len(data)}})
        else:
            inputs.append(one | {"data": values})
    head = json.dumps({"inputs": inputs}).encode()
    headers = {"inference-header-content-length": str(len(head)), "content-type": "application/octet-stream"}
    answer = client.post(f"/v2/models/{model}/infer", content=head + tail, headers=headers)
    assert answer.status_code in {200, 400, 422}, answer.text


@given(st.integers(1, 4), st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 3, 7]))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_every_way_gives_the_model_the_same(client: httpx.Client, rows: int, seed: int, spaces: int) -> None:
    """Wherever the bytes begin, too: some processors read elements only where these belong."""
    images = np.random.default_rng(seed).normal(size=(rows, *IMAGE)).astype(np.float32)
    tensor: dict[str, Any] = {"name": "image", "shape": [rows, *IMAGE], "datatype": "FP32"}
    wanted = {"outputs": [{"name": "logits"}]}
    head = json.dumps(wanted | {"inputs": [tensor | {"parameters": {"binary_data_size": images.nbytes}}]}).encode()
    head += b" " * spaces
    found = [
        client.post("/v2/models/images/infer", json=wanted | {"inputs": [tensor | {"data": data}]}).json()
        for data in (images.tolist(), images.ravel().tolist())
    ]
    headers = {"inference-header-content-length": str(len(head))}
    found.append(client.post("/v2/models/images/infer", content=head + images.tobytes(), headers=headers).json())
    logits = [one["outputs"][0]["data"] for one in found]
    assert logits[0] == logits[1] == logits[2]
    predicted = client.post("/predict/images", json={"columns": {"image": images.tolist()}}).json()["predictions"]
    np.testing.assert_allclose(np.ravel([one["outputs"]["logits"] for one in predicted]), logits[0], rtol=1e-5)
