"""Who may ask, and how: every row of the dashboard's security that lies before the handlers."""

import hmac

import pytest

from holter._plotly import plotly_file, style_attribute_hashes, style_hashes
from holter.dashboard import make_app
from holter.dashboard.http import _guard
from holter.dashboard.http._guard import MAX_BODY_BYTES, content_security_policy

TOKEN = "a-token-that-is-long-enough"
RUNS = "/api/v1/runs"
TABLE = "/api/v1/table"
PATHS = ["/", "/healthz", "/static/none.js", RUNS, "/api/v1/openapi.json", "/api/v1/none", "/../etc/passwd"]


def message(response) -> str:
    assert response.headers["content-type"] == "application/json"
    return response.json()["error"]["message"]


# --- Host: DNS rebinding ---


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:7000", "127.0.0.1:6116", "[::1]:80", "localhost.:1"])
def test_a_host_of_this_machine_is_served_at_any_port(client, host):
    assert client.get(RUNS, headers={"host": host}).status_code == 200  # a tunnel of SSH's may have another port


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example:6116",
        "192.168.1.7",
        "0.0.0.0",
        "localhost@evil.example",
        "localhost/evil",
        "[::2]",
        "localhost:port",
        "",
    ],
)
def test_a_host_that_is_not_this_machine_is_refused(client, host):
    response = client.get(RUNS, headers={"host": host})
    assert response.status_code == 421
    assert "not known by the name" in message(response)


def test_two_host_headers_are_refused(client):
    response = client.get(RUNS, headers=[("host", "127.0.0.1"), ("host", "evil.example")])
    assert response.status_code == 421


def test_a_name_can_be_allowed(sample_root, open_client):
    client = open_client(sample_root, allowed_hosts=["gpu-7.lab"])
    assert client.get(RUNS, headers={"host": "GPU-7.lab:6116"}).status_code == 200
    assert client.get(RUNS, headers={"host": "gpu-8.lab"}).status_code == 421


def test_a_server_for_other_machines_is_served_by_its_addresses_not_by_any_name(sample_root, open_client):
    client = open_client(sample_root, host="0.0.0.0", token=TOKEN)
    known = {"authorization": f"Bearer {TOKEN}"}
    assert client.get(RUNS, headers={"host": "192.168.1.7:6116", **known}).status_code == 200
    assert client.get(RUNS, headers={"host": "evil.example", **known}).status_code == 421


# --- Origin and Sec-Fetch-Site: other pages in the same browser ---


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "http://127.0.0.1:8888",
        "http://localhost:6116",
        "file://127.0.0.1:6116",
        "http://[",
        "",
    ],
)
def test_another_origin_is_refused(client, origin):
    response = client.post(TABLE, json={}, headers={"origin": origin})
    assert response.status_code == 403
    assert "another site" in message(response)
    assert "access-control-allow-origin" not in response.headers


def test_the_own_origin_is_served(client):
    content = {"runs": ["run-1"], "names": ["train/loss"]}
    for origin in ["http://127.0.0.1:6116", "https://127.0.0.1:6116"]:  # https: a proxy in front
        assert client.post(TABLE, json=content, headers={"origin": origin}).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "<script>"])
@pytest.mark.parametrize("path", [RUNS, "/static/plotly.min.js", "/api/v1/live"])
def test_another_site_may_not_ask(client, path, site):
    visit = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    response = client.get(path, headers={"sec-fetch-site": site, **visit})
    assert response.status_code == 403
    assert "<" not in message(response)


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_the_own_page_and_the_address_bar_may_ask(client, site):
    assert client.get(RUNS, headers={"sec-fetch-site": site}).status_code == 200


