"""Explanations in answers.

Plain and MLflow's forms: `explanations` beside the predictions, with the method, the scale, and for each row `base`, `sum` and the
contributions by name; of several classes these for each class. Protocol's form: further outputs `contributions` FP64
[n, inputs] (or [n, classes, inputs]) in the order of the model's inputs, and `base_value` FP64 [n] (or [n, classes]), with
the method and scale as parameters.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from kept.packaging.explaining.explanation import SCALES, ExplainedRow, Explanation
from kept.serving.calls import Call
from kept.serving.protocol.answers import label_text

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def put_in(call: Call, found: Explanation) -> None:
    """Adds a call's explanation to its answer. An answer over gRPC is put together elsewhere."""
    if call.form == "message":
        return
    size = call.answer_json_size or len(call.answer)
    said = _decode(call.answer[:size])
    if call.form == "tensors":
        said["outputs"] += [
            {"name": name, "datatype": "FP64", "shape": shape, "data": data} for name, shape, data in tensors(found)
        ]
        said["parameters"] = said.get("parameters", {}) | parameters(found)
    else:
        said["explanations"] = as_plain(found)
    head = msgspec.json.encode(said)
    call.answer = head + call.answer[size:]
    call.answer_json_size = len(head) if call.answer_json_size else 0


def as_plain(found: Explanation) -> dict[str, Any]:
    """An explanation with everything by name."""
    said: dict[str, Any] = {"method": found.method, "scale": found.scale, "meaning": SCALES[found.scale]}
    if found.orders is not None:
        said |= {"orders": found.orders, "seed": found.seed}
    several = len(found.outputs) > 1
    rows = [[_output(found, row, place) for place in range(len(row.sums))] for row in found.rows]
    names = [label_text(label) for label in found.outputs]
    said["rows"] = [{"classes": dict(zip(names, row, strict=True))} if several else row[0] for row in rows]
    return said


def parameters(found: Explanation) -> dict[str, str]:
    """What the tensors' numbers are."""
    return {"explanation_method": found.method, "explanation_scale": found.scale}


def tensors(found: Explanation) -> list[tuple[str, list[int], list[float]]]:
    """Name, shape and elements of the outputs that explain."""
    shape = [len(found.rows)] + ([len(found.outputs)] if len(found.outputs) > 1 else [])
    contributions = [value for row in found.rows for one in row.contributions for value in one]
    return [
        ("contributions", [*shape, len(found.features)], contributions),
        ("base_value", shape, [*found.base] * len(found.rows)),
    ]


def _output(found: Explanation, row: ExplainedRow, place: int) -> dict[str, Any]:
    said: dict[str, Any] = {
        "base": found.base[place],
        "sum": row.sums[place],
        "contributions": _named(found, row.contributions[place]),
    }
    if row.half_widths is not None:
        said["half_widths"] = _named(found, row.half_widths[place])
    return said


def _named(found: Explanation, values: Sequence[float]) -> dict[str, float]:
    return dict(zip(found.features, values, strict=True))
