"""Explanations of answers over HTTP and gRPC: additive, refused with a reason, and no burden to other requests."""

import asyncio
import contextlib
import os
import re
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
from odd_models import ODD, Forking
from odd_models import packaged as packaged_odd
from predicting import ROW, Packaged, Service, flights
from sklearn.neighbors import NearestCentroid
from tensor_models import pack_images

from graphs import IMAGE
from kept.core.errors import Unavailable
from kept.packaging.build import package
from kept.packaging.bundle import describe_files, read_bundle
from kept.packaging.explaining.recipe import COVERS, RECIPE
from kept.packaging.frames import encode_frame, fit_encoder, infer_signature
from kept.packaging.manifest import MANIFEST, decode_manifest, encode_manifest
from kept.serving.entries import Answered, Failed, frames
from kept.serving.explaining.frames import Wanted
from kept.serving.explaining.process import Process
from kept.store.spool import segments
from kept.testing.jobs import alive, until
from waiting import free_ports

ROWS = [ROW, {**ROW, "distance": 2500.0, "hour": 22, "carrier": None}]


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory, packaged: dict[str, Packaged]) -> Iterator[Service]:
    root = tmp_path_factory.mktemp("explained")
    made = Service(root, {**packaged, "older": without_recipe(packaged["first"], root / "older")})
    made.route(
        late=(made.arm("first", 1),),
        hours=(made.arm("regression", 2),),
        kinds=(made.arm("multiclass", 3),),
        older=(made.arm("older", 4),),
    )
    yield made.start()
    assert made.stop() == 0


def test_models_of_tensors_are_not_explained(tmp_path: Path) -> None:
    made = Service(tmp_path, {"images": pack_images(tmp_path / "images")})
    made.route(images=(made.arm("images", 6),))
    made.start()
    shape = [1, *IMAGE]
    image = {"name": "image", "shape": shape, "datatype": "FP32", "data": [0.0] * int(np.prod(shape))}
    asked = {"inputs": [image], "parameters": {"explain": True}}
    answer = httpx.post(f"{made.url}/v2/models/images/infer", json=asked)
    assert answer.status_code == 422
    assert "tensors" in answer.text
    del asked["parameters"]
    assert httpx.post(f"{made.url}/v2/models/images/infer", json=asked).status_code == 200
    assert made.stop() == 0


def without_recipe(made: Packaged, to: Path) -> Packaged:
    """The bundle as an older Kept made it."""
    manifest = decode_manifest((made.folder / MANIFEST).read_bytes(), where="test")
    contents = {one.name: (made.folder / one.name).read_bytes() for one in manifest.files}
    for name in (RECIPE, COVERS):
        del contents[name]
    to.mkdir()
    for name, data in contents.items():
        (to / name).write_bytes(data)
    (to / MANIFEST).write_bytes(encode_manifest(msgspec.structs.replace(manifest, files=describe_files(contents))))
    return Packaged(to, made.columns, made.expected)


def by_skops(to: Path) -> Packaged:
    """A model that is not exported."""
    frame = flights().select("distance", "wind")
    encoder = fit_encoder(frame)
    estimator = NearestCentroid().fit(encode_frame(frame, encoder), frame["distance"] > 1500)
    package(estimator, encoder, infer_signature(frame, frame.columns, task="binary", classes=[False, True]), frame, to)
    return Packaged(to, frame.columns, lambda rows: estimator.predict_proba(encode_frame(rows, encoder))[:, 1])


