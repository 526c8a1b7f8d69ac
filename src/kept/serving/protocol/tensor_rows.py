"""The plain form and MLflow's forms for models whose inputs are tensors: lists within lists become arrays.

`/predict` takes rows or columns, each field a list as deep as its shape. `/invocations` takes MLflow's `inputs` (a batch by
name, or the batch itself where there is one input), `instances` (a tensor or an object for each row), `dataframe_split` and
`dataframe_records` with lists in their cells. CSV has no tensors.
"""

from typing import Any, NoReturn

import msgspec

from kept.core.errors import Invalid
from kept.packaging.signature import Signature
from kept.packaging.tensors import batch_of, row_of
from kept.serving.protocol.invocations import given_form
from kept.serving.protocol.rows import BESIDE, RowsReader, asked_with
from kept.serving.protocol.values import Question, explain

_Params = msgspec.defstruct("_Params", BESIDE)
_NOTHING = _Params()


class _Split(msgspec.Struct):
    columns: list[str]
    data: list[list[Any]]


class _Body(msgspec.Struct):
    dataframe_split: _Split | msgspec.UnsetType = msgspec.UNSET
    dataframe_records: list[dict[str, Any]] | msgspec.UnsetType = msgspec.UNSET
    instances: list[Any] | msgspec.UnsetType = msgspec.UNSET
    inputs: list[Any] | dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    params: _Params | None = None  # type: ignore[valid-type]


_decoder = msgspec.json.Decoder(_Body)


class TensorRowsReader(RowsReader):
    """Reads bodies in the plain form."""

    def __init__(self, signature: Signature) -> None:
        super().__init__(signature)
        self._fields = signature.inputs

    def read(self, body: bytes) -> Question:
        """The question, or `Invalid` naming the field."""
        question = super().read(body)
        question.values = [self._arrays(row, f"rows[{number}].") for number, row in enumerate(question.values)]
        return question

    def row(self, body: bytes) -> Any:
        """The values of a body that is one row and nothing else, or `Invalid` naming the field."""
        return self._arrays(super().row(body), "")

    def _arrays(self, row: Any, where: str) -> tuple[Any, ...]:
        return tuple(
            row_of(value, field, f"{where}{field.name}") for value, field in zip(row, self._fields, strict=True)
        )


class TensorInvocationsReader:
    """Reads MLflow's bodies."""

    def __init__(self, signature: Signature) -> None:
        self._fields = signature.inputs
        self._names = signature.names

    def read(self, body: bytes) -> Question:
        """The question of a JSON body, or `Invalid` naming the input."""
        try:
            asked = _decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise explain(error) from error
        form = given_form(asked)
        columns = self._columns(getattr(asked, form), form)
        batches = [batch_of(columns[field.name], field, f"{form}: {field.name!r}") for field in self._fields]
        rows = len(batches[0])
        for field, batch in zip(self._fields, batches, strict=True):
            if len(batch) != rows:
                what = f"expected {rows} rows like the input {self._names[0]!r}, found {len(batch)}"
                raise Invalid(what, where=f"{form}: {field.name!r}")
        return asked_with(
            asked.params or _NOTHING, [tuple(batch[row, ...] for batch in batches) for row in range(rows)]
        )

    def read_csv(self, body: bytes) -> NoReturn:
        """Refuses CSV."""
        del body
        raise Invalid("tensors cannot be sent as CSV", where="body", fix="Send inputs or instances in JSON")

    def _columns(self, sent: Any, form: str) -> dict[str, Any]:
        """What was sent for each input, a batch."""
        if isinstance(sent, _Split):
            for number, row in enumerate(sent.data):
                if len(row) != len(sent.columns):
                    raise Invalid(
                        f"expected {len(sent.columns)} cells, found {len(row)}", where=f"{form}: row {number}"
                    )
            sent = {name: [row[place] for row in sent.data] for place, name in enumerate(sent.columns)}
        elif isinstance(sent, list) and sent and all(isinstance(row, dict) for row in sent):
            for number, row in enumerate(sent):
                self._expect(row, f"{form}[{number}]")
            sent = {name: [row[name] for row in sent] for name in self._names}
        elif isinstance(sent, list):
            if len(self._names) > 1:
                fix = f"Send {', '.join(self._names)} by name"
                raise Invalid(f"expected {len(self._names)} inputs, found one", where=form, fix=fix)
            sent = {self._names[0]: sent}
        self._expect(sent, form)
        return dict(sent)

    def _expect(self, sent: dict[str, Any], where: str) -> None:
        for name in self._names:
            if name not in sent:
                raise Invalid(f"the input {name!r} is missing", where=where, fix="Send it")
