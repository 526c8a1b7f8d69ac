"""Models that do what models should not do. Their processes import them from here."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from predicting import flights
from sklearn.naive_bayes import GaussianNB

from kept.packaging.build import package
from kept.packaging.frames import encode_frame, fit_encoder, infer_signature

COLUMNS = ["distance", "wind"]
ODD = 12_345.0
LONG = 120.0


class Counting(GaussianNB):  # type: ignore[misc]  # scikit-learn is untyped
    """Refuses the odd number, and knows how often it was asked."""

    asked = 0

    def predict_proba(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's name
        Counting.asked += 1
        if (np.asarray(X) == ODD).any():
            raise ValueError("an odd number")
        return super().predict_proba(X)


class Forking(GaussianNB):  # type: ignore[misc]  # scikit-learn is untyped
    """At the odd number it starts a process that holds all it has open, writes that one's id into a file, and hangs."""

    note = ""

    def predict_proba(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's name
        if (np.asarray(X) == ODD).any():
            pid = os.fork()
            if pid:
                Path(self.note).write_text(str(pid), encoding="ascii")
            time.sleep(LONG)
            os._exit(0)
        return super().predict_proba(X)


def packaged(estimator: GaussianNB, to: Path) -> str:
    """Fits and packages it as a pickle; the bundle's digest."""
    frame = flights().select(COLUMNS)
    encoder = fit_encoder(frame, COLUMNS)
    signature = infer_signature(frame, COLUMNS, task="binary", classes=[False, True])
    estimator.fit(encode_frame(frame, encoder), frame["distance"].to_numpy() > 1500)
    return package(estimator, encoder, signature, frame.head(100), to, allow_pickle=True, latency_runs=1).runtime