def ask(service: Service, path: str, **body: Any) -> dict[str, Any]:
    answer = httpx.post(f"{service.url}{path}", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_each_answer_comes_with_what_adds_up_to_it(explained: Service) -> None:
    plain = ask(explained, "/predict/late", rows=ROWS)["predictions"]
    found = ask(explained, "/predict/late?explain=true", rows=ROWS)
    said = found["explanations"]
    assert (said["method"], said["scale"]) == ("tree_shap", "log_odds")
    assert "logistic" in said["meaning"]
    for row, prediction, before in zip(said["rows"], found["predictions"], plain, strict=True):
        assert list(row["contributions"]) == [*ROW]
        assert row["base"] + sum(row["contributions"].values()) == pytest.approx(row["sum"], abs=1e-9)
        assert 1 / (1 + np.exp(-row["sum"])) == pytest.approx(prediction["probability"], abs=1e-9)
        assert prediction["probability"] == before["probability"]
    assert "explanations" not in ask(explained, "/predict/late?explain=false", rows=ROWS)


def test_of_several_classes_each_is_explained(explained: Service) -> None:
    found = ask(explained, "/predict/kinds?explain=true", rows=[{"distance": 700.0, "wind": 9.0}])
    row = found["explanations"]["rows"][0]["classes"]
    sums = np.array([one["sum"] for one in row.values()])
    expected = list(found["predictions"][0]["probabilities"].values())
    assert list(row) == ["early", "late", "on time"]
    np.testing.assert_allclose(np.exp(sums) / np.exp(sums).sum(), expected, atol=1e-9)
    for one in row.values():
        assert one["base"] + sum(one["contributions"].values()) == pytest.approx(one["sum"], abs=1e-9)


def test_the_protocol_answers_tensors_that_explain(explained: Service) -> None:
    inputs = [
        {"name": "distance", "shape": [2], "datatype": "FP64", "data": [700.0, 2000.0]},
        {"name": "wind", "shape": [2], "datatype": "FP64", "data": [9.0, 3.0]},
    ]
    found = ask(explained, "/v2/models/hours/infer", inputs=inputs, parameters={"explain": True})
    outputs = {one["name"]: one for one in found["outputs"]}
    assert found["parameters"] == {"explanation_method": "linear", "explanation_scale": "value"}
    assert outputs["contributions"]["shape"] == [2, 2]
    total = np.array(outputs["contributions"]["data"]).reshape(2, 2).sum(axis=1) + outputs["base_value"]["data"]
    np.testing.assert_allclose(total, outputs["prediction"]["data"], atol=1e-9)
    without = ask(explained, "/v2/models/hours/infer", inputs=inputs, parameters={"explain": False})
    assert "parameters" not in without
    several = ask(explained, "/v2/models/kinds/infer?explain=true", inputs=inputs)
    shapes = {one["name"]: one["shape"] for one in several["outputs"]}
    assert (shapes["contributions"], shapes["base_value"]) == ([2, 3, 2], [2, 3])


def test_bytes_behind_the_json_stay_in_their_place(explained: Service) -> None:
    inputs = [
        {"name": name, "shape": [1], "datatype": "FP64", "data": [value]}
        for name, value in (("distance", 7), ("wind", 9))
    ]
    body = {"inputs": inputs, "parameters": {"explain": True, "binary_data_output": True}}
    answer = httpx.post(f"{explained.url}/v2/models/hours/infer", json=body)
    size = int(answer.headers["inference-header-content-length"])
    outputs = {one["name"]: one for one in msgspec.json.decode(answer.content[:size])["outputs"]}
    value = np.frombuffer(answer.content[size : size + 8])[0]
    assert outputs["base_value"]["data"][0] + sum(outputs["contributions"]["data"]) == pytest.approx(value)


def test_invocations_are_explained_too(explained: Service) -> None:
    found = ask(explained, "/invocations/hours?explain=true", inputs=[{"distance": 700.0, "wind": 9.0}])
    assert found["explanations"]["rows"][0]["sum"] == pytest.approx(found["predictions"][0])


def test_a_model_that_is_not_exported_is_explained_by_sampling(tmp_path: Path) -> None:
    made = Service(tmp_path, {"asked": by_skops(tmp_path / "asked")})
    made.route(asked=(made.arm("asked", 5),))
    made.start()
    found = ask(made, "/predict/asked?explain=true", rows=[{"distance": 700.0, "wind": 9.0}])
    made.kill()
    said, probability = found["explanations"], found["predictions"][0]["probability"]
    row = said["rows"][0]
    assert (said["method"], said["scale"], said["orders"], said["seed"]) == ("sampling", "probability", 200, 0)
    assert row["base"] + sum(row["contributions"].values()) == pytest.approx(probability, abs=1e-9)
    assert set(row["half_widths"]) == {"distance", "wind"}


@pytest.mark.parametrize(
    ("path", "rows", "status", "says"),
    [
        ("/predict/older?explain=true", [ROW], 422, "before answers were explained"),
        ("/predict/late?explain=perhaps", [ROW], 400, "expected true or false"),
        ("/predict/late?explain=true", [ROW] * 101, 422, "at most 100"),
        ("/predict/late?explain=true", [{"hour": 1}], 400, "missing"),
        ("/predict/nothing?explain=true", [ROW], 404, "no such endpoint"),
    ],
)
def test_what_cannot_be_explained_is_refused_with_a_reason(
    explained: Service, path: str, rows: list[Any], status: int, says: str
) -> None:
    answer = httpx.post(f"{explained.url}{path}", json={"rows": rows})
    assert answer.status_code == status
    assert says in answer.text


def test_an_older_bundle_answers_as_before(explained: Service) -> None:
    assert ask(explained, "/predict/older", rows=[ROW])["predictions"]


def test_grpc_answers_the_same_tensors(tmp_path: Path, packaged: dict[str, Packaged]) -> None:
    messages = pytest.importorskip("kept.serving.rpc.messages")
    grpc = pytest.importorskip("grpc")
    made = Service(tmp_path, packaged)
    port = free_ports()
    made.settings = {"grpc_port": str(port)}
    made.route(hours=(made.arm("regression", 2),))
    made.start()
    try:
        asked = messages.message_type("ModelInferRequest")(model_name="hours")
        for name in ("distance", "wind"):
            asked.inputs.add(name=name, shape=[1], datatype="FP64").contents.fp64_contents.append(9.0)
        asked.parameters["explain"].bool_param = True
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
            data = call(asked.SerializeToString(), timeout=60)
        found = messages.message_type("ModelInferResponse").FromString(data)
        raw = dict(zip([one.name for one in found.outputs], found.raw_output_contents, strict=True))
        base, parts, value = (np.frombuffer(raw[name]) for name in ("base_value", "contributions", "prediction"))
        assert found.parameters["explanation_scale"].string_param == "value"
        np.testing.assert_allclose(base + parts.sum(), value)
    finally:
        assert made.stop() == 0


def count_of(service: Service, **labels: str) -> float:
    """Requests that were counted with these labels."""
    found = httpx.get(f"{service.url}/metrics").text.splitlines()
    wanted = [f'{name}="{value}"' for name, value in labels.items()]
    lines = [line for line in found if line.startswith("kept_requests_total{") and all(one in line for one in wanted)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_other_requests_go_on_and_a_killed_process_is_replaced(service: Service) -> None:
    service.start()
    body = {"rows": [ROW] * 50}
    ask(service, "/predict/late?explain=true", **body)
    (child,) = children(service.pid)
    assert os.getpriority(os.PRIO_PROCESS, child) > os.getpriority(os.PRIO_PROCESS, service.pid)
    # While it is stopped nothing can be explained; predictions do not notice.
    os.kill(child, signal.SIGSTOP)
    asked = msgspec.json.encode(body)
    head = f"POST /predict/late?explain=true HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(asked)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", httpx.URL(service.url).port or 0), timeout=60) as waiting:
        # It is there, as a whole, before the first of the predictions is.
        waiting.sendall(head.encode() + asked)
        with httpx.Client() as client:
            for _ in range(50):
                assert client.post(f"{service.url}/predict/late", json={"rows": [ROW]}, timeout=60).status_code == 200
        assert select.select([waiting], [], [], 0)[0] == []
        os.kill(child, signal.SIGKILL)
        assert waiting.recv(1 << 16).startswith(b"HTTP/1.1 503")
    ask(service, "/predict/late?explain=true", **body)
    assert children(service.pid) != [child]
    (child,) = children(service.pid)
    assert service.stop() == 0
    until(lambda: not alive(child))


