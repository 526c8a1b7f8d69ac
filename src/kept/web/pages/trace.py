"""One prediction, followed back to everything it was made of."""

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from kept.app.connection import Connection
from kept.loop.logged_prediction import FEATURE
from kept.loop.trace import TracePrediction, tensors_in, trace_prediction
from kept.web.rendering import render, segment


def routes(connection: Connection) -> list[HTTPRouteHandler]:
    """`/predictions/ID`, and `/predictions?id=ID`, where the search field leads."""

    @get("/predictions", include_in_schema=False, status_code=303)
    async def find(id: FromQuery[str] = "") -> Redirect:  # noqa: A002 - it is the field's name in the address
        wanted = id.strip()
        return Redirect(f"/predictions/{segment(wanted)}" if wanted else "/", status_code=303)

    @get("/predictions/{prediction:str}", include_in_schema=False, sync_to_thread=True)
    def trace_page(prediction: FromPath[str]) -> Response[bytes]:
        found = connection.call(trace_prediction, TracePrediction(prediction=prediction))
        row = found.prediction
        return render(
            "trace.html",
            section="",
            prediction=prediction,
            found=found,
            row=row,
            features={name.removeprefix(FEATURE): value for name, value in row.items() if name.startswith(FEATURE)}
            | tensors_in(row),
        )

    return [find, trace_page]
