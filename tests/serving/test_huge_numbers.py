"""Numbers in requests that are larger than any that something could be: of sizes, and of times."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from predicting import CLIENT, ROW, Packaged, Service, make, until
from tensor_models import pack_mixed

HUGE = 10**4299
TABLE = {"rows": [{"distance": 700.0, "wind": 1.0}]}
MIXED = {"tokens": "INT64", "mask": "BOOL", "pixels": "UINT8", "offset": "FP64"}


def said_of(shape: tuple[int, ...]) -> str:
    return " ".join("huge" if size >= 2**63 else str(size) for size in shape)


def is_explained(url: str) -> bool:
    return CLIENT.post(url, json=TABLE).status_code == 200


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, packaged: dict[str, Packaged]) -> Iterator[Service]:
    """A service of tables, of tensors and of a model in a process of its own, with little memory for models."""
    root = tmp_path_factory.mktemp("huge")
    bundles = {**packaged, "mixed": pack_mixed(root / "mixed"), "bayes": make(root / "bayes", "bayes")}
    made = Service(root, bundles, settings={"model_megabytes": "1"})
    made.route(
        late=(made.arm("first", 1),),
        hours=(made.arm("regression", 2),),
        mixed=(made.arm("mixed", 3),),
        bayes=(made.arm("bayes", 4),),
    )
    made.start()
    # What explains has to be loaded first, which a busy machine may take longer for than a request may wait.
    for name in ("hours", "bayes"):
        until(partial(is_explained, f"{made.url}/predict/{name}?explain=true"), 120)
    yield made
    assert made.stop() == 0


def matrix(*shape: int) -> dict[str, Any]:
    return {"inputs": [{"name": "features", "shape": shape, "datatype": "FP64", "data": [1.0, 2.0]}]}


@pytest.mark.parametrize("shape", [(HUGE, 2), (HUGE, 2, 1), (HUGE, HUGE), (2**63, 2)], ids=said_of)
def test_a_matrix_of_any_shape_is_refused_by_its_shape(asked: Service, shape: tuple[int, ...]) -> None:
    answer = CLIENT.post(f"{asked.url}/v2/models/hours/infer", json=matrix(*shape))
    assert (answer.status_code, "inputs[0].shape[0]" in answer.text) == (400, True), answer.text


@pytest.mark.parametrize("shape", [(HUGE, 3), (HUGE, HUGE), (-1, -1), (-1, 1), (1, -1), (0, 0)], ids=said_of)
def test_tensors_of_any_shape_are_refused(asked: Service, shape: tuple[int, ...]) -> None:
    """-1 stands for any length where a model declares it, and for none in a request."""
    inputs = [{"name": name, "shape": shape, "datatype": kind, "data": [1]} for name, kind in MIXED.items()]
    answer = CLIENT.post(f"{asked.url}/v2/models/mixed/infer", json={"inputs": inputs})
    assert (answer.status_code, "shape" in answer.text) == (400, True), answer.text


@pytest.mark.parametrize("timeout", [2**63, 10**400, HUGE], ids=["64 bits", "beyond floats", "beyond texts"])
@pytest.mark.parametrize("model", ["hours", "bayes"])
@pytest.mark.parametrize("query", ["", "?explain=true"])
def test_who_waits_for_ever_is_answered(asked: Service, model: str, timeout: int, query: str) -> None:
    body = TABLE | {"timeout": timeout}
    answer = CLIENT.post(f"{asked.url}/predict/{model}{query}", json=body)
    assert answer.status_code == 200, answer.text
    answer = CLIENT.post(
        f"{asked.url}/v2/models/{model}/infer{query}", json=matrix(1, 2) | {"parameters": {"timeout": timeout}}
    )
    assert answer.status_code == 200, answer.text


def test_keys_of_any_number_are_taken_as_they_are(asked: Service) -> None:
    body = {"rows": [ROW], "keys": [HUGE], "routing_key": HUGE}
    assert CLIENT.post(f"{asked.url}/predict/late", json=body).status_code == 200