def test_what_a_model_started_ends_with_the_process_that_explained_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when that one was killed, and what it started still holds its output."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    note = tmp_path / "pid"
    model = Forking()
    model.note = str(note)
    folder = tmp_path / "forking"
    assert packaged_odd(model, folder) == "pickle-trusted"
    digest = read_bundle(folder).digest
    wanted = Wanted(folder=str(folder), digest=digest, trusted=True, rows=[[ODD, 1.0]])

    def kill() -> int:
        until(lambda: note.exists() and note.read_text() != "")
        started = int(note.read_text())
        os.kill(int(Path(f"/proc/{started}/stat").read_text().rpartition(")")[2].split()[1]), signal.SIGKILL)
        return started

    async def asked() -> int:
        process = Process(0)
        asking = asyncio.create_task(process.ask(wanted))
        started = await asyncio.to_thread(kill)
        async with asyncio.timeout(60):
            with pytest.raises(Unavailable, match="has ended"):
                await asking
        return started

    started = asyncio.run(asked())
    until(lambda: not alive(started))


def test_a_deadline_holds_for_explanations(service: Service) -> None:
    service.start()
    ask(service, "/predict/late?explain=true", rows=[ROW])
    (child,) = children(service.pid)
    os.kill(child, signal.SIGSTOP)
    before = count_of(service, status="200", role="champion")
    headers = {"x-request-timeout-ms": "300"}
    answer = httpx.post(f"{service.url}/predict/late?explain=true", json={"rows": [ROW]}, headers=headers, timeout=60)
    assert answer.status_code == 503
    assert "could not be explained within 0.3 s" in answer.text
    # What was answered is what is counted and logged, and no version is to blame.
    assert count_of(service, status="200", role="champion") == before
    assert count_of(service, status="503", role="") == 1
    (folder,) = (service.root / "spool").iterdir()
    entries = [entry for start, path in segments(folder) for _, some in frames(path, start) for entry in some]
    failed = [entry for entry in entries if isinstance(entry, Failed)]
    assert [(one.status, one.version_id, one.rows) for one in failed] == [(503, "", 1)]
    assert failed[0].latency_us >= 300_000
    assert sum(len(entry.ids) for entry in entries if isinstance(entry, Answered)) == before
    ask(service, "/predict/late?explain=true", rows=[ROW])


