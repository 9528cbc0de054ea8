"""The page's pure modules, called by themselves in the browser."""

import pytest

from dashboard_page import expect


@pytest.fixture(scope="module")
def call(shared_context, runs_url):
    """Calls `name` of a module with JSON arguments."""
    page = shared_context.new_page()
    page.goto(runs_url)
    expect(page.locator(".tile").first).to_be_visible()

    def call_one(module, name, *arguments):
        script = "async ([module, name, given]) => (await import(`/static/${module}.js`))[name](...given)"
        return page.evaluate(script, [module, name, list(arguments)])

    yield call_one
    page.close()


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("attention_entropy/layer_11", "attention_entropy/layer_*"),
        ("layer_3/attention_entropy", "layer_*/attention_entropy"),
        ("grad_norm/blocks.0.mlp.2.weight", "grad_norm/blocks.*.mlp.2.weight"),
        ("grad_norm/transformer.h.7.attn.weight", "grad_norm/transformer.h.*.attn.weight"),
        ("model.layers.12.mlp", "model.layers.*.mlp"),
        ("experts/3/load", "experts/*/load"),
        ("m3_alpha", None),
        ("train/loss", None),
        ("top1_share", None),
    ],
)
def test_families_are_what_differs_in_a_layers_number(call, name, pattern):
    assert call("families", "familyPattern", name) == pattern


def test_sections_have_families_in_natural_order(call):
    names = [f"entropy/layer_{layer}" for layer in (10, 2, 0, 1)]
    sections = call("families", "sectionsOf", [*names, "val/loss", "train/loss", "lr", "alpha/layer_0"])
    assert [section["name"] for section in sections] == ["train", "val", "alpha", "entropy", ""]
    assert sections[3]["charts"][0]["names"] == [f"entropy/layer_{layer}" for layer in (0, 1, 2, 10)]
    assert sections[2]["charts"][0]["key"] == "alpha/layer_0", "one member is no family"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (1234567, "1,234,567"),
        (0.000012345, "1.234e−5"),
        (-2.5, "−2.5"),
        ("nan", "NaN"),
        ("-inf", "−∞"),
        (None, "–"),
    ],
)
def test_values_as_people_read_them(call, number, text):
    assert call("format", "value", number) == text


@pytest.mark.parametrize(
    ("secs", "text"), [(5, "5 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (273_600, "3 d 4 h"), (None, "–")]
)
def test_durations(call, secs, text):
    assert call("format", "duration", secs) == text


def test_state_round_trips_through_the_address(call):
    words = "tab=compare&run=a%2Cb&run=&q=re%3A%5Ex&pin=a%2Fb+%2B+c&smooth=12.5&log=1&mode=std%3Aa%3Ab&start=-5&stop=7"
    state = call("state", "parse", f"#{words}")
    assert state["run"] == ["a,b"]
    assert state["q"] == "re:^x"
    assert state["start"] == -5
    assert call("state", "parse", call("state", "format", state)) == state
    assert call("state", "format", call("state", "parse", "")) == ""
    assert call("state", "parse", "run=")["run"] == []


def test_runs_are_grouped_by_config_and_by_name(call):
    runs = [
        {"id": "a", "name": "lr=1 seed=1", "color": 0, "config": {"lr": 1}},
        {"id": "b", "name": "lr=1 seed=2", "color": 1, "config": {"lr": 1}},
        {"id": "c", "name": "lr=2 seed=1", "color": 2, "config": {"lr": 2}},
        {"id": "d", "name": "lr=2 seed=1", "color": 3, "config": {}},
    ]

    def labels(grouping):
        groups = call("grouping", "groupRuns", runs, grouping)
        return {group["label"]: [run["id"] for run in group["runs"]] for group in groups}

    assert labels("config:lr") == {"lr = 1": ["a", "b"], "lr = 2": ["c"], "no lr": ["d"]}
    assert labels("name:seed=*") == {"lr=1 seed=*": ["a", "b"], "lr=2 seed=*": ["c", "d"]}
    assert labels("") == {
        "lr=1 seed=1": ["a"],
        "lr=1 seed=2": ["b"],
        "lr=2 seed=1 (c)": ["c"],
        "lr=2 seed=1 (d)": ["d"],
    }
    assert call("grouping", "differingKeys", runs) == ["lr"]


def test_shell_words_are_quoted(call):
    assert call("command", "quoted", "runs/a-1") == "runs/a-1"
    assert call("command", "quoted", "layer_*") == "'layer_*'"
    assert call("command", "quoted", "it's; rm -rf /") == "'it'\\''s; rm -rf /'"
