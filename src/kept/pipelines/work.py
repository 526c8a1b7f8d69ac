"""Inside a step's process: load the inputs, call the function, store the output."""

import contextlib
import importlib
import inspect
import os
import random
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from kept.core import errors
from kept.core.errors import Invalid, KeptError
from kept.governance.workspace import Workspace
from kept.pipelines.codec import Codec
from kept.pipelines.context import StepContext
from kept.pipelines.function_reference import forget_sources, load_function
from kept.pipelines.graph import CONTEXT
from kept.pipelines.job import Cause, Failure, Job, Outcome, Output, Progress

_ON_MEMORY = "Give the machine more memory, or the step less data at a time"


def perform(message: bytes, report: Callable[[Progress], None]) -> Outcome:
    """Does the job in a message. Whatever the step raises becomes a failure; its traceback goes to the log."""
    job = msgspec.json.decode(message, type=Job)
    with _printing_to(job.log), _undone():
        if job.attempt > 1:
            print(f"--- attempt {job.attempt} ---", flush=True)  # noqa: T201 - standard output is the step's log
        try:
            return Output(digest=_call(job, report), memory_bytes=_memory())
        except KeptError as error:
            _trace(error)
            name = type(error).__name__
            return Failure(
                cause=Cause.RAISED,
                what=error.what,
                where=error.where,
                fix=error.fix,
                error=name if hasattr(errors, name) else "KeptError",
            )
        except MemoryError as error:
            _trace(error)
            return Failure(cause=Cause.MEMORY, what="it ran out of memory", fix=_ON_MEMORY)
        except BaseException as error:  # noqa: BLE001 - a step that exits or interrupts itself has failed, no more
            _trace(error)
            return Failure(cause=Cause.RAISED, what="".join(traceback.format_exception_only(error)).strip())


def _call(job: Job, report: Callable[[Progress], None]) -> str:
    workspace = _workspace(job.opener, job.root)
    codec = Codec(workspace.blobs, Path(job.scratch))
    function = load_function(job.function)
    arguments = dict(_arguments(job, function, codec))
    if job.takes_context:
        arguments[CONTEXT] = StepContext(
            run_id=job.run_id,
            project=job.project,
            step=job.step,
            attempt=job.attempt,
            seed=job.seed,
            workspace=workspace,
            actor=job.actor,
            scratch=Path(job.scratch),
            report=report,
        )
    random.seed(job.seed)
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed(job.seed % 2**32)
    return codec.store(function(**arguments), where=f"what step {job.step!r} returns")


def _arguments(job: Job, function: Callable[..., Any], codec: Codec) -> Iterator[tuple[str, Any]]:
    hints = _hints(function)
    where = f"step {job.step!r}, parameter"
    for name, digest in job.outputs.items():
        yield name, codec.load(digest, hints.get(name), where=f"{where} {name!r}")
    for name, value in job.values.items():
        kind = hints.get(name, Any)
        try:
            yield name, value if kind in {Any, object} else msgspec.convert(value, kind, str_keys=True)
        except (msgspec.ValidationError, TypeError) as error:
            raise Invalid(str(error), where=f"{where} {name!r}", fix="Give the run another value") from error


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(inspect.unwrap(function))
    except NameError:
        # Some names are there for type checkers only: what can be read still counts.
        annotations = inspect.get_annotations(inspect.unwrap(function))
        return {name: annotation for name, annotation in annotations.items() if not isinstance(annotation, str)}


@cache
def _workspace(opener: str, root: str) -> Workspace:
    """Opened once in a process: steps that follow use the same connections."""
    module, _, name = opener.partition(":")
    workspace: Workspace = getattr(importlib.import_module(module), name)(root)
    return workspace


@contextlib.contextmanager
def _printing_to(log: str) -> Iterator[None]:
    """Everything that is printed, by libraries and child processes too, goes to the log."""
    kept = [os.dup(1), os.dup(2)]
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.dup2(target, 1)
        os.dup2(target, 2)
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        for number, descriptor in enumerate(kept, 1):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.close(target)


@contextlib.contextmanager
def _undone() -> Iterator[None]:
    """What a step changed in its process is changed back, and code that may be edited is forgotten."""
    folder, variables, path = Path.cwd(), dict(os.environ), list(sys.path)
    try:
        yield
    finally:
        os.chdir(folder)
        if dict(os.environ) != variables:
            os.environ.clear()
            os.environ.update(variables)
        sys.path[:] = path
        forget_sources()


def _trace(error: BaseException) -> None:
    """Prints the traceback from the step's own code on."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    traceback.print_exception(type(error), error, trace)


def _memory() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
