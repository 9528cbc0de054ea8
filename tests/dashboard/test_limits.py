"""The dashboard accepts GET, HEAD and POST, and bodies that are JSON and at most 1 MiB."""

import pytest

from dashboard_client import RUNS, error_message
from holter.dashboard.http._limits import MAX_BODY_BYTES

TABLE = "/api/v1/table"
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"])
@pytest.mark.parametrize("path", [RUNS, TABLE, "/"])
def test_other_methods_are_rejected(client, method, path):
    response = client.request(method, path)
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD, POST"
    assert method in error_message(response)


def test_wrong_method_for_an_address_is_rejected(client):
    response = client.post(RUNS, json={})
    assert (response.status_code, error_message(response)) == (405, "this address accepts GET, got POST")
    response = client.get(TABLE)
    assert (response.status_code, error_message(response)) == (405, "this address accepts POST, got GET")


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "application/jsonp", "text/json"],
)
def test_body_of_another_type_is_rejected(client, content_type):
    response = client.post(TABLE, content=b"{}", headers={"content-type": content_type})
    assert response.status_code == 415
    assert "application/json" in error_message(response)


def test_body_without_a_type_is_rejected(client):
    assert client.post(TABLE, content=b"{}").status_code == 415


def test_json_with_a_charset_is_accepted(client):
    content = b'{"runs": [], "names": []}'
    response = client.post(TABLE, content=content, headers={"content-type": "Application/JSON; charset=utf-8"})
    assert response.status_code == 200


def test_too_large_body_is_rejected(client):
    response = client.post(TABLE, content=b" " * (MAX_BODY_BYTES + 1), headers=JSON)
    assert response.status_code == 413
    assert str(MAX_BODY_BYTES) in error_message(response)


def test_too_large_body_without_a_length_is_rejected(client):
    response = client.post(TABLE, content=(b" " * (MAX_BODY_BYTES // 16) for _ in range(64)), headers=JSON)
    assert response.status_code == 413
    assert str(MAX_BODY_BYTES) in error_message(response)


@pytest.mark.parametrize("length", ["-1", "ten", "1" * 30])
def test_invalid_content_length_is_rejected(client, length):
    headers = {**JSON, "content-length": length}
    assert client.post(TABLE, content=b"{}", headers=headers).status_code == 400
