from base64 import b64encode

import pytest
from visiting import Open

TOKEN = "a-long-secret"
LIST = "/api/v1/registry/list"


def basic(password: str) -> str:
    return "Basic " + b64encode(f"ada:{password}".encode()).decode()


@pytest.mark.parametrize("host", ["127.0.0.1:8700", "localhost:8700", "[::1]:8700", "localhost", "127.0.0.1"])
def test_this_machine_is_let_in(open_site: Open, host: str) -> None:
    assert open_site().post(LIST, content=b"{}", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "address", ["http://kept.example:8700", "http://127.0.0.1.example", "http://localhost.example:80"]
)
def test_another_name_for_this_machine_is_refused(open_site: Open, address: str) -> None:
    client = open_site(address)
    for answer in (
        client.get("/"),
        client.post(LIST, content=b"{}"),
        client.get("/metrics"),
        client.get("/static/0/kept.css"),
    ):
        assert answer.status_code == 403
        assert answer.json()["error"] == "Forbidden"
    assert client.get("/api/v1/health/live").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_of_another_site_may_not_ask(open_site: Open, headers: dict[str, str]) -> None:
    assert open_site().post(LIST, content=b"{}", headers=headers).status_code == 403


def test_our_own_pages_may_ask(open_site: Open) -> None:
    headers = {"Origin": "http://127.0.0.1:8700", "Sec-Fetch-Site": "same-origin"}
    assert open_site().post(LIST, content=b"{}", headers=headers).status_code == 200


def test_the_token_is_needed_when_it_is_set(open_site: Open) -> None:
    client = open_site("http://kept.example", token=TOKEN)
    for header in ("", "Bearer", "Bearer wrong", f"Bearer {TOKEN}x", TOKEN, basic("wrong"), "Basic !!", "Basic"):
        for answer in (
            client.get("/", headers={"Authorization": header}),
            client.post(LIST, headers={"Authorization": header}),
        ):
            assert answer.status_code == 401, header
            assert TOKEN not in answer.text
    assert client.post(LIST, content=b"{}", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert client.get("/", headers={"Authorization": basic(TOKEN)}).status_code == 200
    assert client.get("/api/v1/health/ready").status_code == 200


def test_a_browser_is_asked_for_the_token(open_site: Open) -> None:
    client = open_site(token=TOKEN)
    asked = client.get("/", headers={"Accept": "text/html"})
    assert asked.headers["www-authenticate"].startswith("Basic")
    assert "Who are you?" in asked.text
    assert client.post(LIST).headers["www-authenticate"] == "Bearer"


def test_a_token_does_not_open_the_door_to_other_sites(open_site: Open) -> None:
    headers = {"Authorization": basic(TOKEN), "Origin": "http://evil.example"}
    assert open_site(token=TOKEN).post(LIST, content=b"{}", headers=headers).status_code == 403
