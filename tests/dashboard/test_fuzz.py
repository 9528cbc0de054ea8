"""Whatever is asked of the API, the answer is what the description promises, or a refusal in words: never a failure.

Requests follow from the OpenAPI description, with junk in any part of them. Bodies that once mattered are kept in
`tests/fuzz/corpus/dashboard/`, by the last word of their address.
"""

import time
from collections import Counter
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openapi import check, values

API = "/api/v1"
CORPUS = Path(__file__).parents[1] / "fuzz" / "corpus" / "dashboard"
PATIENCE_SECS = 20.0
REFUSALS = {400, 401, 403, 404, 405, 410, 413, 415, 421}
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
TEXTS = st.sampled_from(NAMES) | st.text(max_size=12)
KNOWN = {"runs": ["run-1", "run-2"] * 10 + ["none"], "x": ["step", "relative", "wall", "metric:lr"] * 5 + [""]}
"""What of the texts there is, and little else, where one wrong text refuses the whole."""
HEADERS = ["host", "origin", "sec-fetch-site", "cookie", "authorization", "if-none-match", "range", "accept-encoding"]
STREAMS = {f"{API}/live"}
"""They do not end; tests/dashboard/test_live.py asks for them."""


def fuzz(max_examples: int):
    suppressed = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(
        max_examples=max_examples, deadline=None, derandomize=True, database=None, suppress_health_check=suppressed
    )


def texts_of(key: str) -> st.SearchStrategy:
    return st.sampled_from(KNOWN[key]) if key in KNOWN else TEXTS


def checked(answer, operation, document, since: float) -> int:
    """Hold an answer against the description, and return its status."""
    assert time.perf_counter() - since < PATIENCE_SECS
    media_type = answer.headers["content-type"].partition(";")[0]
    if answer.status_code == 200:
        described = operation["responses"]["200"]["content"]
        assert media_type in described or media_type.startswith("text/")
        if media_type == "application/json":
            check(answer.json(), described[media_type]["schema"], document, "answer")
    elif answer.status_code != 304:
        assert answer.status_code in REFUSALS, answer.text
        assert media_type == "application/json"
        assert answer.json()["error"]["message"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    return answer.status_code


@pytest.fixture
def document(client):
    return client.get(f"{API}/openapi.json").json()


@pytest.mark.parametrize("name", ["figures", "table", "compare"])
def test_bodies(name, client, document):
    operation = document["paths"][f"{API}/{name}"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    seen: Counter[int] = Counter()

    @fuzz(60)
    @given(values(schema, document, texts_of))
    def ask(body):
        since = time.perf_counter()
        answer = client.post(f"{API}/{name}", json=body)
        seen[checked(answer, operation, document, since)] += 1

    ask()
    assert min(seen[200], seen[400]) >= 5, f"most of it is not reached: {seen}"


def test_queries_and_headers(client, document):
    gets = {path: ways["get"] for path, ways in document["paths"].items() if "get" in ways and path not in STREAMS}
    seen: Counter[int] = Counter()

    @fuzz(150)
    @given(st.data())
    def ask(data):
        path = data.draw(st.sampled_from(sorted(gets)))
        place, query = path, []
        for parameter in gets[path]["parameters"]:
            given_texts = data.draw(st.lists(TEXTS, max_size=2))
            if parameter["in"] == "path":
                place = place.replace(f"{{{parameter['name']}}}", "".join(given_texts).replace("\x00", ""))
            else:
                query += [(parameter["name"], text) for text in given_texts]
        query += data.draw(st.lists(st.tuples(TEXTS, TEXTS), max_size=1))
        headers = data.draw(
            st.dictionaries(st.sampled_from(HEADERS), st.text(st.characters(codec="latin-1"), max_size=8), max_size=1)
        )
        query = [tuple(text.encode("utf-8", "replace").decode() for text in pair) for pair in query]
        since = time.perf_counter()
        answer = client.get(
            quote(place.encode("utf-8", "replace")),
            params=query,
            headers={name: text.encode("latin-1") for name, text in headers.items()},
        )
        seen[checked(answer, gets[path], document, since)] += 1

    ask()
    assert min(seen[200], seen[400]) >= 5, f"most of it is not reached: {seen}"


@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda path: path.name)
def test_the_corpus(path, client, document):
    address = f"{API}/{path.name.partition('-')[0]}"
    since = time.perf_counter()
    answer = client.post(address, content=path.read_bytes(), headers={"content-type": "application/json"})
    checked(answer, document["paths"][address]["post"], document, since)
