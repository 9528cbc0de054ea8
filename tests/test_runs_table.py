"""`holter.runs` and the filters of `holter.list_runs`."""

import pytest

import holter


@pytest.fixture
def root(tmp_path):
    for number, lr in enumerate((0.1, 0.01), 1):
        config = {"lr": lr, "model": {"dim": 8 * number}}
        tags = ["baseline"] if number == 1 else ["baseline", "sweep"]
        with holter.Logger(tmp_path / f"run-{number}", config=config, tags=tags, notes="<b>") as logger:
            for step in range(5):
                logger.log(step, "train/loss", 1.0 / number)
    return tmp_path


def test_table_has_a_row_per_run_and_a_column_per_setting(root):
    table = holter.runs(root)
    assert [(row["name"], row["status"], row["last_step"], row["loss"]) for row in table] == [
        ("run-1", "finished", 4, 1.0),
        ("run-2", "finished", 4, 0.5),
    ]
    assert [(row["config.lr"], row["config.model.dim"], row["points"]) for row in table] == [(0.1, 8, 5), (0.01, 16, 5)]
    assert (len(table), table[-1]["tags"]) == (2, ["baseline", "sweep"])


def test_table_is_shown_as_text_html_and_pandas(root):
    pytest.importorskip("pandas")
    table = holter.runs(root)
    assert [line.split()[:2] for line in repr(table).splitlines()] == [
        ["name", "status"],
        ["run-1", "finished"],
        ["run-2", "finished"],
    ]
    assert "&lt;b&gt;" in table._repr_html_()
    assert "<b>" not in table._repr_html_()
    frame = table.to_pandas()
    assert frame["config.lr"].tolist() == [0.1, 0.01]
    assert list(frame.columns) == table.columns


def test_runs_are_filtered_by_tags_and_condition(root):
    assert [run.name for run in holter.list_runs(root, tags="baseline")] == ["run-1", "run-2"]
    assert [run.name for run in holter.list_runs(root, tags=["baseline", "sweep"])] == ["run-2"]
    assert holter.list_runs(root, tags="other") == []
    assert [run.name for run in holter.list_runs(root, where=lambda run: run.config["lr"] < 0.05)] == ["run-2"]
    assert holter.list_runs(root, where=lambda run: run.config["missing"] > 0) == []
    assert [row["name"] for row in holter.runs(root, tags="sweep")] == ["run-2"]
