"""With a token, the dashboard rejects every request without it except the liveness check."""

import hmac

import pytest

from dashboard_client import RUNS, error_message
from holter.dashboard import make_app
from holter.dashboard.http import _token

TOKEN = "a-token-that-is-long-enough"


@pytest.fixture
def protected(sample_root, open_client):
    return open_client(sample_root, token=TOKEN)


@pytest.mark.parametrize("path", ["/", RUNS, "/static/plotly.min.js", "/api/v1/openapi.json", "/api/v1/none"])
def test_request_without_the_token_is_rejected(protected, path):
    response = protected.get(path)
    assert response.status_code == 401
    assert TOKEN not in response.text
    assert "token" in error_message(response)


def test_liveness_check_needs_no_token(protected):
    assert protected.get("/healthz").json()["status"] == "ok"


def test_browser_without_the_token_gets_a_page_that_explains(protected):
    response = protected.get("/", headers={"accept": "text/html,*/*"})
    assert response.status_code == 401
    assert response.headers["content-type"].startswith("text/html")
    assert "holter serve" in response.text


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer wrong"},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": f"Bearer {TOKEN[:-1]}"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": "Bearer"},
        {"authorization": "Bearer \xff\xfe"},
        {"cookie": f"holter={TOKEN}"},
        {"cookie": 'holter_="'},
    ],
)
def test_wrong_token_in_a_header_is_rejected(protected, headers):
    encoded = {key: value.encode("latin-1") for key, value in headers.items()}
    assert protected.get(RUNS, headers=encoded).status_code == 401


@pytest.mark.parametrize("token", ["wrong", "", "%00", TOKEN + "x", f"{TOKEN}&token=wrong"])
def test_wrong_token_in_the_address_is_rejected_and_sets_no_cookie(protected, token):
    response = protected.get(f"/?token={token}")
    assert response.status_code == 401
    assert "set-cookie" not in response.headers


def test_bearer_token_is_accepted(protected):
    assert protected.get(RUNS, headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_token_moves_from_the_address_into_a_cookie(protected):
    response = protected.get(f"/?a=1&token={TOKEN}&b=%262")
    assert response.status_code == 303
    assert response.headers["location"] == "/?a=1&b=%262"
    cookie = response.headers["set-cookie"]
    assert {part.strip().lower() for part in cookie.split(";")[1:]} == {"httponly", "path=/", "samesite=strict"}
    assert protected.get(RUNS).status_code == 200, "the client sends the cookie"
    assert protected.get(f"/?token={TOKEN}").headers["location"] == "/"


def test_token_in_the_address_works_for_the_page_only(protected):
    assert protected.get(f"{RUNS}?token={TOKEN}").status_code == 401


def test_dashboards_with_different_tokens_have_different_cookies(sample_root, open_client):
    names = set()
    for token in (TOKEN, TOKEN[::-1]):
        response = open_client(sample_root, token=token).get(f"/?token={token}")
        names.add(response.headers["set-cookie"].partition("=")[0])
    assert len(names) == 2


def test_malformed_cookies_of_other_programs_are_ignored(protected):
    cookie = protected.get(f"/?token={TOKEN}").headers["set-cookie"].partition(";")[0]
    protected.cookies.clear()
    assert protected.get(RUNS, headers={"cookie": f'odd={{"a":[1]}}; b@d="x; {cookie}; =; {{}}'}).status_code == 200


def test_token_is_compared_in_constant_time(protected, monkeypatch):
    compared = []

    class Spy:
        @staticmethod
        def compare_digest(left, right):
            compared.append((left, right))
            return hmac.compare_digest(left, right)

    monkeypatch.setattr(_token, "hmac", Spy)
    protected.get(RUNS, headers={"authorization": "Bearer wrong"})
    protected.get("/?token=wrong")
    protected.get(RUNS)
    assert compared == [(b"wrong", TOKEN.encode()), (b"wrong", TOKEN.encode()), (b"", TOKEN.encode())]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "gpu-7.lab", ""])
def test_public_server_requires_a_token(sample_root, host):
    with pytest.raises(ValueError, match="needs a token"):
        make_app(sample_root, host=host)


@pytest.mark.parametrize("token", ["short", "", "a" * 15, "with a space in it", "with\r\nset-cookie: x=y", "ü" * 20])
def test_invalid_token_is_rejected(sample_root, token):
    with pytest.raises(ValueError, match="at least 16 characters"):
        make_app(sample_root, token=token)
