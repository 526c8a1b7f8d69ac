"""Packaging a fitted estimator of tables: export, parity check, latency, bundle."""

import math
import warnings
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import polars as pl
import polars.selectors as cs

from kept.core.clock import Clock, SystemClock
from kept.core.digests import canonical_json
from kept.core.errors import CheckFailed, Damaged, Invalid
from kept.packaging.answers import Answers, answering, class_order
from kept.packaging.bundle import describe_files
from kept.packaging.encoding import TableEncoder
from kept.packaging.environment import bill_of_materials, this_environment
from kept.packaging.explaining.making import explanation_files
from kept.packaging.exporters.booster import Booster
from kept.packaging.exporters.columns import flatten
from kept.packaging.exporters.conversion import CONVERTED_TOLERANCE
from kept.packaging.exporters.registry import Exported, NotExportable, export
from kept.packaging.frames import encode_frame
from kept.packaging.limits import find_limits, narrower
from kept.packaging.manifest import Kind, Latency, Manifest, ParityReport
from kept.packaging.measuring import measure_latency
from kept.packaging.onnx_model import OnnxModel
from kept.packaging.parity import TOLERANCE, check_parity
from kept.packaging.probes import fails_far_out, matrix_probes, table_probes
from kept.packaging.runtime import Model, Runtime
from kept.packaging.self_test import SELF_TEST, SelfTest
from kept.packaging.signature import Label, Signature
from kept.packaging.sklearn_model import (
    SklearnModel,
    as_table,
    load_pickle,
    load_skops,
    save_pickle,
    save_skops,
    table_schema,
)
from kept.packaging.tables import TableCodes
from kept.packaging.writing import MATERIALS, UNSTEADY, expect_room, write_bundle

_EXACT = "Choose an objective and columns of numbers that its exporter knows"
_MODEL_FILES: dict[Kind, str] = {"onnx": "model.onnx", "skops": "model.skops", "pickle-trusted": "model.pkl"}
_SELF_TEST_ROWS = 16
_LATENCY_ROWS = 64
_MOST_SAMPLE = 5000


def package(
    estimator: Any,
    encoder: TableEncoder | None,
    signature: Signature,
    sample: pl.DataFrame,
    folder: Path,
    *,
    own_classes: tuple[Label, ...] = (),
    allow_pickle: bool = False,
    latency_runs: int = 1000,
    clock: Clock | None = None,
    redacted: frozenset[str] = frozenset(),
) -> Manifest:
    """Makes a bundle of a fitted estimator.

    The estimator is exported to ONNX where there is an exact exporter, or skl2onnx is installed and converts the parts
    without one, and the export is held against the estimator. Where there is none, or it does not hold, the estimator
    itself is packaged with skops.

    Args:
        estimator: a fitted scikit-learn style estimator.
        encoder: how rows become the matrix it was trained on; None when it takes a table with named columns (polars).
        signature: what it takes and answers.
        sample: training rows with the signature's columns, at least one; a few hundred make a good check.
        folder: where the bundle is to be; it must not exist, or be empty.
        own_classes: the estimator's own names of the signature's classes, in the signature's order, where they are others.
        allow_pickle: whether a pickle may be made when no safe form is possible. Such a bundle loads only where its digest
            is trusted.
        latency_runs: how many predictions of one row to time.
        clock: tells when it was made.
        redacted: columns whose values must not be in the background rows that answers are explained against.

    Raises:
        Invalid: the parts do not fit each other, or the estimator cannot be written safely.
        CheckFailed: no form of it answers like the estimator.
        Conflict: the folder is taken.
    """
    expect_room(folder)
    frame = _fit_together(estimator, encoder, signature, sample)
    subject = _Subject(estimator, encoder, signature, frame, own_classes, allow_pickle, (clock or SystemClock()).now())
    kind, data, runtime = subject.choose()
    rows = _plain_rows(subject.frame.head(_LATENCY_ROWS))
    contents = {
        _MODEL_FILES[kind]: data,
        SELF_TEST: canonical_json(subject.self_test()),
        MATERIALS: canonical_json(bill_of_materials(runtime.manifest.environment, runtime.manifest.estimator)),
        **explanation_files(runtime, subject.exported, runtime.manifest.encoder, subject.frame, redacted=redacted),
    }
    manifest = msgspec.structs.replace(
        runtime.manifest,
        files=describe_files(contents),
        size_bytes=sum(map(len, contents.values())),
        latency=measure_latency(runtime, rows, runs=latency_runs),
    )
    write_bundle(folder, contents, manifest)
    return manifest


