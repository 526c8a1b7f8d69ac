"""Packaged models that take tensors, and routes to them."""

from pathlib import Path

import numpy as np
from predicting import Packaged

from graphs import CLASSES, image_model, mixed_model
from kept.packaging.runtime import load_runtime
from kept.packaging.signature import Scored
from kept.packaging.tensor_build import graph_signature, package_tensors


def pack_images(to: Path, *, seed: int = 0) -> Packaged:
    data, scored = image_model(seed=seed), Scored(output="logits", form="logits")
    signature = graph_signature(data, where="image.onnx", task="multiclass", classes=CLASSES, scored=scored)
    package_tensors(data, signature, to, latency_runs=5)
    return Packaged(to, ["image"], lambda frame: np.zeros(frame.height))


def pack_mixed(to: Path) -> Packaged:
    data = mixed_model()
    package_tensors(data, graph_signature(data, where="mixed.onnx"), to, latency_runs=5)
    return Packaged(to, ["tokens", "mask", "pixels", "offset"], lambda frame: np.zeros(frame.height))


def answers_of(packaged: Packaged, **batches: np.ndarray) -> dict[str, np.ndarray]:
    """What the graph itself answers."""
    runtime = load_runtime(packaged.folder)
    return dict(runtime.answer(batches))  # type: ignore[union-attr]
