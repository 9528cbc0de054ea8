"""Fuzzes the API: every response matches the OpenAPI description or is an error with a message, never a 500.

Requests are generated from the OpenAPI description, with junk in any part. `tests/fuzz/corpus/dashboard/` contains the
bodies of earlier failures; the first word of a file's name is its address.
"""

from collections import Counter
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboard_client import API, error_message
from openapi import check, values

CORPUS = Path(__file__).parents[1] / "fuzz" / "corpus" / "dashboard"
EXPECTED_ERRORS = {400, 401, 403, 404, 405, 410, 413, 415, 421}
NAMES = [
    "train/loss",
    "lr",
    "attention_entropy/layer_0",
    "run-1",
    "run-2",
    "step",
    "metric:lr",
    "none",
    "*",
    "",
    "\x1b[2J",
]
TEXTS = st.sampled_from(NAMES) | st.text(st.characters(codec="utf-8"), max_size=12)
KNOWN = {"runs": ["run-1", "run-2"] * 10 + ["none"], "x": ["step", "relative", "wall", "metric:lr"] * 5 + [""]}
"""Mostly valid texts for fields in which a single invalid text fails the whole request."""
HEADERS = ["host", "origin", "sec-fetch-site", "cookie", "authorization", "if-none-match", "range", "accept-encoding"]
STREAMS = {f"{API}/live"}
"""Endless responses; tests/dashboard/test_live.py covers them."""


def fuzz(max_examples: int):
    suppressed = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(
        max_examples=max_examples, deadline=None, derandomize=True, database=None, suppress_health_check=suppressed
    )


def texts_of(key: str) -> st.SearchStrategy:
    return st.sampled_from(KNOWN[key]) if key in KNOWN else TEXTS


def checked(response, operation, document) -> int:
    """Check a response against the description, and return its status."""
    media_type = response.headers["content-type"].partition(";")[0]
    if response.status_code == 200:
        described = operation["responses"]["200"]["content"]
        assert media_type in described or media_type.startswith("text/")
        if media_type == "application/json":
            check(response.json(), described[media_type]["schema"], document, "response")
    elif response.status_code != 304:
        assert response.status_code in EXPECTED_ERRORS, response.text
        assert error_message(response)
    assert response.headers["x-content-type-options"] == "nosniff"
    return response.status_code


@pytest.fixture
def document(client):
    return client.get(f"{API}/openapi.json").json()


@pytest.mark.parametrize("name", ["figures", "table", "compare"])
def test_random_bodies(name, client, document):
    operation = document["paths"][f"{API}/{name}"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    seen: Counter[int] = Counter()

    @fuzz(60)
    @given(values(schema, document, texts_of))
    def send(body):
        response = client.post(f"{API}/{name}", json=body)
        seen[checked(response, operation, document)] += 1

    send()
    assert min(seen[200], seen[400]) >= 5, f"the generated requests are too one-sided: {seen}"


def test_random_queries_and_headers(client, document):
    gets = {path: item["get"] for path, item in document["paths"].items() if "get" in item and path not in STREAMS}
    seen: Counter[int] = Counter()

    @fuzz(150)
    @given(st.data())
    def send(data):
        template = data.draw(st.sampled_from(sorted(gets)))
        path, query = template, []
        for parameter in gets[template]["parameters"]:
            texts = data.draw(st.lists(TEXTS, max_size=2))
            if parameter["in"] == "path":
                path = path.replace(f"{{{parameter['name']}}}", "".join(texts).replace("\x00", ""))
            else:
                query += [(parameter["name"], text) for text in texts]
        query += data.draw(st.lists(st.tuples(TEXTS, TEXTS), max_size=1))
        headers = data.draw(
            st.dictionaries(st.sampled_from(HEADERS), st.text(st.characters(codec="latin-1"), max_size=8), max_size=1)
        )
        response = client.get(
            quote(path),
            params=query,
            headers={name: text.encode("latin-1") for name, text in headers.items()},
        )
        seen[checked(response, gets[template], document)] += 1

    send()
    assert min(seen[200], seen[400]) >= 5, f"the generated requests are too one-sided: {seen}"


@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda path: path.name)
def test_corpus(path, client, document):
    address = f"{API}/{path.name.partition('-')[0]}"
    response = client.post(address, content=path.read_bytes(), headers={"content-type": "application/json"})
    checked(response, document["paths"][address]["post"], document)
