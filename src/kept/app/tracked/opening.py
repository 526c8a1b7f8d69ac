"""`kept.track`: a run that training code logs, to a server or to a workspace of this machine."""

import getpass
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from kept.app.tracked.destination import destination_of
from kept.app.tracked.recorder import WhenFull
from kept.app.tracked.run import TrackedRun, writable
from kept.core.errors import Invalid
from kept.core.ids import new_id
from kept.settings.settings import load_settings
from kept.tracking.default_names import random_name
from kept.tracking.names import check_experiment_name, check_run_id
from kept.tracking.spooled import Begun


def track(
    experiment: str | None = None,
    *,
    name: str = "",
    seed: int | None = None,
    fold: int | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    parent: str | TrackedRun | None = None,
    run: str | None = None,
    workspace: str | None = None,
    url: str | None = None,
    token: str | None = None,
    when_full: WhenFull = "wait",
) -> TrackedRun:
    """Begins a run of an experiment, which is made when it is not there; or goes on with a run.

    It goes to the server that `KEPT_URL` names (with `KEPT_TOKEN`), else to the workspace of this folder. A server need not
    be up: what is logged waits for it. `TrackedRun` says what is promised when.

    Args:
        experiment: the experiment's name.
        name: the run's name; one is made up when none is given.
        seed: of the random numbers; it is noted as the parameter `seed`, by which runs are paired when they are compared.
        fold: of a cross-validation; noted as the parameter `fold`, for the same.
        params: what the run is done with.
        tags: texts to find it by.
        parent: the run that it is a part of.
        run: the id of a run to go on with, instead of an experiment; whoever began it ends it.
        workspace: folder of the workspace, in the place of `KEPT_WORKSPACE`.
        url: address of the server, in the place of `KEPT_URL`.
        token: in the place of `KEPT_TOKEN`.
        when_full: whether `log` shall wait or raise when no more may wait for a destination that is away.

    Raises:
        Invalid: a name that can not be kept, or neither an experiment nor a run.
        Unavailable: the spool cannot be written.
    """
    if (experiment is None) == (run is None):
        raise Invalid("it is either an experiment or a run", where="track", fix='Say kept.track("EXPERIMENT")')
    settings = load_settings(Path.cwd(), workspace=workspace, url=url, token=token)
    begun = None
    if experiment is not None:
        check_experiment_name(experiment)
        begun = Begun(
            experiment=writable(experiment),
            name=writable(name) or random_name(),
            user=_user(),
            at=datetime.now(UTC),
            seed=seed or 0,
            parent=parent.id if isinstance(parent, TrackedRun) else parent,
        )
    run_id = run or new_id().replace("-", "")
    check_run_id(run_id)
    tracked = TrackedRun(
        run_id,
        begun=begun,
        destination=destination_of(settings),
        reopen=partial(destination_of, settings),
        most_bytes=settings.spool_megabytes << 20,
        when_full=when_full,
    )
    numbered = {name: value for name, value in (("seed", seed), ("fold", fold)) if value is not None}
    tracked.params({**numbered, **(params or {})})
    tracked.tag(tags)
    return tracked


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"
