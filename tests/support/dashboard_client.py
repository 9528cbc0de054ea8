"""Clients for the dashboard: raw HTTP requests, and an event stream."""

import http.client
import json

TIMEOUT_SECS = 30.0
"""Deadline for a response."""
API = "/api/v1"
RUNS = f"{API}/runs"


def listed(client) -> tuple[list[str], dict[str, str]]:
    """Return the ids of the listed runs, and the reasons for the problems by path."""
    response = client.get(RUNS)
    assert response.status_code == 200
    found = response.json()
    return [run["id"] for run in found["runs"]], {problem["path"]: problem["reason"] for problem in found["problems"]}


def error_message(response) -> str:
    """Return the message of an error response."""
    assert response.headers["content-type"] == "application/json"
    return response.json()["error"]["message"]


def connect(url: str) -> http.client.HTTPConnection:
    host, _, port = url.removeprefix("http://").partition("/")[0].rpartition(":")
    return http.client.HTTPConnection(host, int(port), timeout=TIMEOUT_SECS)


def get(url: str, path: str, **headers) -> tuple[int, bytes]:
    """Send a GET request without normalizing the path."""
    connection = connect(url)
    try:
        connection.putrequest("GET", path, skip_host="host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


class Stream:
    """The events of a dashboard, read as they arrive."""

    def __init__(self, url: str, runs: list[str]) -> None:
        self.connection = connect(url)
        self.connection.request("GET", f"{API}/live?" + "&".join(f"run={run}" for run in runs))
        self.response = self.connection.getresponse()
        assert self.response.status == 200
        assert self.response.getheader("content-type") == "text/event-stream; charset=utf-8"

    def next(self) -> tuple[str, dict]:
        """Return the next event, skipping comments."""
        name = ""
        while True:
            line = self.response.readline().decode()
            assert line, "the stream ended"
            if line.startswith("event: "):
                name = line.removeprefix("event: ").rstrip("\n")
            elif line.startswith("data: "):
                return name, json.loads(line.removeprefix("data: "))

    def until(self, name: str) -> dict:
        """Skip to the next event with this name and return its data."""
        while True:
            found, data = self.next()
            if found == name:
                return data

    def wait_for_end(self) -> None:
        """Read until the server closes the stream."""
        self.response.read()

    def close(self) -> None:
        self.response.close()
        self.connection.close()
