"""Runs and their steps as a collector sees them, over OTLP."""

from dataclasses import replace
from uuid import UUID

from bench import Bench

from kept.settings.settings import Settings
from kept.settings.tracing import traces_of
from otlp_receiver import collecting, facts

TWO = """
    def rows(count: int) -> int:
        return count

    def third(rows: int) -> float:
        return 1 / rows

    STEPS = [{"name": "third"}, {"name": "rows"}]
"""


def test_a_run_is_a_trace_with_its_steps_within(bench: Bench) -> None:
    bench.write(TWO)
    with collecting() as collector:
        traces = traces_of(Settings(traces_url=collector.url), "kept")
        assert traces is not None
        bench.workspace = replace(bench.workspace, traces=traces)
        with bench.runner() as runner:
            good, _ = bench.run(runner, count=4)
            bad, _ = bench.run(runner, count=0)
        traces.close()
    of = {
        run.id: {one.name: one for one in collector.spans if one.trace_id == UUID(run.id).bytes} for run in (good, bad)
    }
    assert set(of[good.id]) == set(of[bad.id]) == {"run training", "step rows", "step third"}
    for run, spans in of.items():
        root = spans["run training"]
        assert root.parent_span_id == b""
        assert facts(root.attributes)["kept.run"] == run
        for name in ("step rows", "step third"):
            step = spans[name]
            assert step.parent_span_id == root.span_id
            assert root.start_time_unix_nano <= step.start_time_unix_nano <= step.end_time_unix_nano
            assert step.end_time_unix_nano <= root.end_time_unix_nano
    assert facts(of[good.id]["step rows"].attributes)["kept.status"] == "finished"
    assert "division by zero" in of[bad.id]["step third"].status.message
    assert of[bad.id]["run training"].status.code == 2