class _Subject:
    """One estimator on its way into a bundle."""

    def __init__(
        self,
        estimator: Any,
        encoder: TableEncoder | None,
        signature: Signature,
        frame: pl.DataFrame,
        own_classes: tuple[Label, ...],
        allow_pickle: bool,
        created_at: datetime,
        codes: TableCodes | None = None,
    ) -> None:
        self.frame = frame
        self._estimator = estimator
        self._encoder = encoder
        self._signature = signature
        self._own_classes = own_classes
        self._allow_pickle = allow_pickle
        self._created_at = created_at
        self._original = _asking(answering(estimator, signature, own_classes), codes)
        self._environment = this_environment()
        # What adds up in float32 is held to fewer digits, and says so.
        self._tolerance: float = getattr(flatten(estimator)[-1], "tolerance", TOLERANCE)
        self._limits = find_limits(self._original, encode_frame(frame, encoder)) if encoder is not None else None
        self._codes = codes
        self.exported: Exported | None = None
        if codes is not None and self._limits is not None:
            self._limits = codes.widened(self._limits)

    def choose(self) -> tuple[Kind, bytes, Runtime]:
        """The best form that holds: ONNX, else skops, else (where allowed) a pickle."""
        try:
            subject = self if self._encoder is not None else self._of_matrix()
            exported = subject.onnx()
            self.exported, self._tolerance = subject.exported, subject._tolerance  # noqa: SLF001 - another of these
        except Invalid as refusal:
            exported = NotExportable(f"its table does not become a matrix: {refusal.what}")
        if not isinstance(exported, NotExportable):
            return exported
        reason = exported.reason
        if isinstance(flatten(self._estimator)[-1], Booster):
            # Nothing else of it would be served.
            raise CheckFailed(reason, where=type(self._estimator).__name__, fix=_EXACT)
        try:
            kind, data, loaded = self._safe_form()
        except Invalid as refusal:
            raise Invalid(f"{refusal.what}; as ONNX: {reason}", where=refusal.where, fix=refusal.fix) from refusal
        draft = self._draft(kind, reason)
        runtime = self._prove(draft, SklearnModel(draft, loaded), None, self._tolerance)
        if not runtime.manifest.parity.holds:
            raise CheckFailed(
                f"read back from its file the estimator answers otherwise: {runtime.manifest.parity.reason}",
                where=type(self._estimator).__name__,
                fix=UNSTEADY,
            )
        return kind, data, runtime

    def onnx(self) -> tuple[Kind, bytes, Runtime] | NotExportable:
        """The exact export, when there is one and it holds."""
        assert self._encoder is not None  # noqa: S101 - a table has been made a matrix of
        exported = export(
            self._estimator,
            frozenset(self._encoder.categorical),
            self._codes.words if self._codes else None,
            class_order(self._estimator, self._signature, self._own_classes) if self._own_classes else None,
        )
        if isinstance(exported, NotExportable):
            return exported
        try:
            model = OnnxModel(exported.model, width=len(self._encoder.columns))
        except Damaged as error:
            return NotExportable(str(error))
        runtime = self._held(model, exported)
        if not runtime.manifest.parity.holds:
            by = f" by skl2onnx (of {', '.join(exported.converted)})" if exported.converted else ""
            return NotExportable(f"the export{by} does not hold: {runtime.manifest.parity.reason}")
        self.exported, self._tolerance = exported, runtime.manifest.parity.tolerance
        return "onnx", exported.model, runtime

    def _held(self, model: Model, exported: Exported) -> Runtime:
        """The export held against the estimator; what was converted, within bounds in which it holds, where there are some."""
        draft = self._draft("onnx", "", exported.converted)
        if not exported.converted:
            return self._prove(draft, model, exported, self._tolerance)
        tolerance = max(self._tolerance, CONVERTED_TOLERANCE)
        whole = self._prove(draft, model, exported, tolerance)
        if self._limits is None or not fails_far_out(whole.manifest.parity):
            return whole
        coded = frozenset(self._encoder.categorical) if self._encoder is not None else frozenset()
        for limits in narrower(self._limits, coded):
            runtime = self._prove(msgspec.structs.replace(draft, limits=limits), model, exported, tolerance)
            if runtime.manifest.parity.holds:
                return runtime
        return whole

    def _of_matrix(self) -> "_Subject":
        """The same estimator, asked for its table in the form of a matrix."""
        codes = TableCodes(self._estimator, self._signature, table_schema(self._draft("skops", "")))
        return _Subject(
            self._estimator,
            codes.encoder,
            self._signature,
            self.frame,
            self._own_classes,
            self._allow_pickle,
            self._created_at,
            codes,
        )

    def self_test(self) -> SelfTest:
        """Rows with what the original answers, for the machine that will load the bundle."""
        # JSON has no infinities; NaN and null both stand for missing.
        finite = pl.all_horizontal(pl.lit(value=True), *[~pl.col(name).is_infinite() for name in self._floats()])
        frame = self.frame.filter(finite.fill_null(value=True)).head(_SELF_TEST_ROWS)
        answers = self._ask_frame(frame).reshape(frame.height, -1)
        return SelfTest(
            rows=tuple(_plain_rows(frame)),
            tolerance=self._tolerance,
            answers=tuple(tuple(value if math.isfinite(value) else None for value in row) for row in answers.tolist()),
        )

    def _floats(self) -> list[str]:
        return [name for name, dtype in self.frame.schema.items() if dtype.is_float()]

    def _safe_form(self) -> tuple[Kind, bytes, Any]:
        try:
            data = save_skops(self._estimator)
        except Invalid:
            if not self._allow_pickle:
                raise
            data = save_pickle(self._estimator)
            return "pickle-trusted", data, load_pickle(data)
        return "skops", data, load_skops(data)

    def _prove(self, draft: Manifest, model: Model, exported: Exported | None, tolerance: float) -> Runtime:
        runtime = Runtime(draft, "", model)
        if self._encoder is not None:
            groups = matrix_probes(encode_frame(self.frame, self._encoder), self._encoder, exported)
            if self._codes is not None:
                groups = {name: self._codes.possible(rows) for name, rows in groups.items()}
            parity = check_parity(self._original, runtime.predict, groups, tolerance=tolerance)
        else:
            schema = table_schema(draft)
            original = self._original
            names = self._signature.names

            def ask(rows: list[dict[str, Any]]) -> Answers:
                return original(as_table({name: [row[name] for row in rows] for name in names}, schema))

            parity = check_parity(ask, runtime.predict_rows, table_probes(_plain_rows(self.frame), self._signature))
        return Runtime(msgspec.structs.replace(draft, parity=parity), "", model)

    def _ask_frame(self, frame: pl.DataFrame) -> Answers:
        return self._original(frame if self._encoder is None else encode_frame(frame, self._encoder))

    def _draft(self, kind: Kind, reason: str, converted: tuple[str, ...] = ()) -> Manifest:
        """The manifest without what is only known at the end."""
        takes: Literal["matrix", "table"] = "table" if self._encoder is None else "matrix"
        return Manifest(
            signature=self._signature,
            input=takes,
            encoder=self._encoder,
            dtypes={name: str(dtype.base_type()) for name, dtype in self.frame.schema.items()}
            if takes == "table"
            else {},
            runtime=kind,
            model=_MODEL_FILES[kind],
            own_classes=self._own_classes,
            estimator=f"{type(self._estimator).__module__}.{type(self._estimator).__qualname__}",
            files=describe_files({_MODEL_FILES[kind]: b""}),
            limits=self._limits,
            parity=ParityReport(holds=False, tolerance=0.0, groups=(), reason="not checked yet"),
            not_exported=reason,
            converted=converted,
            environment=self._environment,
            latency=Latency(p50_ms=0.0, p99_ms=0.0, runs=0),
            size_bytes=0,
            created_at=self._created_at,
        )


