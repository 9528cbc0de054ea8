"""An HTTP client for a running dashboard, which sends requests unmodified and reads events as they arrive."""

import http.client
import json

SECS = 30.0
"""The timeout of a response."""
RUNS = "/api/v1/runs"


def listed(client) -> tuple[list[str], dict[str, str]]:
    """Return the ids of the listed runs, and the reason for each run that is not listed."""
    response = client.get(RUNS)
    assert response.status_code == 200
    found = response.json()
    return [run["id"] for run in found["runs"]], {problem["path"]: problem["reason"] for problem in found["problems"]}


def connect(url: str) -> http.client.HTTPConnection:
    host, _, port = url.removeprefix("http://").partition("/")[0].rpartition(":")
    return http.client.HTTPConnection(host, int(port), timeout=SECS)


def get(url: str, path: str, **headers) -> tuple[int, bytes]:
    """Request a path without normalizing it."""
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
    """The event stream of a dashboard."""

    def __init__(self, url: str, runs: list[str]) -> None:
        self.connection = connect(url)
        self.connection.request("GET", "/api/v1/live?" + "&".join(f"run={run}" for run in runs))
        self.response = self.connection.getresponse()
        assert self.response.status == 200
        assert self.response.getheader("content-type") == "text/event-stream; charset=utf-8"

    def next(self) -> tuple[str, dict]:
        """Return the next event; skip comments."""
        name = ""
        while True:
            line = self.response.readline().decode().rstrip("\n")
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                return name, json.loads(line.removeprefix("data: "))

    def until(self, wanted: str) -> dict:
        while True:
            name, data = self.next()
            if name == wanted:
                return data

    def has_ended(self) -> bool:
        return self.response.read() is not None

    def close(self) -> None:
        self.response.close()
        self.connection.close()
