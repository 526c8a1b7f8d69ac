"""Images by the public client of the protocol over gRPC, as it is published: `tensors_over_grpc.py HOST:PORT`."""

import sys

import numpy as np
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

IMAGES = np.random.default_rng(5).normal(size=(3, 3, 8, 8)).astype(np.float32)


def image(values: np.ndarray) -> grpc.InferInput:
    return grpc.InferInput("image", list(values.shape), "FP32").set_data_from_numpy(values)


def refusal(client: grpc.InferenceServerClient, values: np.ndarray) -> InferenceServerException:
    try:
        client.infer("images", [image(values)])
    except InferenceServerException as error:
        return error
    raise AssertionError(values.shape)


if __name__ == "__main__":
    client = grpc.InferenceServerClient(sys.argv[1])
    described = client.get_model_metadata("images")
    assert [list(one.shape) for one in described.inputs] == [[-1, 3, 8, 8]]
    answer = client.infer("images", [image(IMAGES)])
    logits, embedding = answer.as_numpy("logits"), answer.as_numpy("embedding")
    assert logits.shape == (3, 3)
    assert embedding.shape == (3, 5)
    assert embedding.dtype == np.float32
    assert answer.as_numpy("probabilities").shape == (3, 3)
    only = client.infer("images", [image(IMAGES)], outputs=[grpc.InferRequestedOutput("embedding")])
    np.testing.assert_array_equal(only.as_numpy("embedding"), embedding)
    assert only.as_numpy("logits") is None
    # The same, each element a field of the message.
    request = grpc.service_pb2.ModelInferRequest(model_name="images")
    tensor = request.inputs.add(name="image", datatype="FP32", shape=IMAGES.shape)
    tensor.contents.fp32_contents.extend(IMAGES.ravel().tolist())
    one_by_one = client._client_stub.ModelInfer(request)
    place = [one.name for one in one_by_one.outputs].index("logits")
    assert one_by_one.raw_output_contents[place] == logits.tobytes()
    error = refusal(client, IMAGES[0])
    assert "expected the shape [-1, 3, 8, 8], found [3, 8, 8]" in error.message(), error.message()
    client.close()
    print("tensors over grpc: all is well")
