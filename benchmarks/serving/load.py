"""Load on a service: `wrk` with one body, and what the service's processes used meanwhile."""

import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_LATENCY = re.compile(r"99%\s+([\d.]+)(us|ms|s)\b")
_COUNT = re.compile(r"(\d+) requests in ([\d.]+)(ms|s|m)\b")
_WRONG = re.compile(r"Non-2xx or 3xx responses: (\d+)")
_BROKEN = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@dataclass(frozen=True)
class Measured:
    """What a load gave.

    Attributes:
        rate: answers a second.
        late: 99th percentile of the latency, milliseconds.
        cpu: CPU microseconds of all of the service's processes for one answer.
        failed: answers that were errors, and connections that broke.
    """

    rate: float
    late: float
    cpu: float
    failed: int


def script(folder: Path, body: bytes, headers: dict[str, str]) -> Path:
    """The file that tells `wrk` what to send."""
    lines = ['wrk.method = "POST"', f"wrk.body = {json.dumps(body.decode())}"]
    lines += [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in headers.items()]
    path = folder / "request.lua"
    path.write_text("\n".join(lines) + "\n")
    return path


def load(url: str, asked: Path, processes: set[int], *, connections: int, seconds: float) -> Measured:
    """Sends as fast as the service answers, over so many connections, for so many seconds."""
    command = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds:g}s", "--latency", "--timeout", "10s"]
    before = cpu_seconds(processes)
    said = subprocess.run([*command, "-s", str(asked), url], check=True, capture_output=True, text=True).stdout
    used = cpu_seconds(processes) - before
    count, took, unit = _found(_COUNT, said)
    late, scale = _found(_LATENCY, said)
    wrong = int(found[1]) if (found := _WRONG.search(said)) else 0
    broken = sum(map(int, found.groups())) if (found := _BROKEN.search(said)) else 0
    answered = max(int(count) - wrong, 1)
    return Measured(
        rate=answered / (float(took) * _SECONDS[unit]),
        late=float(late) * _SECONDS[scale] * 1e3,
        cpu=used / answered * 1e6,
        failed=wrong + broken,
    )


def goodput(url: str, process: int, body: Path, token: str) -> float:
    """What is answered in time when three times as much is asked as can be: percent of the peak."""
    program = Path(__file__).parents[1] / "overload.py"
    command = [sys.executable, str(program), url, str(process), str(body), "--token", token, "--times", "3", "--json"]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return float(told[0]["share"]) * 100


def cpu_seconds(processes: set[int]) -> float:
    """User and system time of processes so far."""
    total = 0
    for pid in processes:
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def _found(pattern: re.Pattern[str], said: str) -> tuple[str, ...]:
    found = pattern.search(said)
    if found is None:
        raise SystemExit(f"wrk said nothing of {pattern.pattern!r}:\n{said}")
    return found.groups()