@pytest.mark.parametrize(
    ("notebook", "destination", "status"),
    [(False, "document", 200), (False, "iframe", 403), (True, "iframe", 200), (True, "object", 403)],
)
def test_a_link_to_the_page_may_be_followed_and_a_frame_only_in_a_notebook(
    sample_root, open_client, notebook, destination, status
):
    client = open_client(sample_root, notebook=notebook)
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": destination}
    assert client.get("/", headers=headers).status_code == status
    assert client.get("/", headers={**headers, "sec-fetch-mode": "no-cors"}).status_code == 403


# --- Methods, content type, body ---


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"])
@pytest.mark.parametrize("path", [RUNS, TABLE, "/"])
def test_other_methods_are_refused(client, method, path):
    response = client.request(method, path)
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD, POST"
    assert method in message(response)


def test_a_known_method_at_the_wrong_address_is_refused(client):
    response = client.post(RUNS, json={})
    assert (response.status_code, message(response)) == (405, "this address takes GET, got POST")
    response = client.get(TABLE)
    assert (response.status_code, message(response)) == (405, "this address takes POST, got GET")


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "application/jsonp", "text/json"],
)
def test_a_body_of_another_type_is_refused(client, content_type):
    response = client.post(TABLE, content=b"{}", headers={"content-type": content_type})
    assert response.status_code == 415
    assert "application/json" in message(response)


def test_a_body_without_a_type_is_refused(client):
    assert client.post(TABLE, content=b"{}").status_code == 415


def test_json_with_a_character_set_is_json(client):
    content = b'{"runs": [], "names": []}'
    response = client.post(TABLE, content=content, headers={"content-type": "Application/JSON; charset=utf-8"})
    assert response.status_code == 200


def test_a_body_that_is_too_large_is_refused(client):
    response = client.post(TABLE, content=b" " * (MAX_BODY_BYTES + 1), headers={"content-type": "application/json"})
    assert response.status_code == 413
    assert str(MAX_BODY_BYTES) in message(response)


def test_a_body_that_does_not_tell_its_length_is_bounded_too(client):
    read = []

    def pieces():
        for _ in range(64):
            read.append(1)
            yield b" " * (MAX_BODY_BYTES // 16)

    response = client.post(TABLE, content=pieces(), headers={"content-type": "application/json"})
    assert response.status_code == 413


@pytest.mark.parametrize("length", ["-1", "ten", "1" * 30])
def test_a_length_that_is_no_number_is_refused(client, length):
    headers = {"content-type": "application/json", "content-length": length}
    assert client.post(TABLE, content=b"{}", headers=headers).status_code == 400


# --- The token ---


@pytest.fixture
def locked(sample_root, open_client):
    return open_client(sample_root, token=TOKEN)


@pytest.mark.parametrize("path", ["/", RUNS, "/static/plotly.min.js", "/api/v1/openapi.json", "/api/v1/none"])
def test_without_the_token_nothing_is_served(locked, path):
    response = locked.get(path)
    assert response.status_code == 401
    assert TOKEN not in response.text
    assert "token" in message(response)


def test_without_the_token_only_liveness_is_told(locked):
    assert locked.get("/healthz").json()["status"] == "ok"


def test_a_person_without_the_token_is_told_in_words(locked):
    response = locked.get("/", headers={"accept": "text/html,*/*"})
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
def test_a_wrong_token_is_refused(locked, headers):
    assert locked.get(RUNS, headers={key: value.encode("latin-1") for key, value in headers.items()}).status_code == 401


@pytest.mark.parametrize("token", ["wrong", "", "%00", TOKEN + "x", f"{TOKEN}&token=wrong"])
def test_a_wrong_token_in_the_address_is_refused_and_sets_no_cookie(locked, token):
    response = locked.get(f"/?token={token}")
    assert response.status_code == 401
    assert "set-cookie" not in response.headers


def test_a_script_gives_the_token_as_a_header(locked):
    assert locked.get(RUNS, headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_the_token_moves_from_the_address_into_a_cookie(locked):
    response = locked.get(f"/?a=1&token={TOKEN}&b=%262")
    assert response.status_code == 303
    assert response.headers["location"] == "/?a=1&b=%262"
    cookie = response.headers["set-cookie"]
    assert {part.strip().lower() for part in cookie.split(";")[1:]} == {"httponly", "path=/", "samesite=strict"}
    assert locked.get(RUNS).status_code == 200, "the client has the cookie now"
    assert locked.get(f"/?token={TOKEN}").headers["location"] == "/"


def test_the_token_is_taken_from_the_address_of_the_page_alone(locked):
    assert locked.get(f"{RUNS}?token={TOKEN}").status_code == 401


def test_two_dashboards_of_a_machine_have_different_cookies(sample_root, open_client):
    names = set()
    for token in (TOKEN, TOKEN[::-1]):
        response = open_client(sample_root, token=token).get(f"/?token={token}")
        names.add(response.headers["set-cookie"].partition("=")[0])
    assert len(names) == 2


def test_odd_cookies_of_other_programs_do_not_hide_ours(locked):
    cookie = locked.get(f"/?token={TOKEN}").headers["set-cookie"].partition(";")[0]
    locked.cookies.clear()
    assert locked.get(RUNS, headers={"cookie": f'odd={{"a":[1]}}; b@d="x; {cookie}; =; {{}}'}).status_code == 200


def test_tokens_are_compared_in_a_time_that_tells_nothing(locked, monkeypatch):
    compared = []

    class Spy:
        @staticmethod
        def compare_digest(left, right):
            compared.append((left, right))
            return hmac.compare_digest(left, right)

    monkeypatch.setattr(_guard, "hmac", Spy)
    locked.get(RUNS, headers={"authorization": "Bearer wrong"})
    locked.get("/?token=wrong")
    locked.get(RUNS)
    assert compared == [(b"wrong", TOKEN.encode()), (b"wrong", TOKEN.encode()), (b"", TOKEN.encode())]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "gpu-7.lab", ""])
