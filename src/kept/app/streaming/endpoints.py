"""Choosing the endpoint whose prediction log a stream is written to."""

from kept.core.errors import Invalid, NotFound
from kept.deployment.records import all_endpoints
from kept.governance.workspace import Workspace


def endpoint_for(workspace: Workspace, model: str, wanted: str | None = None) -> str:
    """The endpoint that is wanted, else the only one that serves the model: its monitors see what the stream is answered.

    Raises:
        NotFound: there is no such endpoint, or none serves the model.
        Invalid: several do.
    """
    with workspace.database.reading() as connection:
        found = all_endpoints(connection)
    names = [one.name for one in found]
    if wanted is not None:
        if wanted not in names:
            raise NotFound(
                f"there is no endpoint {wanted!r}", where="endpoint", fix=f"Name one of {', '.join(names) or 'none'}"
            )
        return wanted
    serving = [one.name for one in found if one.model == model]
    if not serving:
        raise NotFound(f"no endpoint serves {model}", where="endpoint", fix="Release a version of it first")
    if len(serving) > 1:
        raise Invalid(
            f"{', '.join(serving)} serve {model}", where="endpoint", fix="Say whose log it is with --endpoint"
        )
    return serving[0]
