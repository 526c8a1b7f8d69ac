"""The messages of the protocol over gRPC, made from a table: what stands on the wire is the protocol's, number by number.

A line names a message and its fields: `name type number`, with `*` for a repeated field, `?` for one of a set of which one is
given, and `map` for parameters by name. Types are protobuf's own, or a message of the table.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

PACKAGE = "inference"
SERVICE = "GRPCInferenceService"

_TABLE = """
ServerLiveRequest
ServerLiveResponse: live bool 1
ServerReadyRequest
ServerReadyResponse: ready bool 1
ModelReadyRequest: name string 1, version string 2
ModelReadyResponse: ready bool 1
ServerMetadataRequest
ServerMetadataResponse: name string 1, version string 2, extensions *string 3
ModelMetadataRequest: name string 1, version string 2
ModelMetadataResponse: name string 1, versions *string 2, platform string 3, inputs *TensorMetadata 4, outputs *TensorMetadata 5
ModelMetadataResponse.TensorMetadata: name string 1, datatype string 2, shape *int64 3
InferParameter: bool_param ?bool 1, int64_param ?int64 2, string_param ?string 3, double_param ?double 4, uint64_param ?uint64 5
InferTensorContents: bool_contents *bool 1, int_contents *int32 2, int64_contents *int64 3, uint_contents *uint32 4, \
uint64_contents *uint64 5, fp32_contents *float 6, fp64_contents *double 7, bytes_contents *bytes 8
ModelInferRequest: model_name string 1, model_version string 2, id string 3, parameters map 4, inputs *InferInputTensor 5, \
outputs *InferRequestedOutputTensor 6, raw_input_contents *bytes 7
ModelInferRequest.InferInputTensor: name string 1, datatype string 2, shape *int64 3, parameters map 4, \
contents InferTensorContents 5
ModelInferRequest.InferRequestedOutputTensor: name string 1, parameters map 2
ModelInferResponse: model_name string 1, model_version string 2, id string 3, parameters map 4, outputs *InferOutputTensor 5, \
raw_output_contents *bytes 6
ModelInferResponse.InferOutputTensor: name string 1, datatype string 2, shape *int64 3, parameters map 4, \
contents InferTensorContents 5
"""

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "bool": _Field.TYPE_BOOL, "string": _Field.TYPE_STRING, "bytes": _Field.TYPE_BYTES, "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64, "uint32": _Field.TYPE_UINT32, "uint64": _Field.TYPE_UINT64, "float": _Field.TYPE_FLOAT,
    "double": _Field.TYPE_DOUBLE,
}  # fmt: skip


def _described() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="kept/inference.proto", package=PACKAGE, syntax="proto3")
    made: dict[str, Any] = {}
    for line in _TABLE.strip().splitlines():
        name, _, fields = line.partition(": ")
        outer, _, inner = name.rpartition(".")
        message = made[outer].nested_type.add(name=inner) if outer else file.message_type.add(name=name)
        made[name] = message
        for field in fields.split(", ") if fields else []:
            _add(message, name, *field.split())
    return file


def _add(message: Any, owner: str, name: str, kind: str, number: str) -> None:
    field = message.field.add(name=name, number=int(number), label=_Field.LABEL_OPTIONAL)
    if kind.startswith("?"):
        if not message.oneof_decl:
            message.oneof_decl.add(name="choice")
        field.oneof_index = 0
    if kind.startswith("*") or kind == "map":
        field.label = _Field.LABEL_REPEATED
    plain = kind.lstrip("*?")
    if plain in _SCALARS:
        field.type = _SCALARS[plain]
        return
    field.type = _Field.TYPE_MESSAGE
    if plain == "map":
        entry = message.nested_type.add(name="ParametersEntry")
        entry.options.map_entry = True
        _add(entry, f"{owner}.ParametersEntry", "key", "string", "1")
        _add(entry, f"{owner}.ParametersEntry", "value", "InferParameter", "2")
        field.type_name = f".{PACKAGE}.{owner}.ParametersEntry"
    else:
        inner = f"{owner}.{plain}" if f"\n{owner}.{plain}:" in _TABLE else plain
        field.type_name = f".{PACKAGE}.{inner}"


# A pool of our own: another package of the same process may know the same names.
_pool = descriptor_pool.DescriptorPool()
_pool.Add(_described())


def message_type(name: str) -> type[Message]:
    """The class of a message."""
    found: type[Message] = message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
    return found
