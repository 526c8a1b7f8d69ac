"""gRPC from below: bytes that are no message, deadlines, secrets, metrics. The public client has a test of its own."""

import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from predicting import Packaged, Service, flights

from kept.core.errors import KeptError

grpc = pytest.importorskip("grpc", reason="kept[grpc] is not installed")

from kept.serving.rpc.endings import ending  # noqa: E402 - it needs the package that is asked for above
from kept.serving.rpc.messages import message_type  # noqa: E402
from waiting import free_ports  # noqa: E402

Request: Any = message_type("ModelInferRequest")
Response: Any = message_type("ModelInferResponse")
INVALID = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory, packaged: dict[str, Packaged]) -> Iterator[tuple[Service, int]]:
    made = Service(tmp_path_factory.mktemp("grpc"), packaged)
    port = free_ports()
    made.settings = {"grpc_port": str(port)}
    made.route(
        late=(made.arm("first", 1),),
        wider=(made.arm("first", 1, weight=0.5), made.arm("wider", 2, "canary", 0.5)),
        hours=(made.arm("regression", 2),),
    )
    yield made.start(), port
    assert made.stop() == 0


@pytest.fixture(scope="module")
def infer(listening: tuple[Service, int]) -> Iterator[Any]:
    with grpc.insecure_channel(f"127.0.0.1:{listening[1]}") as channel:
        yield channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")


def asked(model: str = "late", rows: int = 2, **more: str) -> Any:
    request = Request(model_name=model)
    for name, value in more.items():
        request.parameters[name].string_param = value
    frame = flights(rows)
    for name, datatype, field in (
        ("distance", "FP64", "fp64_contents"),
        ("hour", "INT32", "int_contents"),
        ("carrier", "BYTES", "bytes_contents"),
        ("express", "BOOL", "bool_contents"),
        ("wind", "FP32", "fp32_contents"),
    ):
        values = frame[name].to_list()
        tensor = request.inputs.add(name=name, datatype=datatype, shape=[rows])
        getattr(tensor.contents, field).extend(map(str.encode, values) if datatype == "BYTES" else values)
    return request


def test_more_calls_at_once_than_may_be_are_told_to_wait(service: Service) -> None:
    port = free_ports()
    service.settings = {"grpc_port": str(port), "grpc_at_once": "4"}
    service.start()
    message, said = asked().SerializeToString(), threading.Event()

    def slowly() -> Iterator[bytes]:
        said.wait(60)
        yield message

    path = "/inference.GRPCInferenceService/ModelInfer"
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        ask, slow = channel.unary_unary(path), channel.stream_unary(path)
        assert ask(message, timeout=60)
        held = [slow.future(slowly(), timeout=60) for _ in range(4)]
        found: Any = None
        for _ in range(200):
            try:
                ask(message, timeout=60)
            except grpc.RpcError as error:
                found = error
                break
            time.sleep(0.05)
        assert found.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        said.set()
        assert [call.result() != b"" for call in held] == [True] * 4
        assert ask(message, timeout=60)
    assert service.stop() == 0


def test_an_answer_holds_the_scores_of_the_bundle(infer: Any, packaged: dict[str, Packaged]) -> None:
    answer = Response.FromString(infer(asked().SerializeToString()))
    assert [one.name for one in answer.outputs] == ["probability", "prediction", "prediction_id"]
    assert memoryview(answer.raw_output_contents[0]).cast("d").tolist() == pytest.approx(
        packaged["first"].expected(flights(2)), abs=1e-12
    )


def test_a_routing_key_keeps_its_arm(infer: Any) -> None:
    seen = set()
    for key in map(str, range(20)):
        versions = {
            Response.FromString(infer(asked("wider", routing_key=key).SerializeToString())).model_version
            for _ in range(2)
        }
        assert len(versions) == 1
        seen |= versions
    assert seen == {"1", "2"}


def refused(infer: Any, data: bytes, **more: Any) -> Any:
    with pytest.raises(grpc.RpcError) as raised:
        infer(data, **more)
    return raised.value


