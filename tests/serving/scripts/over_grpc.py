"""The public client of the protocol over gRPC, as it is published: `over_grpc.py HOST:PORT TOKEN`."""

import sys
import uuid

import numpy as np
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

TYPES = {"distance": "FP64", "hour": "INT64", "carrier": "BYTES", "express": "BOOL"}
COLUMNS = {
    "distance": np.array([700.0, np.nan, 2000.5]),
    "hour": np.array([8, 17, 23]),
    "carrier": np.array([b"AA", b"UA", b"??"], dtype=object),
    "express": np.array([True, False, True]),
}
CONTENTS = {"FP64": "fp64_contents", "INT64": "int64_contents", "BYTES": "bytes_contents", "BOOL": "bool_contents"}


def inputs(**changed: np.ndarray) -> list[grpc.InferInput]:
    made = []
    for name, values in (COLUMNS | changed).items():
        datatype = TYPES[name] if name not in changed else {"float64": "FP64", "bool": "BOOL"}[str(values.dtype)]
        made.append(grpc.InferInput(name, list(values.shape), datatype).set_data_from_numpy(values))
    return made


def check_what_it_says_of_itself(client: grpc.InferenceServerClient, headers: dict[str, str]) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("late", headers=headers)
    assert client.is_model_ready("trial", "2", headers=headers)
    assert not client.is_model_ready("late", "9", headers=headers)
    assert "binary_tensor_data" in client.get_server_metadata(headers=headers).extensions
    described = client.get_model_metadata("late", headers=headers)
    assert {one.name: one.datatype for one in described.inputs} == TYPES
    assert list(described.versions) == ["1"]


def check_answers(client: grpc.InferenceServerClient, headers: dict[str, str]) -> None:
    answer = client.infer("late", inputs(), request_id="mine", headers=headers, timeout=60_000_000, client_timeout=60.0)
    expected = answer.as_numpy("probability")
    assert expected.shape == (3,)
    assert answer.as_numpy("prediction").tolist() == (expected > 0.5).tolist()
    assert len({uuid.UUID(one.decode()) for one in answer.as_numpy("prediction_id")}) == 3
    assert answer.get_response().id == "mine"
    wanted = [grpc.InferRequestedOutput("probability")]
    only = client.infer("trial", inputs(), model_version="1", outputs=wanted, headers=headers)
    np.testing.assert_array_equal(only.as_numpy("probability"), expected)
    assert only.as_numpy("prediction") is None
    # The same, each element a field of the message.
    request = grpc.service_pb2.ModelInferRequest(model_name="late")
    request.parameters["routing_key"].string_param = "a"
    for name, datatype in TYPES.items():
        tensor = request.inputs.add(name=name, datatype=datatype, shape=[3, 1])
        getattr(tensor.contents, CONTENTS[datatype]).extend(COLUMNS[name].tolist())
    one_by_one = client._client_stub.ModelInfer(request, metadata=tuple(headers.items()))
    assert np.frombuffer(one_by_one.raw_output_contents[0], "<f8").tolist() == expected.tolist()


def check_refusals(client: grpc.InferenceServerClient, headers: dict[str, str]) -> None:
    for asked, model, said, code in (
        (
            inputs(distance=np.array([True, True, False])),
            "late",
            "expected the datatype FP64, found 'BOOL'",
            "INVALID_ARGUMENT",
        ),
        (
            inputs(distance=np.array([[1.0, 2.0]])),
            "late",
            "expected the shape [rows] or [rows, 1], found [1, 2]",
            "INVALID_ARGUMENT",
        ),
        (inputs(distance=np.array([1.0])), "late", "expected 1 values like the input 'distance'", "INVALID_ARGUMENT"),
        (inputs()[1:], "late", "the input 'distance' is missing", "INVALID_ARGUMENT"),
        (inputs(), "nobody", "there is no such endpoint", "NOT_FOUND"),
    ):
        error = refusal(client, model, asked, headers)
        assert said in error.message(), error.message()
        assert code in error.status(), error.status()
    for wrong in ({}, {"authorization": "Bearer other"}):
        assert "UNAUTHENTICATED" in refusal(client, "late", inputs(), wrong).status()


def check_other_forms(client: grpc.InferenceServerClient, headers: dict[str, str]) -> None:
    """What there is not here is refused, and what means nothing here is no hindrance."""
    classes = [grpc.InferRequestedOutput("probability", class_count=1)]
    error = refusal(client, "late", inputs(), headers, outputs=classes)
    assert "there is no classification here" in error.message(), error.message()
    more = {"priority": 1, "sequence_id": 7, "sequence_start": True, "parameters": {"mine": "x", "yours": 1.5}}
    assert client.infer("late", inputs(), headers=headers, **more).as_numpy("probability").shape == (3,)


def refusal(
    client: grpc.InferenceServerClient,
    model: str,
    asked: list[grpc.InferInput],
    headers: dict[str, str],
    **more: list[grpc.InferRequestedOutput],
) -> InferenceServerException:
    try:
        client.infer(model, asked, headers=headers, **more)
    except InferenceServerException as error:
        return error
    raise AssertionError(model)


if __name__ == "__main__":
    made = grpc.InferenceServerClient(sys.argv[1])
    secret = {"authorization": f"Bearer {sys.argv[2]}"}
    check_what_it_says_of_itself(made, secret)
    check_answers(made, secret)
    check_refusals(made, secret)
    check_other_forms(made, secret)
    for _ in range(100):
        made.infer("late", inputs(), headers=secret)
    made.close()
    print("over grpc: all is well")
