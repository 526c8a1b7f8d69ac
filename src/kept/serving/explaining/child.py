"""The process that explains: it reads what is wanted, answers, and ends when nobody can ask it any more.

Its arguments are the descriptor of a pipe that closes when the service is gone, and the megabytes of memory that it may have.
It takes what processor time the service leaves, and a few bundles at a time.
"""

import os
import signal
import sys
from collections import OrderedDict
from pathlib import Path
from typing import BinaryIO

from kept.core.errors import Invalid, KeptError
from kept.packaging.explaining.explainer import Explainer, load_explainer
from kept.serving.children.bounds import end_with, limit_memory
from kept.serving.explaining.frames import LENGTH, Refused, Told, Wanted, decode_wanted, framed
from kept.serving.statuses import status_of

_MOST_LOADED = 4
_NICE = 10


def main() -> None:
    """Says that it is there, with an empty message, and answers until its standard input ends."""
    os.nice(_NICE)
    life, megabytes = map(int, sys.argv[1:])
    end_with(life)
    limit_memory(megabytes)
    # The service decides when this ends, also when somebody interrupts both.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # What a model prints must not stand between answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    loaded: OrderedDict[str, Explainer] = OrderedDict()
    answers.write(LENGTH.pack(0))
    answers.flush()
    questions = sys.stdin.buffer
    while (data := _read(questions)) is not None:
        answers.write(framed(_answer(decode_wanted(data), loaded)))
        answers.flush()


def _read(stream: BinaryIO) -> bytes | None:
    head = stream.read(LENGTH.size)
    return stream.read(LENGTH.unpack(head)[0]) if len(head) == LENGTH.size else None


def _answer(wanted: Wanted, loaded: "OrderedDict[str, Explainer]") -> Told | Refused:
    try:
        if wanted.digest not in loaded:
            trusted = frozenset({wanted.digest}) if wanted.trusted else frozenset[str]()
            loaded[wanted.digest] = load_explainer(Path(wanted.folder), digest=wanted.digest, trusted=trusted)
            if len(loaded) > _MOST_LOADED:
                loaded.popitem(last=False)
        loaded.move_to_end(wanted.digest)
        explainer = loaded[wanted.digest]
        if len(wanted.rows) > explainer.most_rows:
            what = f"{len(wanted.rows)} rows are more than this model can be explained for at once"
            raise Invalid(what, where="rows", fix=f"Send at most {explainer.most_rows}")
        rows = [dict(zip(explainer.features, values, strict=True)) for values in wanted.rows]
        return Told(explanation=explainer.explain(rows))
    except KeptError as error:
        status = 422 if isinstance(error, Invalid) else status_of(error)
        return Refused(status=status, what=error.what, where=error.where, fix=error.fix)
    except MemoryError:
        what = "the process that explains may not have the memory that this would need"
        fix = "Ask about fewer rows, or allow it more: explain_megabytes"
        return Refused(status=503, what=what, where="explain", fix=fix, spent=True)
    except Exception as error:  # noqa: BLE001 - a model may raise anything; the next question is another one
        return Refused(status=500, what=f"explaining raised {type(error).__name__}: {error}", where="explanation")


if __name__ == "__main__":
    main()
