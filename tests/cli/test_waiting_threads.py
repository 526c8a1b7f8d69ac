"""Fitting threads of a command sleep while they wait: what OpenMP itself tells of its settings."""

import os
import subprocess
import sys
from pathlib import Path


def test_threads_do_not_spin_while_they_wait(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n" + "".join(f"{n % 7},{n % 2}\n" for n in range(200)))
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_", "KEPT_"))}
    done = subprocess.run(
        [sys.executable, "-m", "kept", "init", "mine", "--data", "rows.csv", "--target", "b"],
        cwd=tmp_path,
        env={**plain, "OMP_DISPLAY_ENV": "verbose"},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    assert "GOMP_SPINCOUNT = '0'" in done.stderr
