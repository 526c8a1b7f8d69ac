"""Datasets and feature views: versions, the contract they are held to, and what was set aside."""

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery

from kept.app.connection import Connection
from kept.data.catalog import (
    ListData,
    ShowData,
    ShowQuarantine,
    list_data,
    show_data,
    show_quarantine,
    show_schema,
)
from kept.web.pages.facts import VIEWS, newest
from kept.web.rendering import render

_LISTED = 200
_ROWS_SHOWN = 25


def routes(connection: Connection) -> list[HTTPRouteHandler]:
    """`/data` and `/data/PROJECT/DATASET`; a feature view is the dataset `features/NAME`."""

    @get("/data", include_in_schema=False, sync_to_thread=True)
    def datasets() -> Response[bytes]:
        found = connection.call(list_data, ListData(limit=_LISTED))
        shown = sorted(newest(found), key=lambda one: (one.project, one.dataset.startswith(VIEWS), one.dataset))
        return render("data.html", section="Data", found=shown)

    @get("/data/{project:str}/{dataset:path}", include_in_schema=False, sync_to_thread=True)
    def dataset_page(
        project: FromPath[str], dataset: FromPath[str], number: FromQuery[int | None] = None
    ) -> Response[bytes]:
        name = str(dataset).strip("/")
        request = ShowData(project=project, dataset=name, number=number)
        one = connection.call(show_data, request)
        aside = ShowQuarantine(project=project, dataset=name, number=one.number, limit=_ROWS_SHOWN)
        return render(
            "dataset.html",
            section="Data",
            one=one,
            versions=connection.call(list_data, ListData(project=project, dataset=name, limit=_LISTED)),
            contract=connection.call(show_schema, ShowData(project=project, dataset=name, number=one.number)).contract,
            bad_rows=connection.call(show_quarantine, aside) if one.rows_quarantined else [],
        )

    return [datasets, dataset_page]
