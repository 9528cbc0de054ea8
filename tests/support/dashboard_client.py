"""Speaks HTTP with a running dashboard, byte for byte, and reads its events as they come."""

import http.client
import json

SECS = 30.0
"""How long an answer may take before a test fails."""
RUNS = "/api/v1/runs"


def listed(client) -> tuple[list[str], dict[str, str]]:
    """The ids of the runs that a test client is shown, and the reasons for those that it is not."""
    response = client.get(RUNS)
    assert response.status_code == 200
    found = response.json()
    return [run["id"] for run in found["runs"]], {problem["path"]: problem["reason"] for problem in found["problems"]}


def connect(url: str) -> http.client.HTTPConnection:
    host, _, port = url.removeprefix("http://").partition("/")[0].rpartition(":")
    return http.client.HTTPConnection(host, int(port), timeout=SECS)


def get(url: str, path: str, **headers) -> tuple[int, bytes]:
    """Ask for a path as it is, without any tidying-up."""
    connection = connect(url)
    try:
        connection.putrequest("GET", path, skip_host="host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


class Stream:
    """The events of a dashboard, read as they come."""

    def __init__(self, url: str, runs: list[str]) -> None:
        self.connection = connect(url)
        self.connection.request("GET", "/api/v1/live?" + "&".join(f"run={run}" for run in runs))
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200
        assert self.answer.getheader("content-type") == "text/event-stream; charset=utf-8"

    def next(self) -> tuple[str, dict]:
        """The next event; comments are passed over."""
        name = ""
        while True:
            line = self.answer.readline().decode().rstrip("\n")
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
        return self.answer.read() is not None

    def close(self) -> None:
        self.answer.close()
        self.connection.close()