def test_what_does_not_fit(infer: Any) -> None:
    no_shape = asked()
    del no_shape.inputs[0].shape[:]
    half = asked()
    half.inputs[0].datatype = "FP16"
    some_raw = asked()
    some_raw.raw_input_contents.append(b"")
    text = asked()
    text.inputs[2].contents.bytes_contents[1] = b"\xff"
    strange = asked()
    strange.inputs[0].datatype = "é" * 100_000
    for data, said, code in (
        (strange.SerializeToString(), "Send them in raw_input_contents", INVALID),
        (asked("n" * 1_000_000).SerializeToString(), "there is no such endpoint", grpc.StatusCode.NOT_FOUND),
        (asked(event_time="0001-01-01T00:00:00+14:00").SerializeToString(), "Send one of 1900 to 2200", INVALID),
        (b"\xff\xff", "not a ModelInferRequest", INVALID),
        (asked("nobody").SerializeToString(), "there is no such endpoint", grpc.StatusCode.NOT_FOUND),
        (no_shape.SerializeToString(), "an input has no shape", INVALID),
        (half.SerializeToString(), "cannot be sent one by one", INVALID),
        (some_raw.SerializeToString(), "expected raw contents for all of 5 inputs, found 1", INVALID),
        (text.SerializeToString(), "expected text in UTF-8", INVALID),
        (asked(event_time="yesterday").SerializeToString(), "parameters", INVALID),
        (bytes(17 << 20), "larger than max", grpc.StatusCode.RESOURCE_EXHAUSTED),
    ):
        error = refused(infer, data)
        assert (said in error.details(), error.code()) == (True, code), error.details()


def test_a_request_past_its_deadline_is_refused_as_unavailable(infer: Any) -> None:
    assert infer(asked().SerializeToString(), timeout=60.0)
    late = asked()
    late.parameters["timeout"].int64_param = 1
    error = refused(infer, late.SerializeToString())
    assert (error.code(), "its deadline of 1 microseconds" in error.details()) == (grpc.StatusCode.UNAVAILABLE, True)
    assert ("retry-after", "1") in error.trailing_metadata()


def test_a_secret_is_asked_for(service: Service) -> None:
    port = free_ports()
    service.settings = {"grpc_port": str(port), "callers": "shop:one back:two"}
    service.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        for metadata in ((), (("authorization", "Bearer three"),)):
            assert (
                refused(call, asked().SerializeToString(), metadata=metadata).code() == grpc.StatusCode.UNAUTHENTICATED
            )
        assert call(asked().SerializeToString(), metadata=(("authorization", "Bearer two"),))
    assert service.stop() == 0


@given(st.binary(max_size=60) | st.tuples(st.integers(0, 200), st.binary(max_size=5)))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_bytes_come_the_service_stays_up(
    infer: Any, listening: tuple[Service, int], change: bytes | tuple[int, bytes]
) -> None:
    data = asked().SerializeToString()
    sent = change if isinstance(change, bytes) else data[: change[0]] + change[1] + data[change[0] + len(change[1]) :]
    try:
        infer(sent, timeout=60.0)
    except grpc.RpcError as error:
        assert error.code() in {INVALID, grpc.StatusCode.NOT_FOUND}, error.details()  # noqa: PT017
    assert httpx.get(f"{listening[0].url}/v2/health/live").status_code == 200


@given(
    what=st.text(st.characters(codec="utf-8"), max_size=2_000),
    where=st.none() | st.text(st.sampled_from('%"\\a é😀\0\n'), max_size=2_000),
    fix=st.none() | st.text(st.sampled_from("%😀"), min_size=900, max_size=2_000),
)
@settings(max_examples=200, deadline=None)
@example(what="%" * 2_000, where='"' * 2_000, fix="\x7f" * 2_000)
def test_an_error_of_any_length_fits_into_what_clients_take_behind_an_answer(
    what: str, where: str | None, fix: str | None
) -> None:
    message, parts = ending(KeptError(what, where=where, fix=fix))
    # gRPC writes bytes as base64, and escapes what is no printable ASCII; a client may refuse all above 8 KB.
    assert len(quote(message, safe=" ")) + len(parts) * 4 // 3 < 7_000
    told = msgspec.json.decode(parts)
    assert what.startswith(told["what"].removesuffix("..."))


def test_an_error_that_is_short_is_told_whole() -> None:
    error = KeptError("expected a number, found 'é'", where="inputs 'distance'", fix="Send 100% numbers")
    message, parts = ending(error)
    assert message == str(error)
    assert msgspec.json.decode(parts) == {"what": error.what, "where": error.where, "fix": error.fix}


@pytest.mark.parametrize("name", ["%" * 4_000, "\x01" * 4_000, "😀" * 4_000], ids=["percent", "control", "emoji"])
def test_a_client_is_told_of_a_name_that_grows_when_it_is_written(infer: Any, name: str) -> None:
    strange = asked()
    strange.inputs[0].datatype = name
    error = refused(infer, strange.SerializeToString())
    assert (error.code(), "Send them in raw_input_contents" in error.details()) == (INVALID, True), error.details()
    parts = msgspec.json.decode(dict(error.trailing_metadata())["kept-error-bin"])
    assert parts["fix"] == "Send them in raw_input_contents"
