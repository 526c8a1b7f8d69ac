"""The figures of monitoring, side by side with peers: `make bench-monitoring`, or `python benchmarks/monitoring [--full]`.

Exits with 1 when a figure is missed.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import alone  # noqa: F401 - before numpy is imported
import canary
import drift
import elec
import estimated
import labels
from figure import Figure, print_figures, share
from windows import KINDS, SHIFTS

_HERE = Path(__file__).parent
_RATIOS = {"NannyML": 20, "alibi-detect": 40, "whylogs": 200}
_SEEDS = 10
_PEER_SECONDS = 100

Peers = dict[str, dict[str, Any]]


def run_peers(python: Path, windows: int) -> Peers:
    """What each peer answers, or why it is left out."""
    found: Peers = {}
    for tool in _RATIOS:
        if not python.exists():
            found[tool] = {"why": "its environment is not there"}
            continue
        command = [str(python), "-W", "ignore", str(_HERE / "peers.py"), tool, "100000", str(windows)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_PEER_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            found[tool] = {"why": f"not done in {_PEER_SECONDS} s"}
            continue
        answer = done.stdout.strip().splitlines()
        error = done.stderr.strip().splitlines()
        failed = done.returncode or not answer
        found[tool] = {"why": error[-1] if error else "it said nothing"} if failed else json.loads(answer[-1])
    return found


def cost_figures(peers: Peers) -> list[Figure]:
    """CPU seconds, alone and against each peer."""
    small, large = drift.cost(100_000, 30), drift.cost(1_000_000)
    found = [
        Figure(
            section="cost",
            name="1,000,000 rows x 50 columns",
            value=f"{large:.3f} s CPU",
            target="< 0.25 s",
            reached=large < 0.25,
            from_="least of 3, counts checked",
        )
    ]
    for tool, least in _RATIOS.items():
        name = f"100,000 rows against {tool}"
        if "why" in peers[tool]:
            found.append(Figure(section="cost", name=name, value=f"{small:.4f} s CPU", peer=peers[tool]["why"]))
            continue
        ratio = peers[tool]["seconds"] / small
        found.append(
            Figure(
                section="cost",
                name=name,
                value=f"{small:.4f} s CPU",
                peer=f"{peers[tool]['seconds']:.2f} s: x{ratio:.0f}",
                target=f">= x{least}",
                reached=ratio >= least,
                from_="least of 30; peer once",
            )
        )
    return found


def peer_alarms(peers: Peers, kind: str, windows: int) -> str:
    """The peers' own alarms on the same kind of windows."""
    said = [f"{tool} {share(told[kind], windows)}" for tool, told in peers.items() if kind in told]
    return "; ".join(said)


def measure(full: bool, data: Path, peers: Peers, peer_windows: int) -> list[Figure]:
    """All figures that need no quiet machine, over two processes."""
    windows, runs = (1_250, 40) if full else (60, 6)
    seeds = range(_SEEDS)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:

        def each(measured: Callable[..., Any], *arguments: Any) -> list[Any]:
            return [pool.submit(measured, *arguments[:1], seed, *arguments[1:]) for seed in seeds]

        def each_seed(measured: Callable[..., Any], *arguments: Any) -> list[Any]:
            return [pool.submit(measured, seed, *arguments) for seed in seeds]

        replays = [pool.submit(elec.market, data), *(pool.submit(elec.drawn, kind) for kind in ("sudden", "gradual"))]
        alarms = {kind: each(drift.false_alarms, kind, windows) for kind in KINDS}
        delays = {shift: each(drift.delays, shift, runs) for shift in SHIFTS}
        streams, raised = (200, 200) if full else (20, 30)
        quiet, late = each_seed(labels.false_alarms, streams), each_seed(labels.delays, raised)
        shifted = each_seed(estimated.cases, 20 if full else 2)
        canaries = {name: each(canary.wrong, name, 1_000 if full else 100) for name in canary.SCENARIOS}
        found = [
            drift.alarm_figure(kind, [one.result() for one in ones], windows, peer_alarms(peers, kind, peer_windows))
            for kind, ones in alarms.items()
        ]
        found += [
            drift.delay_figure(shift, [delay for one in ones for delay in one.result()], "")
            for shift, ones in delays.items()
        ]
        found += labels.figures([one.result() for one in quiet], streams, [d for one in late for d in one.result()])
        found.append(estimated.figure([case for one in shifted for case in one.result()]))
        for name, ones in canaries.items():
            told = [one.result() for one in ones]
            found.append(canary.figure(name, [t[0] for t in told], [t[1] for t in told], 1_000 if full else 100))
        return found + [figure for one in replays for figure in one.result()]


def main() -> None:
    """Measures, prints, and exits with 1 when a figure is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="the full counts: 12,500 windows a kind")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--peers", type=Path, default=Path(".venv-bench-monitoring/bin/python"), help="their Python")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder of elec.csv")
    given = parser.parse_args()
    peer_windows = 200 if given.full else 10
    peers = run_peers(given.peers, peer_windows)
    found = cost_figures(peers) + measure(given.full, given.data, peers, peer_windows)
    print_figures(found)
    if given.json:
        given.json.write_text(json.dumps([each.as_json() for each in found], indent=1) + "\n", "utf-8")
    judged = [each for each in found if each.reached is not None]
    reached = sum(each.reached is True for each in judged)
    skipped = len(found) - len(judged)
    print(
        f"{reached} of {len(judged)} figures reached" + (f", {skipped} without a target or left out" if skipped else "")
    )
    sys.exit(reached < len(judged))


if __name__ == "__main__":
    main()
