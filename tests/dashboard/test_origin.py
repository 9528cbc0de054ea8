"""The dashboard rejects requests of other sites: DNS rebinding, foreign origins, cross-site fetches, frames."""

import pytest

from dashboard_client import RUNS, error_message

TABLE = "/api/v1/table"
TOKEN = "a-token-that-is-long-enough"

# --- Host: DNS rebinding ---


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:7000", "127.0.0.1:6116", "[::1]:80", "localhost.:1"])
def test_local_host_is_accepted_with_any_port(client, host):
    assert client.get(RUNS, headers={"host": host}).status_code == 200  # an SSH tunnel may use another port


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
def test_foreign_host_is_rejected(client, host):
    response = client.get(RUNS, headers={"host": host})
    assert response.status_code == 421
    assert "not a name of this server" in error_message(response)


def test_two_host_headers_are_rejected(client):
    response = client.get(RUNS, headers=[("host", "127.0.0.1"), ("host", "evil.example")])
    assert response.status_code == 421


def test_allowed_host_is_accepted(sample_root, open_client):
    client = open_client(sample_root, allowed_hosts=["gpu-7.lab"])
    assert client.get(RUNS, headers={"host": "GPU-7.lab:6116"}).status_code == 200
    assert client.get(RUNS, headers={"host": "gpu-8.lab"}).status_code == 421


def test_public_server_accepts_addresses_but_not_unknown_names(sample_root, open_client):
    client = open_client(sample_root, host="0.0.0.0", token=TOKEN)
    authorization = {"authorization": f"Bearer {TOKEN}"}
    assert client.get(RUNS, headers={"host": "192.168.1.7:6116", **authorization}).status_code == 200
    assert client.get(RUNS, headers={"host": "evil.example", **authorization}).status_code == 421


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
def test_foreign_origin_is_rejected(client, origin):
    response = client.post(TABLE, json={}, headers={"origin": origin})
    assert response.status_code == 403
    assert "another site" in error_message(response)
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("origin", ["http://127.0.0.1:6116", "https://127.0.0.1:6116"])  # https: behind a proxy
def test_own_origin_is_accepted(client, origin):
    content = {"runs": ["run-1"], "names": ["train/loss"]}
    assert client.post(TABLE, json=content, headers={"origin": origin}).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "<script>"])
@pytest.mark.parametrize("path", [RUNS, "/static/plotly.min.js", "/api/v1/live"])
def test_cross_site_request_is_rejected(client, path, site):
    navigation = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    response = client.get(path, headers={"sec-fetch-site": site, **navigation})
    assert response.status_code == 403
    assert "<" not in error_message(response)


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_request_of_own_page_and_address_bar_is_accepted(client, site):
    assert client.get(RUNS, headers={"sec-fetch-site": site}).status_code == 200


@pytest.mark.parametrize(
    ("notebook", "destination", "status"),
    [(False, "document", 200), (False, "iframe", 403), (True, "iframe", 200), (True, "object", 403)],
)
def test_cross_site_link_is_accepted_and_frame_only_in_notebook_mode(
    sample_root, open_client, notebook, destination, status
):
    client = open_client(sample_root, notebook=notebook)
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": destination}
    assert client.get("/", headers=headers).status_code == status
    assert client.get("/", headers={**headers, "sec-fetch-mode": "no-cors"}).status_code == 403
