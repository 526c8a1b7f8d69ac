"""Puts what a demo measured into a page, between the lines `<!-- demo -->` and `<!-- /demo -->`.

.venv/bin/python tools/demo_table.py demo.json README.md
"""

import sys
from pathlib import Path

import msgspec

from kept.cli.demo import DemoResult
from kept.cli.demonstration.timeline import gain_sentence

BEGIN, END = "<!-- demo -->\n", "<!-- /demo -->"


def table(result: DemoResult) -> str:
    """The months as a Markdown table, and two sentences."""
    lines = [
        "| month | flights | AUC alone | AUC kept | log loss alone | log loss kept |",
        "| --- | --: | --: | --: | --: | --: |",
    ]
    for one in result.months:
        numbers = (one.alone.roc_auc, one.kept.roc_auc, one.alone.log_loss, one.kept.log_loss)
        cells = " | ".join(f"{number:.4f}" for number in numbers)
        lines.append(f"| {one.month} | {one.rows:,} | {cells} |")
    counts = (
        f"{result.requests:,} requests, {result.failed_requests} failed; {result.retrainings} retrainings, "
        f"{result.promotions} promotions, {result.rollbacks} roll-backs; "
        f"{result.seconds:.0f} seconds, {result.peak_memory_mb:.0f} MB at the peak."
    )
    return "\n".join([*lines, "", gain_sentence(result.gain), counts, ""])


def put_in(page: str, text: str) -> str:
    """The page with the text between its two lines."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{text}\n{END}{tail}"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("Usage: demo_table.py DEMO.json PAGE.md")
    source, page = Path(sys.argv[1]), Path(sys.argv[2])
    result = msgspec.json.decode(source.read_bytes(), type=DemoResult)
    page.write_text(put_in(page.read_text(), table(result)))
