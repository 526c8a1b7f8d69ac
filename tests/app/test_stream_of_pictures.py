"""Messages that hold tensors, scored and logged without a spool."""

import json
from pathlib import Path

import numpy as np

from graphs import IMAGE, image_model
from kept.app.streaming.judging import Beside, Judge
from kept.app.streaming.log import StreamLog
from kept.app.streaming.message import Message, Partition
from kept.core.clock import SystemClock
from kept.deployment.routing import Arm
from kept.packaging.tensor_build import graph_signature, package_tensors
from kept.serving.logrules import LogRules
from kept.serving.runtime import LoadedModel
from kept.store.tables import DeltaTables


def test_messages_with_pictures_are_answered_and_logged_once(tmp_path: Path) -> None:
    package_tensors(image_model(), graph_signature(image_model(), where="m"), tmp_path / "bundle", latency_runs=5)
    model = LoadedModel(tmp_path / "bundle")
    arm = Arm(version_id="v1", number=1, model="birds", bundle=model.digest)
    judge = Judge("birds", arm, model, "group", Beside())
    images = np.random.default_rng(0).normal(size=(3, *IMAGE)).astype(np.float32)
    bodies = [json.dumps({"image": image.tolist()}).encode() for image in images] + [b'{"image": [1]}']
    partition = Partition("pictures", 0)
    messages = [Message(partition=partition, offset=place, time_ms=1, value=body) for place, body in enumerate(bodies)]
    judged = judge.judge(messages)
    answered = [json.loads(one)["outputs"] for one in judged.answers]
    assert np.shape([one["embedding"] for one in answered]) == (3, 5)
    assert [one.status for one in judged.refused] == [400]
    tables = DeltaTables(tmp_path / "tables")
    for _ in range(2):
        StreamLog(tables, SystemClock(), "birds", "cluster/group", LogRules(tensor_values=4)).write(
            judged, {partition: 4}
        )
    rows = tables.read("predictions/birds").sort("id").collect()
    assert rows.height == 3
    first = rows.row(0, named=True)
    assert first["answer_logits"]["values"] == answered[0]["logits"]
    assert first["answer_embedding"]["values"] is None
    assert first["tensor_image"]["digest"].startswith("sha256:")
