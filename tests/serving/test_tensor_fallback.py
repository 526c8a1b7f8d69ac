"""A version of tensors that fails is stood in for by the one before it, and a constant is no tensor."""

from pathlib import Path

import httpx
import msgspec
import numpy as np
from predicting import Service
from tensor_models import answers_of, pack_images, pack_mixed

from graphs import IMAGE
from kept.deployment.routing import Fallback


def test_the_version_before_stands_in(tmp_path: Path) -> None:
    packaged = {"images": pack_images(tmp_path / "images"), "mixed": pack_mixed(tmp_path / "mixed")}
    service = Service(tmp_path, packaged)
    rule = Fallback(on=("error",), previous=True, constant=0.5)
    champion = msgspec.structs.replace(service.arm("mixed", 2), fallback=rule)
    alone = msgspec.structs.replace(service.arm("mixed", 2), fallback=rule)
    service.route(
        both=(champion, service.arm("images", 1, "standby", 0.0)),
        alone=(alone,),
    )
    service.start()
    row = {"tokens": [99], "mask": [True], "pixels": [[0, 0], [0, 0]], "offset": 0.0}
    image = np.ones(IMAGE, dtype=np.float32)
    answer = httpx.post(f"{service.url}/predict/both", json={"rows": [row | {"image": image.tolist()}]})
    assert answer.status_code == 200, answer.text
    assert "the model does not take these tensors" in answer.json()["fallback"]
    expected = answers_of(packaged["images"], image=image[None])
    np.testing.assert_allclose(answer.json()["predictions"][0]["outputs"]["logits"], expected["logits"][0], rtol=1e-5)
    refused = httpx.post(f"{service.url}/predict/alone", json={"rows": [row]})
    assert refused.status_code == 422
    assert service.stop() == 0
