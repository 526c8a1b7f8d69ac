"""Images and mixed tensors by the public client of the protocol over HTTP, as it is published: `tensors_over_http.py HOST:PORT`."""

import sys

import numpy as np
from tritonclient import http
from tritonclient.utils import InferenceServerException

IMAGES = np.random.default_rng(5).normal(size=(3, 3, 8, 8)).astype(np.float32)


def image(values: np.ndarray, *, binary: bool = True) -> http.InferInput:
    datatype = {"float32": "FP32", "float64": "FP64"}[str(values.dtype)]
    return http.InferInput("image", list(values.shape), datatype).set_data_from_numpy(values, binary_data=binary)


def check_images(client: http.InferenceServerClient) -> None:
    found = {}
    for binary_in in (False, True):
        for binary_out in (False, True):
            wanted = [http.InferRequestedOutput(name, binary_data=binary_out) for name in ("logits", "embedding")]
            answer = client.infer("images", [image(IMAGES, binary=binary_in)], outputs=wanted)
            logits, embedding = answer.as_numpy("logits"), answer.as_numpy("embedding")
            assert logits.shape == (3, 3)
            assert embedding.shape == (3, 5)
            assert embedding.dtype == np.float32
            found[binary_in, binary_out] = logits
    for one in found.values():
        np.testing.assert_array_equal(one, found[True, True])
    everything = client.infer("images", [image(IMAGES)])
    assert everything.as_numpy("probabilities").shape == (3, 3)
    assert everything.as_numpy("prediction").dtype == object
    alone = [client.infer("images", [image(IMAGES[row : row + 1])]).as_numpy("logits") for row in range(3)]
    np.testing.assert_allclose(np.concatenate(alone), found[True, True], rtol=1e-5)


def check_mixed(client: http.InferenceServerClient) -> None:
    sent = {
        "tokens": np.array([[1, 2, 3], [4, 5, 6]]),
        "mask": np.array([[True, True, False], [True, False, False]]),
        "pixels": np.zeros((2, 2, 2), dtype=np.uint8),
        "offset": np.array([0.5, -1.5]),
    }
    types = {"tokens": "INT64", "mask": "BOOL", "pixels": "UINT8", "offset": "FP64"}
    for binary in (False, True):
        inputs = [
            http.InferInput(name, list(array.shape), types[name]).set_data_from_numpy(array, binary_data=binary)
            for name, array in sent.items()
        ]
        answer = client.infer("mixed", inputs)
        assert answer.as_numpy("value").tolist() == [0.5, -1.5]
        assert answer.as_numpy("above").shape == (2, 3, 3)
        assert answer.as_numpy("above").dtype == bool


def check_refusals(client: http.InferenceServerClient) -> None:
    for values, said in (
        (IMAGES[0], "inputs 'image': expected the shape [-1, 3, 8, 8], found [3, 8, 8]"),
        (IMAGES.astype(np.float64), "inputs 'image': expected the datatype FP32, found 'FP64'"),
        (IMAGES[:, :2], "inputs 'image': expected the shape [-1, 3, 8, 8], found [3, 2, 8, 8]"),
    ):
        error = refusal(client, values)
        assert said in error.message(), error.message()
        assert "400" in error.status()


def refusal(client: http.InferenceServerClient, values: np.ndarray) -> InferenceServerException:
    try:
        client.infer("images", [image(values)])
    except InferenceServerException as error:
        return error
    raise AssertionError(values.shape)


def check_many_at_once(client: http.InferenceServerClient) -> None:
    waiting = [client.async_infer("images", [image(IMAGES)]) for _ in range(40)]
    assert all(one.get_result().as_numpy("embedding").shape == (3, 5) for one in waiting)


if __name__ == "__main__":
    made = http.InferenceServerClient(sys.argv[1], concurrency=8)
    check_images(made)
    check_mixed(made)
    check_refusals(made)
    check_many_at_once(made)
    made.close()
    print("tensors over http: all is well")
