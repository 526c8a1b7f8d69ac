"""What commands that stay in the foreground say once they answer: the address, and what to do next."""

import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import polars as pl
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression

from waiting import free_ports


@contextmanager
def running(folder: Path, *words: str) -> Iterator[Iterator[str]]:
    """The lines that a command says, for as long as the block runs."""
    command = [sys.executable, "-m", "kept", *words]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as started:
        assert started.stdout is not None
        try:
            yield iter(started.stdout)
        finally:
            started.send_signal(signal.SIGTERM)
            started.wait(60)


def test_the_pages_say_where_they_are(tmp_path: Path) -> None:
    port = free_ports()
    with running(tmp_path, "web", "--port", str(port)) as said:
        assert next(said) == f"http://127.0.0.1:{port} (pages and API)\n"
        assert httpx.get(f"http://127.0.0.1:{port}/runs", timeout=60).status_code == 200


@pytest.mark.parametrize("token", ["", "a-long-random-text"])
def test_a_model_that_is_served_says_how_to_ask_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("KEPT_TOKEN", token)
    rows = pl.DataFrame({"it's old": np.arange(40.0), "calls": np.arange(40.0) % 7})
    fitted = LogisticRegression().fit(rows.to_numpy(), np.arange(40) > 20)
    skops.io.dump(fitted, tmp_path / "model.skops")
    rows.write_parquet(tmp_path / "rows.parquet")
    port = free_ports()
    words = ("serve-model", "model.skops", "--sample", "rows.parquet", "--name", "churn", "--port", str(port))
    with running(tmp_path, *words) as said:
        assert next(said) == f"churn answers on http://127.0.0.1:{port}; Ctrl-C stops it. Ask it:\n"
        _, _, address, *parts, request = shlex.split(next(said).replace("$KEPT_TOKEN", token))
        headers = dict(word.split(": ") for word in parts if ": " in word)
        answer = httpx.post(address, content=request, headers=headers, timeout=60).json()
    assert answer["predictions"][0]["prediction"] in {True, False}


def test_a_bundle_is_served_as_the_command_line_that_packaged_it_says(tmp_path: Path) -> None:
    rows = pl.DataFrame({"age": np.arange(40.0), "calls": np.arange(40.0) % 7})
    skops.io.dump(LogisticRegression().fit(rows.to_numpy(), np.arange(40) > 20), tmp_path / "my model.skops")
    rows.write_parquet(tmp_path / "rows.parquet")
    with running(tmp_path, "package", "my model.skops", "--sample", "rows.parquet") as said:
        *_, last = said
    _, *words = shlex.split(last)
    assert words == ["kept", "serve-model", "my model.bundle", "--name", "my model"]