def _fit_together(
    estimator: Any, encoder: TableEncoder | None, signature: Signature, sample: pl.DataFrame
) -> pl.DataFrame:
    """The sample's rows and columns that are used, when the parts belong to one model."""
    name = type(estimator).__name__
    if lacking := [column for column in signature.names if column not in sample.columns]:
        raise Invalid(f"the sample has no column {lacking[0]!r}", where=name, fix="Give rows with every input")
    if sample.is_empty():
        raise Invalid("the sample has no rows", where=name, fix="Give rows like the training rows")
    if encoder is not None and encoder.names != signature.names:
        fix = "Make the signature with signature_of(frame, encoder, ...)"
        raise Invalid("the encoder's columns are not the signature's inputs, in order", where=name, fix=fix)
    known = tuple(getattr(estimator, "feature_names_in_", ()))
    if encoder is not None and known and known != encoder.names:
        fix = "Train it on the encoder's matrix, or package it without an encoder"
        raise Invalid(f"it was trained on the columns {', '.join(map(str, known))}", where=name, fix=fix)
    count = getattr(estimator, "n_features_in_", len(signature.names))
    if encoder is not None and count != len(signature.names):
        raise Invalid(f"it was trained on {count} columns, the signature has {len(signature.names)}", where=name)
    frame = sample.select(signature.names)
    decimals = [pl.col(column).cast(pl.Float64) for column, dtype in frame.schema.items() if dtype.is_decimal()]
    frame = frame.with_columns(decimals)
    if frame.height <= _MOST_SAMPLE:
        return frame
    return frame.gather_every(math.ceil(frame.height / _MOST_SAMPLE))


def _asking(answers: Callable[[Any], Answers], codes: TableCodes | None) -> Callable[[Any], Answers]:
    ask = _quiet(answers)
    return ask if codes is None else lambda matrix: ask(codes.table(matrix))


def _quiet(ask: Callable[[Any], Answers]) -> Callable[[Any], Answers]:
    """The same without warnings: a probe beyond all reason is not worth one."""

    def answer(features: Any) -> Answers:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return ask(features)

    return answer


def _plain_rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """The rows as a request would bring them: NaN as null."""
    return frame.with_columns(cs.float().fill_nan(None)).to_dicts()
