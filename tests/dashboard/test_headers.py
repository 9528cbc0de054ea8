"""Every response has the security headers, errors included."""

import pytest

from dashboard_client import RUNS
from holter._plotly import plotly_file, style_attribute_hashes, style_hashes
from holter.dashboard.http._headers import content_security_policy

TABLE = "/api/v1/table"
TOKEN = "a-token-that-is-long-enough"
PATHS = ["/", "/healthz", "/static/none.js", RUNS, "/api/v1/openapi.json", "/api/v1/none", "/../etc/passwd"]


def assert_security_headers(response) -> None:
    headers = response.headers
    assert headers["content-security-policy"] == content_security_policy()
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] in {"no-store", "no-cache"}
    assert "access-control-allow-origin" not in headers
    assert "server" not in headers


@pytest.mark.parametrize("path", PATHS)
def test_every_response_has_the_security_headers(client, path):
    assert_security_headers(client.get(path))


def test_errors_have_the_security_headers(client, sample_root, open_client, monkeypatch):
    protected = open_client(sample_root, token=TOKEN)
    responses = [
        client.get(RUNS, headers={"host": "evil.example"}),
        client.get(RUNS, headers={"sec-fetch-site": "cross-site"}),
        client.put(RUNS),
        client.post(TABLE, content=b""),
        client.post(TABLE, json=[]),
        client.get("/api/v1/series?run=none"),
        protected.get(RUNS),
        protected.get(f"/?token={TOKEN}"),
    ]
    monkeypatch.setattr("holter.dashboard.api._app.table", lambda *arguments: 1 / 0)
    failed = client.post(TABLE, json={"runs": [], "names": []})
    assert [response.status_code for response in responses] == [421, 403, 405, 415, 400, 404, 401, 303]
    assert failed.status_code == 500
    assert "ZeroDivisionError" not in failed.text
    for response in [*responses, failed]:
        assert_security_headers(response)


def test_policy_allows_only_hashed_styles_inline_and_no_other_host():
    policy = content_security_policy()
    sources = {name: words for name, *words in (directive.split() for directive in policy.split("; "))}
    assert sources == {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'", *style_hashes(plotly_file().read_text())],
        "style-src-attr": ["'unsafe-hashes'", *style_attribute_hashes()],
        "connect-src": ["'self'"],
        "img-src": ["'self'", "data:", "blob:"],
        "font-src": ["'self'"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
        "frame-ancestors": ["'none'"],
    }


def test_only_local_pages_can_frame_the_dashboard_in_notebook_mode(sample_root, open_client):
    headers = open_client(sample_root, notebook=True).get("/").headers
    ancestors = headers["content-security-policy"].rpartition("frame-ancestors ")[2].split()
    assert ancestors[0] == "'self'"
    assert all(source.partition("://")[2] in ("localhost:*", "127.0.0.1:*") for source in ancestors[1:])
    assert "x-frame-options" not in headers