def test_a_server_for_other_machines_needs_a_token(sample_root, host):
    with pytest.raises(ValueError, match="needs a token"):
        make_app(sample_root, host=host)


@pytest.mark.parametrize("token", ["short", "", "a" * 15, "with a space in it", "with\r\nset-cookie: x=y", "ü" * 20])
def test_a_token_that_is_no_good_is_refused(sample_root, token):
    with pytest.raises(ValueError, match="at least 16 characters"):
        make_app(sample_root, token=token)


# --- Headers ---


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_has_the_security_headers(client, path):
    assert_signed(client.get(path))


def test_refusals_and_failures_have_them_too(client, locked, monkeypatch):
    answers = [
        client.get(RUNS, headers={"host": "evil.example"}),
        client.get(RUNS, headers={"sec-fetch-site": "cross-site"}),
        client.put(RUNS),
        client.post(TABLE, content=b""),
        client.post(TABLE, json=[]),
        client.get("/api/v1/series?run=none"),
        locked.get(RUNS),
        locked.get(f"/?token={TOKEN}"),
    ]
    monkeypatch.setattr("holter.dashboard.api._app.table", lambda *arguments: 1 / 0)
    failed = client.post(TABLE, json={"runs": [], "names": []})
    assert [answer.status_code for answer in answers] == [421, 403, 405, 415, 400, 404, 401, 303]
    assert failed.status_code == 500
    assert "ZeroDivisionError" not in failed.text
    for answer in [*answers, failed]:
        assert_signed(answer)


def assert_signed(response) -> None:
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


def test_the_policy_allows_nothing_inline_and_no_other_host():
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


def test_a_notebook_may_frame_the_page_and_nobody_else_may(sample_root, open_client):
    headers = open_client(sample_root, notebook=True).get("/").headers
    ancestors = headers["content-security-policy"].rpartition("frame-ancestors ")[2].split()
    assert ancestors[0] == "'self'"
    assert all(source.partition("://")[2] in ("localhost:*", "127.0.0.1:*") for source in ancestors[1:])
    assert "x-frame-options" not in headers