def test_what_waits_past_its_deadline_costs_the_others_no_process(service: Service) -> None:
    service.start()
    ask(service, "/predict/late?explain=true", rows=[ROW])
    (child,) = children(service.pid)
    os.kill(child, signal.SIGSTOP)
    answers: dict[int, httpx.Response] = {}

    def asking(place: int) -> None:
        url = f"{service.url}/predict/late?explain=true"
        headers = {"x-request-timeout-ms": "200"} if place == 1 else {}
        answers[place] = httpx.post(url, json={"rows": [ROW]}, headers=headers, timeout=60)

    threads = [threading.Thread(target=asking, args=(place,)) for place in range(3)]
    for one in threads:
        one.start()
        time.sleep(0.1)
    # The one behind is told while the first is still at it.
    threads[1].join(timeout=60)
    assert list(answers) == [1]
    os.kill(child, signal.SIGCONT)
    for one in threads:
        one.join()
    assert [answers[place].status_code for place in range(3)] == [200, 503, 200]
    assert "could not be explained within 0.2 s" in answers[1].text
    assert children(service.pid) == [child]


def test_what_is_not_explained_when_the_service_ends_is_told_so(service: Service) -> None:
    service.start()
    ask(service, "/predict/late?explain=true", rows=[ROW])
    (child,) = children(service.pid)
    os.kill(child, signal.SIGSTOP)
    answers: list[httpx.Response] = []
    kinds = {"distance": "FP64", "hour": "INT64", "carrier": "BYTES", "express": "BOOL"}
    inputs = [{"name": name, "shape": [1], "datatype": kinds[name], "data": [value]} for name, value in ROW.items()]
    body = {"inputs": inputs, "parameters": {"explain": True}}
    url = f"{service.url}/v2/models/late/infer"
    asking = threading.Thread(target=lambda: answers.append(httpx.post(url, json=body, timeout=60)))
    asking.start()
    time.sleep(0.3)
    assert service.stop() == 0
    asking.join()
    assert [answer.status_code for answer in answers] == [503]
    assert "the service ends" in answers[0].text


