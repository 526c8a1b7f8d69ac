"""The command `kept`: a table of commands, each loaded when it is called, so that help answers at once."""

import difflib
import gc
import os
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import Any

from kept import __version__
from kept.core.errors import CheckFailed, KeptError

DONE, MISTAKE, USAGE, CHECK_FAILED, OUR_FAULT, STOPPED = 0, 1, 2, 3, 70, 130

# name -> module that holds its `app`, one line of help
COMMANDS = {
    "demo": ("kept.cli.demo", "Watch a real model being kept, on real flights"),
    "init": ("kept.cli.init", "Write a project for your own data file"),
    "run": ("kept.cli.run", "Train, judge, package and register a model"),
    "approve": ("kept.cli.approve", "Approve a version for release"),
    "waive": ("kept.cli.waive", "Allow a rejected version to be released, and say why"),
    "release": ("kept.cli.release", "Release a version to its endpoint"),
    "rollout": ("kept.cli.rollout", "See how a version on trial does, or move it on"),
    "rollback": ("kept.cli.rollback", "Bring the previous version back, at once"),
    "up": ("kept.cli.up", "Start everything: pages, worker, predictions"),
    "web": ("kept.cli.web", "Start the API and the pages alone"),
    "work": ("kept.cli.work", "Start the worker alone"),
    "serve": ("kept.cli.serve", "Start the prediction service alone"),
    "serve-model": ("kept.cli.serve_model", "Serve a model file without a project"),
    "package": ("kept.cli.package", "Make a bundle from a model file"),
    "predict": ("kept.cli.predict", "Ask a running endpoint for predictions"),
    "score": ("kept.cli.score", "Score every row of a file or table"),
    "score-stream": ("kept.cli.score_stream", "Score a Kafka topic's messages as they come"),
    "deploy": ("kept.cli.deploy", "Write what runs a model elsewhere: an image, Kubernetes, KServe"),
    "status": ("kept.cli.status", "See the loop: what serves, what drifts, what is decided"),
    "data": ("kept.cli.data", "List, show and compare versions of data"),
    "labels": ("kept.cli.labels", "Bring labels in"),
    "runs": ("kept.cli.runs", "List, show, compare and remove runs"),
    "models": ("kept.cli.models", "List, show, search and adopt model versions"),
    "import": ("kept.cli.import_", "Bring experiments, runs and models over from MLflow"),
    "trace": ("kept.cli.trace", "Follow one prediction back to data, code and approver"),
    "explain": ("kept.cli.explain", "Tell what each input added to one prediction"),
    "history": ("kept.cli.history", "See which version served when"),
    "workspace": ("kept.cli.workspace", "Make one, see where its records are, bring those of an older Kept forward"),
    "alerts": ("kept.cli.alerts", "See alerts; answer for them, mute them, resolve them"),
    "audit": ("kept.cli.audit", "List and verify the audit log"),
}

# What people look for who come from other tools, or do not know of which command it is a part.
_OTHERWISE = {
    "build": "package",
    "compare": "runs compare",
    "promote": "release",
    "server": "web",
    "start": "up",
    "train": "run",
    "ui": "web",
}


def main() -> None:
    """Runs the command line and exits with the code that says how it went."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in {"--help", "-h", "help"}:
        sys.stdout.write(_help())
        sys.exit(DONE if arguments else USAGE)
    if arguments[0] == "--version":
        sys.stdout.write(f"kept {__version__}\n")
        sys.exit(DONE)
    if arguments[0] not in COMMANDS:
        known = _OTHERWISE.get(arguments[0].lower())
        near = [known] if known else difflib.get_close_matches(arguments[0], COMMANDS, n=1)
        fix = f"Did you mean kept {near[0]}?" if near else "See kept --help"
        sys.stderr.write(f"There is no command {arguments[0]!r}. {fix}\n")
        sys.exit(USAGE)
    name, *given = arguments
    sys.exit(guarded(lambda: _loaded(COMMANDS[name][0]).app(given, prog_name=f"kept {name}")))


def guarded(action: Callable[[], object]) -> int:
    """Does what a command does, says what went wrong, and gives the code to exit with."""
    # OpenMP reads it when scikit-learn is imported: threads that spin while they wait make small fits ten times slower on a
    # busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        action()
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
        return STOPPED
    except BrokenPipeError:
        # Whoever read what was printed has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeptError as error:
        sys.stderr.write(f"{error}\n")
        return CHECK_FAILED if isinstance(error, CheckFailed) else MISTAKE
    except Exception:  # noqa: BLE001 - the last door: what comes here is our fault, and is said so
        traceback.print_exc()
        sys.stderr.write("This is a fault of Kept, not yours. Please report it with the lines above.\n")
        return OUR_FAULT
    return DONE


def _loaded(module: str) -> Any:
    """The module of a command. To look meanwhile for what is no longer used takes a tenth of the time, and finds nothing."""
    gc.disable()
    try:
        return import_module(module)
    finally:
        gc.freeze()
        gc.enable()


def _help() -> str:
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:<{width}}{text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(
        [
            "Usage: kept COMMAND [OPTIONS]",
            "",
            "Kept keeps machine-learning models in production.",
            "",
            "Commands, in the order of a model's life:",
            *lines,
            "",
            "Begin with kept init NAME --data FILE.csv --target COLUMN, or with kept demo.",
            "kept COMMAND --help tells more. kept --version shows the version.",
            "",
        ]
    )
