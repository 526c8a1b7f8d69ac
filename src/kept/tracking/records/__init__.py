"""Rows of everything that is tracked."""

from kept.tracking.records.runs import find_runs, run_by_id

__all__ = ["find_runs", "run_by_id"]
