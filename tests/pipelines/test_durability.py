"""A worker that is killed at any moment loses nothing but the step in flight, and leaves nothing behind."""

import json
import random
import time
from pathlib import Path

import pytest
from bench import Bench

from kept.pipelines import engine
from kept.pipelines.catalog import output_of
from kept.pipelines.codec import Codec
from kept.pipelines.run_step import StepStatus
from kept.testing.jobs import alive, until
from kept.tracking.run import Run, RunStatus
from kept.tracking.runs import get_run

LENGTH = 6
KILLS = 3
STEPS = (
    """
    import json, os, time
    from pathlib import Path

    def note(folder, step):
        # One line for each time a step begins, and one for each time it ends.
        with (Path(folder) / "notes").open("a") as stream:
            stream.write(json.dumps([step, os.getpid(), time.time()]) + "\\n")

    def _step(name, folder, before):
        note(folder, name)
        time.sleep(0.15)
        note(folder, name + " ended")
        return before + 1

    def step0(folder: str) -> int:
        return _step("step0", folder, 0)
"""
    + "".join(
        f"""
    def step{number}(step{number - 1}: int, folder: str) -> int:
        return _step("step{number}", folder, step{number - 1})
"""
        for number in range(1, LENGTH)
    )
    + f"""
    STEPS = [{{"name": f"step{{number}}", "cache": number % 2 == 0}} for number in range({LENGTH})]
"""
)


def _notes(folder: Path) -> list[tuple[str, int]]:
    file = folder / "notes"
    lines = file.read_text().splitlines() if file.exists() else []
    return [(step, pid) for step, pid, _ in map(json.loads, lines)]


def _ended(bench: Bench, run: Run) -> bool:
    return get_run(bench.workspace, run.id).status.ended


@pytest.mark.parametrize("seed", [1, 2])
def test_a_worker_killed_at_random_moments_goes_on_after_the_last_finished_step(bench: Bench, seed: int) -> None:
    chance = random.Random(seed)
    bench.write(STEPS)
    run = bench.queue(folder=str(bench.folder))
    for _ in range(KILLS):
        worker = bench.worker()
        # It dies somewhere between its start and the end of the next few steps.
        notes = len(_notes(bench.folder)) + chance.randrange(5)
        until(lambda notes=notes: len(_notes(bench.folder)) >= notes or _ended(bench, run))  # type: ignore[misc]
        time.sleep(chance.uniform(0, 0.2))
        finished = {name for name, step in bench.steps(run).items() if step.has_output}
        worker.kill()
        worker.wait()
        # The step in flight ends with the worker.
        until(lambda: not any(alive(pid) for _, pid in _notes(bench.folder)))
        assert finished <= {name for name, step in bench.steps(run).items() if step.has_output}
    bench.worker()
    until(lambda: _ended(bench, run))
    assert get_run(bench.workspace, run.id).status is RunStatus.FINISHED
    codec = Codec(bench.workspace.blobs, bench.folder)
    assert codec.load(output_of(bench.workspace, run.id, f"step{LENGTH - 1}"), int, where="test") == LENGTH
    steps = bench.steps(run)
    assert {step.status for step in steps.values()} <= {StepStatus.FINISHED, StepStatus.CACHED}
    # A step ran again only where a kill interrupted it or came before its output was recorded: in the order of the
    # chain, no step ever begins again after a later one began.
    begun = [int(step[4:]) for step, _ in _notes(bench.folder) if not step.endswith("ended")]
    assert begun == sorted(begun)
    assert len(begun) <= LENGTH + KILLS


def test_a_run_that_takes_worker_after_worker_down_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_MOST_RECOVERIES", 1)
    bench.write("import time\n\ndef slow() -> int:\n    time.sleep(600)\n    return 1\n\nSTEPS = [{'name': 'slow'}]\n")
    run = bench.queue()
    for attempt in (1, 2):
        with bench.runner():
            until(lambda attempt=attempt: any(step.attempt == attempt for step in bench.steps(run).values()))  # type: ignore[misc]
    with bench.runner() as runner:
        deadline = time.monotonic() + 60
        while not _ended(bench, run) and time.monotonic() < deadline:
            runner.tick()
    ended = get_run(bench.workspace, run.id)
    assert ended.status is RunStatus.FAILED
    assert ended.error == "it was given up: worker after worker died while it ran"
