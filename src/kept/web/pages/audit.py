"""The audit chain."""

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery

from kept.app.connection import Connection
from kept.core.errors import Damaged
from kept.governance.journal import ListAudit, Verified, VerifyAudit, list_audit, verify_audit
from kept.web.rendering import render

_LISTED = 200


def routes(connection: Connection) -> list[HTTPRouteHandler]:
    """`/audit`; with `?verify=1` the whole chain is checked, too."""

    @get("/audit", include_in_schema=False, sync_to_thread=True)
    def journal(
        subject: FromQuery[str] = "", action: FromQuery[str] = "", verify: FromQuery[bool] = False
    ) -> Response[bytes]:
        request = ListAudit(subject=subject or None, action=action or None, limit=_LISTED)
        verified: Verified | None = None
        damage: Damaged | None = None
        if verify:
            try:
                verified = connection.call(verify_audit, VerifyAudit())
            except Damaged as error:
                damage = error
        return render(
            "audit.html",
            section="Audit",
            found=connection.call(list_audit, request),
            subject=subject,
            action=action,
            verified=verified,
            damage=damage,
        )

    return [journal]
