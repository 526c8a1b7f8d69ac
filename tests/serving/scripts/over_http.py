"""The public client of the protocol over HTTP, as it is published: `over_http.py HOST:PORT`."""

import sys

import numpy as np
from tritonclient import http
from tritonclient.utils import InferenceServerException

TYPES = {"distance": "FP64", "hour": "INT64", "carrier": "BYTES", "express": "BOOL"}
COLUMNS = {
    "distance": np.array([700.0, np.nan, 2000.5]),
    "hour": np.array([8, 17, 23]),
    "carrier": np.array(["AA", "UA", "??"], dtype=object),
    "express": np.array([True, False, True]),
}


def inputs(*, binary: bool, **changed: str) -> list[http.InferInput]:
    made = []
    for name, datatype in (TYPES | changed).items():
        values = COLUMNS[name] if name != "distance" or binary else np.array([700.0, 0.0, 2000.5])
        kinds = {"FP32": np.float32, "FP16": np.float16, "INT32": np.int32, "UINT8": np.uint8}
        tensor = http.InferInput(name, [3], datatype)
        tensor.set_data_from_numpy(values.astype(kinds.get(datatype, values.dtype)), binary_data=binary)
        made.append(tensor)
    return made


def outputs(*, binary: bool) -> list[http.InferRequestedOutput]:
    names = ("probability", "prediction", "prediction_id")
    return [http.InferRequestedOutput(name, binary_data=binary) for name in names]


def check_what_it_says_of_itself(client: http.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("late")
    assert client.is_model_ready("late", "1")
    assert not client.is_model_ready("late", "9")
    assert not client.is_model_ready("nobody")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    described = client.get_model_metadata("late", "1")
    assert {one["name"]: one["datatype"] for one in described["inputs"]} == TYPES


def check_answers(client: http.InferenceServerClient) -> None:
    found = {}
    for binary_in in (False, True):
        for binary_out in (False, True):
            asked = inputs(binary=binary_in)
            answer = client.infer("late", asked, outputs=outputs(binary=binary_out), request_id="mine")
            assert answer.get_response()["id"] == "mine"
            assert answer.as_numpy("probability").shape == (3,)
            assert answer.as_numpy("prediction").dtype == bool
            assert len(set(answer.as_numpy("prediction_id").tolist())) == 3
            found[binary_in, binary_out] = answer.as_numpy("probability")
    for binary in (False, True):
        np.testing.assert_array_equal(found[binary, False], found[binary, True])
    np.testing.assert_array_equal(found[False, True][[0, 2]], found[True, True][[0, 2]])
    # Without outputs named, the client asks for all, as bytes.
    np.testing.assert_array_equal(client.infer("late", inputs(binary=True)).as_numpy("probability"), found[True, True])
    other = client.infer("late", inputs(binary=True, distance="FP16", hour="UINT8"), timeout=60_000_000)
    assert np.abs(other.as_numpy("probability") - found[True, True]).max() < 0.2
    for version in ("1", "2"):
        answer = client.infer("trial", inputs(binary=True), model_version=version)
        assert answer.get_response()["model_version"] == version


def check_other_forms(client: http.InferenceServerClient) -> None:
    """What there is not here is refused, and what means nothing here is no hindrance."""
    classes = [http.InferRequestedOutput("probability", class_count=1)]
    error = refusal(client, "late", inputs(binary=True), outputs=classes)
    assert "there is no classification here" in error.message(), error.message()
    assert "400" in error.status(), error.status()
    more = {"priority": 1, "sequence_id": 7, "sequence_start": True, "parameters": {"mine": "x", "yours": 1.5}}
    assert client.infer("late", inputs(binary=True), **more).as_numpy("probability").shape == (3,)


def check_tensors_of_more_dimensions(client: http.InferenceServerClient) -> None:
    values = np.random.default_rng(0).uniform(100, 3000, (4, 2))
    flat = http.InferInput("features", [4, 2], "FP64").set_data_from_numpy(values)
    expected = client.infer("kinds", [flat])
    assert expected.as_numpy("probabilities").shape == (4, 3)
    assert expected.as_numpy("prediction").dtype == object
    deep = http.InferInput("features", [4, 1, 2, 1], "FP64").set_data_from_numpy(values.reshape(4, 1, 2, 1))
    found = client.infer("kinds", [deep])
    np.testing.assert_array_equal(found.as_numpy("probabilities"), expected.as_numpy("probabilities"))


def check_refusals(client: http.InferenceServerClient) -> None:
    wrong = inputs(binary=True)
    wrong[0] = http.InferInput("distance", [3], "INT64").set_data_from_numpy(np.array([1, 2, 3]))
    assert client.infer("late", wrong).as_numpy("probability").shape == (3,)
    wrong[0] = http.InferInput("distance", [3], "BOOL").set_data_from_numpy(np.array([True, True, False]))
    for asked, model, said, status in (
        (wrong, "late", "inputs 'distance': expected the datatype FP64, found 'BOOL'", "400"),
        (inputs(binary=True)[1:], "late", "the input 'distance' is missing", "400"),
        (inputs(binary=True), "nobody", "there is no such endpoint", "404"),
    ):
        error = refusal(client, model, asked)
        assert said in error.message(), error.message()
        assert status in error.status(), error.status()


def refusal(
    client: http.InferenceServerClient,
    model: str,
    asked: list[http.InferInput],
    **more: list[http.InferRequestedOutput],
) -> InferenceServerException:
    try:
        client.infer(model, asked, **more)
    except InferenceServerException as error:
        return error
    raise AssertionError(model)


def check_many_at_once(client: http.InferenceServerClient) -> None:
    waiting = [client.async_infer("late", inputs(binary=True)) for _ in range(50)]
    assert all(one.get_result().as_numpy("probability").shape == (3,) for one in waiting)


if __name__ == "__main__":
    made = http.InferenceServerClient(sys.argv[1], concurrency=8)
    check_what_it_says_of_itself(made)
    check_answers(made)
    check_other_forms(made)
    check_tensors_of_more_dimensions(made)
    check_refusals(made)
    check_many_at_once(made)
    made.close()
    print("over http: all is well")
