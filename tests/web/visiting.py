"""What tests of the site share."""

from collections.abc import Callable

from litestar import Litestar
from litestar.testing import TestClient

ADDRESS = "http://127.0.0.1:8700"

Client = TestClient[Litestar]
Open = Callable[..., Client]