def test_the_process_may_have_so_much_memory(service: Service) -> None:
    service.settings["explain_megabytes"] = "1500"
    service.start()
    ask(service, "/predict/late?explain=true", rows=[ROW])
    (child,) = children(service.pid)
    limits = Path(f"/proc/{child}/limits").read_text()
    assert re.search(r"Max data size +1500000000 +1500000000", limits)
    assert "Max data size             unlimited" in Path(f"/proc/{service.pid}/limits").read_text()


def test_what_needs_more_memory_than_that_is_told_so(service: Service) -> None:
    service.settings["explain_megabytes"] = "1"
    service.start()
    answer = httpx.post(f"{service.url}/predict/late?explain=true", json={"rows": [ROW]}, timeout=60)
    assert answer.status_code == 503
    assert "explain_megabytes" in answer.text
    # What is left of its memory is no good for anything else.
    assert children(service.pid) == []
    assert ask(service, "/predict/late", rows=[ROW])["predictions"]


def test_more_than_can_wait_is_refused(service: Service) -> None:
    service.start()
    ask(service, "/predict/late?explain=true", rows=[ROW])
    (child,) = children(service.pid)
    os.kill(child, signal.SIGSTOP)
    statuses: list[int] = []

    def asking() -> None:
        answer = httpx.post(f"{service.url}/predict/late?explain=true", json={"rows": [ROW]}, timeout=540)
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=asking) for _ in range(70)]
    for one in threads:
        one.start()
    end = time.monotonic() + 60
    while len(statuses) < 6:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert statuses == [429] * 6
    os.kill(child, signal.SIGCONT)
    for one in threads:
        one.join(timeout=540)
    assert statuses.count(200) == 64


def test_callers_take_turns(service: Service) -> None:
    service.settings["callers"] = "greedy:first modest:second"
    service.start()
    modest = httpx.Client(base_url=service.url, headers={"authorization": "Bearer second"}, timeout=60)
    assert modest.post("/predict/late?explain=true", json={"rows": [ROW]}).status_code == 200
    (child,) = children(service.pid)
    os.kill(child, signal.SIGSTOP)
    with contextlib.ExitStack() as stack:
        waiting = [
            stack.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=60)) for _ in range(21)
        ]
        for place, one in enumerate(waiting):
            body = msgspec.json.encode({"rows": [{**ROW, "distance": float(place)}]})
            secret = b"second" if place == 20 else b"first"
            one.sendall(
                b"POST /predict/late?explain=true HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer %b\r\n"
                b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (secret, len(body), body)
            )
            # When this is answered, that waits.
            assert modest.post("/predict/late", json={"rows": [ROW]}).status_code == 200
        os.kill(child, signal.SIGCONT)
        assert {one.recv(65536)[9:12] for one in waiting} == {b"200"}
    modest.close()
    (folder,) = (service.root / "spool").iterdir()
    entries = [entry for start, path in segments(folder) for _, some in frames(path, start) for entry in some]
    answered = [row[0] for entry in entries if isinstance(entry, Answered) for row in entry.features if row[0] < 21]
    assert sorted(answered) == list(range(21))
    assert answered.index(20) <= 2
