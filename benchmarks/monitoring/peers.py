"""What a peer needs for the same windows: `python peers.py TOOL ROWS WINDOWS` in the environment of the peers, JSON out.

CPU seconds to judge a window of ROWS rows (fitting is not counted), and on how many of WINDOWS unchanged windows of 500
rows, quiet and wandering, it alarms by its own default decision.
"""

import contextlib
import io
import json
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from windows import REFERENCE_WINDOWS, ROWS, Codes, Floats, draw, names, text

Judge = Callable[[tuple[Floats, Codes]], bool]


def frame(window: tuple[Floats, Codes]) -> pd.DataFrame:
    """A window as the frames that the tools take."""
    numeric, categorical = names()
    found = pd.DataFrame(dict(zip(numeric, window[0], strict=True)))
    for name, row in zip(categorical, text(window[1]), strict=True):
        found[name] = row
    return found


def nannyml(past: tuple[Floats, Codes], rows: int) -> Judge:
    """Univariate drift with its defaults: an alarm is an alert of any column."""
    import nannyml as nml  # noqa: PLC0415 - one tool a process

    numeric, categorical = names()
    calculator = nml.UnivariateDriftCalculator(column_names=numeric + categorical, chunk_size=rows)
    calculator.fit(frame(past))

    def judge(window: tuple[Floats, Codes]) -> bool:
        told = calculator.calculate(frame(window)).filter(period="analysis").to_df()
        return bool(told.loc[:, [name for name in told.columns if name[-1] == "alert"]].to_numpy(dtype=bool).any())

    return judge


def alibi_detect(past: tuple[Floats, Codes], rows: int) -> Judge:
    """KS and chi-square tests with Bonferroni's correction, its default."""
    from alibi_detect.cd import TabularDrift  # noqa: PLC0415

    del rows
    categories = dict.fromkeys(range(len(past[0]), len(past[0]) + len(past[1])))
    detector = TabularDrift(np.concatenate(past).T, p_val=0.05, categories_per_feature=categories)
    return lambda window: bool(detector.predict(np.concatenate(window).T)["data"]["is_drift"])


def whylogs(past: tuple[Floats, Codes], rows: int) -> Judge:
    """Profiles, and its default drift algorithms: an alarm is DRIFT of any column."""
    import whylogs as why  # noqa: PLC0415
    from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores  # noqa: PLC0415

    del rows
    reference = why.log(frame(past)).view()

    def judge(window: tuple[Floats, Codes]) -> bool:
        told = calculate_drift_scores(why.log(frame(window)).view(), reference, with_thresholds=True)
        return any(each is not None and each["drift_category"] == "DRIFT" for each in told.values())

    return judge


def past_of(seed: int, rows: int, kind: str = "quiet") -> tuple[Floats, Codes]:
    """A reference of 20 windows."""
    random = np.random.default_rng(seed)
    drawn = [draw(random, rows, kind, day=day) for day in range(REFERENCE_WINDOWS)]
    return np.concatenate([each[0] for each in drawn], axis=1), np.concatenate([each[1] for each in drawn], axis=1)


def main() -> None:
    """One tool."""
    warnings.filterwarnings("ignore")
    tool, rows, windows = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    make = {"NannyML": nannyml, "alibi-detect": alibi_detect, "whylogs": whylogs}[tool]
    found: dict[str, float | str] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        judge = make(past_of(0, 5_000), rows)
        window = draw(np.random.default_rng(1), rows)
        began = time.process_time()
        judge(window)
        found["seconds"] = time.process_time() - began
        for kind in ("quiet", "wander"):
            judge, random = make(past_of(2, ROWS, kind), ROWS), np.random.default_rng(3)
            found[kind] = sum(judge(draw(random, ROWS, kind)) for _ in range(windows))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
