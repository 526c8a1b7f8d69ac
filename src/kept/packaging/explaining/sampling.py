"""Sampled explanations of any model, by asking it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kept.measures.sampled_shapley import Sampled, sampled_shapley
from kept.packaging.explaining.explanation import ExplainedRow, Explanation, nested, outputs_of, plain_scale
from kept.packaging.explaining.recipe import Recipe, unfit
from kept.packaging.rows import MatrixEncoder, Row, RowReader
from kept.packaging.runtime import Runtime

ORDERS = 200
SEED = 0


class SamplingExplainer:
    """Explains any model by asking it, against background rows."""

    exact = False
    most_rows = 10

    def __init__(self, runtime: Runtime, recipe: Recipe) -> None:
        if not recipe.background:
            raise unfit(runtime.digest)
        manifest = runtime.manifest
        self._runtime = runtime
        self.features = manifest.signature.names
        self._reader = RowReader(manifest.signature)
        self._encoder = None if manifest.encoder is None else MatrixEncoder(manifest.signature, manifest.encoder)
        self._background = self._values(recipe.background)

    def explain(self, rows: Sequence[Row]) -> Explanation:
        """The rows, explained. The same row has the same explanation whenever it is asked for."""
        values = self._values(rows)
        answered = self._ask(values).reshape(len(values), -1)
        found = [self._sampled(row) for row in values]
        signature = self._runtime.manifest.signature
        return Explanation(
            method="sampling",
            scale=plain_scale(signature),
            features=signature.names,
            outputs=outputs_of(signature),
            base=tuple(found[0].base.tolist()) if found else (),
            rows=tuple(
                ExplainedRow(
                    answers=tuple(said.tolist()),
                    sums=tuple((one.base + one.contributions.sum(axis=1)).tolist()),
                    contributions=nested(one.contributions),
                    half_widths=nested(one.half_width),
                )
                for said, one in zip(answered, found, strict=True)
            ),
            orders=found[0].orders if found else ORDERS,
            seed=SEED,
        )

    def _sampled(self, row: NDArray[np.float64]) -> Sampled:
        def ask(known: NDArray[np.bool_], fills: NDArray[np.int64]) -> NDArray[np.float64]:
            mixed = np.where(known, row, self._background[fills])
            return self._ask(mixed).reshape(len(mixed), -1)

        return sampled_shapley(ask, len(row), len(self._background), orders=ORDERS, seed=SEED)

    def _ask(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        if self._encoder is not None:
            return self._runtime.predict(values)
        names = self._runtime.manifest.signature.names
        return self._runtime.predict_columns({name: values[:, place].tolist() for place, name in enumerate(names)})

    def _values(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        """Rows as a matrix; for a model that takes a table, of values as they are."""
        if self._encoder is not None:
            return self._encoder.encode(rows)
        table = np.empty((len(rows), len(self._runtime.manifest.signature.names)), dtype=object)
        for number, values in enumerate(self._reader.read(rows)):
            table[number] = values
        return table
