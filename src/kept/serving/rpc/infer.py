"""Requests and answers of `ModelInfer`: from its messages to what a model is asked, and back."""

from datetime import datetime
from typing import Any

import msgspec
from google.protobuf.message import DecodeError

from kept.core.errors import Invalid
from kept.serving.calls import Call
from kept.serving.explaining.writing import parameters, tensors
from kept.serving.protocol.datatypes import FLOATS, pack, without_nan
from kept.serving.protocol.tensors import Parameters, Part, Sent, check_form_of
from kept.serving.rpc.messages import message_type

_Request: Any = message_type("ModelInferRequest")
_Response: Any = message_type("ModelInferResponse")
_CONTENTS = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
    "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
    "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}  # fmt: skip


def decode_request(data: bytes) -> Any:
    """The message in bytes that may be anything."""
    try:
        return _Request.FromString(data)
    except DecodeError as error:
        raise Invalid("the bytes are not a ModelInferRequest", where="message") from error


def sent_in(message: Any) -> Sent:
    """What a message asks, before it is held against a signature."""
    raw = message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        what = f"expected raw contents for all of {len(message.inputs)} inputs, found {len(raw)}"
        raise Invalid(what, where="raw_input_contents", fix="Send all tensors raw, or none")
    inputs = [
        Part(tensor.name, list(tensor.shape), tensor.datatype, raw[place] if raw else _contents(tensor))
        for place, tensor in enumerate(message.inputs)
    ]
    if any(not part.shape for part in inputs):
        raise Invalid("an input has no shape", where="inputs", fix="Send [rows]")
    for output in message.outputs:
        check_form_of(output.name, output.parameters)
    outputs = [output.name for output in message.outputs]
    return Sent(inputs, outputs, message.id or None, _parameters(message.parameters) if message.parameters else None)


def answer_of(call: Call) -> bytes:
    """The message with the answer of a call, its tensors as bytes."""
    assert call.arm is not None  # noqa: S101 - a call that was answered has its arm
    answerer, question = call.arm.answerer, call.question
    response = _Response(model_name=answerer.endpoint, model_version=str(answerer.number), id=question.name or "")
    if call.fallback:
        response.parameters["fallback"].string_param = call.fallback
    for name in question.wanted or answerer.outputs:
        datatype, shape, data = answerer.elements(name, call.ids, call.scores)
        response.outputs.add(name=name, datatype=datatype, shape=shape)
        response.raw_output_contents.append(data)
    if call.explanation is not None:
        for name, shape, values in tensors(call.explanation):
            response.outputs.add(name=name, datatype="FP64", shape=shape)
            response.raw_output_contents.append(pack("FP64", values))
        for name, value in parameters(call.explanation).items():
            response.parameters[name].string_param = value
    answered: bytes = response.SerializeToString()
    return answered


def _contents(tensor: Any) -> list[Any]:
    where = f"inputs {tensor.name!r}"
    field = _CONTENTS.get(tensor.datatype)
    if field is None:
        what = f"elements of {tensor.datatype!r} cannot be sent one by one"
        raise Invalid(what, where=where, fix="Send them in raw_input_contents")
    values = list(getattr(tensor.contents, field))
    if tensor.datatype in FLOATS:
        return without_nan(values)
    if tensor.datatype == "BYTES":
        try:
            return [value.decode("utf-8") for value in values]
        except UnicodeDecodeError as error:
            raise Invalid("expected text in UTF-8, found other bytes", where=where) from error
    return values


def _parameters(given: Any) -> Parameters:
    plain: dict[str, Any] = {}
    for name in given:
        kind = given[name].WhichOneof("choice")
        if kind is not None:
            plain[name] = getattr(given[name], kind)
    try:
        if isinstance(plain.get("event_time"), str):
            plain["event_time"] = msgspec.convert(plain["event_time"], datetime)
        return msgspec.convert(plain, Parameters)
    except msgspec.ValidationError as error:
        raise Invalid(str(error), where="parameters", fix="See how to ask for predictions") from error
