import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from brokers import COLUMNS, Broker, rows
from sklearn.linear_model import LogisticRegression

from kept.core.ids import new_id
from kept.packaging.build import package
from kept.packaging.frames import encode_frame, fit_encoder, infer_signature


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packaged classifier of two classes."""
    frame = rows(200)
    encoder = fit_encoder(frame, COLUMNS)
    matrix = encode_frame(frame, encoder)
    fitted = LogisticRegression().fit(matrix, frame["hour"] > 12)
    signature = infer_signature(frame, COLUMNS, task="binary", classes=[False, True])
    folder = tmp_path_factory.mktemp("model") / "bundle"
    package(fitted, encoder, signature, frame.head(50), folder)
    return folder


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """Brokers for the tests of one file."""
    script = Path(__file__).with_name("broker_process.py")
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    yield Broker(process.stdout.readline().strip(), process.stdin, process.stdout)
    process.communicate(timeout=60)


@pytest.fixture
def topic() -> str:
    """The name of a topic that no other test has."""
    return f"rides-{new_id()}"
