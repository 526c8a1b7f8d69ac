"""PyTorch modules as bundles, where PyTorch is installed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch: Any = pytest.importorskip("torch", reason="kept[torch] is not installed")
pytest.importorskip("onnxscript", reason="kept[torch] is not installed")

from kept.core.errors import CheckFailed, Conflict, Invalid  # noqa: E402 - after it is known that there is something to test
from kept.packaging.onnx_check import check_onnx  # noqa: E402
from kept.packaging.runtime import load_runtime  # noqa: E402
from kept.packaging.signature import Scored  # noqa: E402
from kept.packaging.tensor_runtime import TensorRuntime  # noqa: E402
from kept.packaging.torch_export import export_module, package_module  # noqa: E402

IMAGES = np.random.default_rng(0).normal(size=(4, 3, 16, 16)).astype(np.float32)
CLASSES = ("bird", "cat", "dog")


class Pictures(torch.nn.Module):  # type: ignore[misc]
    """A small convolutional network with what behaves otherwise in training."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convolution = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.normal = torch.nn.BatchNorm2d(8)
        self.dropout = torch.nn.Dropout(0.5)
        self.head = torch.nn.Linear(8, 3)

    def forward(self, image: Any) -> Any:
        embedding = torch.relu(self.normal(self.convolution(image))).mean((2, 3))
        return self.head(self.dropout(embedding)), embedding


class Words(torch.nn.Module):  # type: ignore[misc]
    """Tokens of any number and their mask, answered by name."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.table = torch.nn.Embedding(50, 6)

    def forward(self, tokens: Any, mask: Any) -> Any:
        weights = mask.unsqueeze(-1).to(torch.float32)
        summed = (self.table(tokens) * weights).sum(1)
        return {"embedding": summed / weights.sum(1).clamp(min=1.0)}


class Uncertain(torch.nn.Module):  # type: ignore[misc]
    """Goes another way for other values, which no graph of its operations can tell."""

    def forward(self, x: Any) -> Any:
        return x if x.sum() > 0 else -x


class Constant(torch.nn.Module):  # type: ignore[misc]
    """Takes a number from where no exporter sees it: it is other at each call."""

    calls = 0

    def forward(self, x: Any) -> Any:
        if not torch.compiler.is_exporting():
            Constant.calls += 1
        return x * (1.0 + Constant.calls)


@pytest.mark.filterwarnings("default")
def test_a_module_answers_as_it_does_in_evaluation_mode(tmp_path: Path) -> None:
    module = Pictures().train()
    scored = Scored(output="logits", form="logits")
    manifest = package_module(
        module, {"image": IMAGES}, tmp_path / "bundle",
        outputs=("logits", "embedding"), task="multiclass", classes=CLASSES, scored=scored, latency_runs=5,
    )  # fmt: skip
    assert module.training
    assert manifest.estimator.startswith("torch ")
    assert "sample, the model it was exported from" in {one.name for one in manifest.parity.groups}
    runtime = load_runtime(tmp_path / "bundle")
    assert isinstance(runtime, TensorRuntime)
    with torch.no_grad():
        logits, embedding = module.eval()(torch.from_numpy(IMAGES))
    found = runtime.answer({"image": IMAGES})
    np.testing.assert_allclose(found["logits"], logits.numpy(), atol=1e-5)
    np.testing.assert_allclose(found["embedding"], embedding.numpy(), atol=1e-5)
    with pytest.raises(Conflict):
        package_module(module, {"image": IMAGES}, tmp_path / "bundle", outputs=("logits", "embedding"))


@pytest.mark.filterwarnings("default")
def test_lengths_that_vary_together() -> None:
    tokens = np.array([[1, 2, 3], [4, 5, 6]])
    data = export_module(
        Words(), {"tokens": tokens, "mask": np.ones((2, 3), dtype=bool)}, outputs=("embedding",),
        lengths={"tokens": {1: "words"}, "mask": {1: "words"}},
    )  # fmt: skip
    shapes = {
        one.name: [dim.dim_param or dim.dim_value for dim in one.type.tensor_type.shape.dim]
        for one in check_onnx(data, where="words").graph.input
    }
    assert shapes == {"tokens": ["rows", "words"], "mask": ["rows", "words"]}


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("module", "example", "outputs", "kind", "said"),
    [
        (Uncertain(), {"x": IMAGES}, ("y",), Invalid, "PyTorch cannot export it"),
        (Constant(), {"x": IMAGES}, ("y",), CheckFailed, "the model it was exported from: the answers of 'y' differ"),
        (Pictures(), {"image": IMAGES[:1]}, ("a", "b"), Invalid, "the example needs two rows or more"),
        (Pictures(), {"picture": IMAGES}, ("a", "b"), Invalid, "PyTorch cannot export it"),
        ("module.pt", {"x": IMAGES}, ("y",), Invalid, "expected a torch.nn.Module, found a str"),
    ],
)
def test_a_wrong_export_is_refused(
    module: Any, example: dict[str, np.ndarray], outputs: tuple[str, ...], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said):
        export_module(module, example, outputs=outputs)


def test_parts_that_were_frozen_stay_so(tmp_path: Path) -> None:
    module = Pictures()
    module.normal.eval()
    package_module(module, {"image": IMAGES}, tmp_path / "bundle", outputs=("scores", "embedding"), latency_runs=1)
    assert [one.training for one in (module, module.normal, module.dropout)] == [True, False, True]
