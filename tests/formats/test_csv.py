"""CSV: wide and long, as Lightning, Keras, TensorBoard and `holter export` write it."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import holter
from holter.formats import SeriesChunk, find_sources, format_csv, import_source

LIGHTNING = """\
epoch,step,train_loss,val_loss
0,9,0.5,
0,19,,0.75
1,29,nan,
"""
KERAS = """\
epoch,accuracy,loss,val_loss
0,0.5,1.5,NA
1,0.75,1e-3,"[1, 2]"
"""


def test_csv_of_lightning(import_text):
    points, faults, imported = import_text("metrics.csv", LIGHTNING)
    assert points == {
        ("epoch", 9): "0.0",
        ("epoch", 19): "0.0",
        ("epoch", 29): "1.0",
        ("train_loss", 9): "0.5",
        ("train_loss", 29): "nan",
        ("val_loss", 19): "0.75",
    }
    assert (faults, imported.skipped) == ([], {})


def test_csv_of_keras(import_text):
    points, faults, imported = import_text("training.log", KERAS)
    assert points == {
        ("accuracy", 0): "0.5",
        ("accuracy", 1): "0.75",
        ("loss", 0): "1.5",
        ("loss", 1): "0.001",
    }
    assert (faults, imported.skipped) == ([], {"texts": 2})


def test_csv_downloaded_from_tensorboard(import_text):
    points, faults, imported = import_text("x.csv", "Wall time,Step,Value\n1.5,10,0.25\n2.5,20,0.5\n")
    assert points == {("Value", 10): "0.25", ("Value", 20): "0.5"}
    assert (faults, imported.skipped) == ([], {"times": 2})


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_long_form(import_text, separator):
    rows = [
        ("name", "step", "value", "note"), ("loss", 1, 0.5, "x"), ("'=a", 2, "-inf", ""), ("'quoted", 3, "NaN", "")
    ]  # fmt: skip
    points, faults, _ = import_text("x.csv", "".join(separator.join(map(str, row)) + "\r\n" for row in rows))
    assert points == {("loss", 1): "0.5", ("=a", 2): "-inf", ("'quoted", 3): "nan"}
    assert faults == []


def test_several_runs_are_rejected(import_text):
    with pytest.raises(ValueError, match="contains several runs, 'a' and 'b'; split it into one file for each"):
        import_text("x.csv", "run,name,step,value\na,loss,1,1\nb,loss,1,1\n")


def test_invalid_rows_are_reported(import_text):
    rows = ["step,a,", "1,2,", "x,1,", "3,4", "5,6,7,8", "", '6,"7\n8",', "9.5,1,", f"10,{'z' * 140_000},", "11,12,"]
    points, faults, imported = import_text("x.csv", "\n".join(rows))
    assert points == {("a", 1): "2.0", ("a", 11): "12.0"}
    assert faults == [
        "x.csv, line 1: the name is empty; the column is skipped",
        "x.csv, line 3: the step must be an integer, got 'x'",
        "x.csv, line 4: the row has 2 fields, but the header 3",
        "x.csv, line 5: the row has 4 fields, but the header 3",
        "x.csv, line 9: the step must be an integer, got '9.5'",
        "x.csv, line 10: invalid CSV: field larger than field limit (131072)",
    ]
    assert imported.skipped == {"texts": 1}


def test_invalid_long_rows_are_reported(import_text):
    points, faults, _ = import_text("x.csv", "name,step,value\n,1,1\na,1,x\na,,1\na,2,1_0\na,3,4\n")
    assert points == {("a", 3): "4.0"}
    assert faults == [
        "x.csv, line 2: the name is empty",
        "x.csv, line 3: the value must be a number, got 'x'",
        "x.csv, line 4: the step must be an integer, got ''",
        "x.csv, line 5: the value must be a number, got '1_0'",
    ]


def test_unterminated_quote_costs_one_field(import_text):
    text = 'step,a\n1,2\n2,"open\n' + "3,4\n" * 50_000
    points, faults, _ = import_text("x.csv", text)
    assert points == {("a", 1): "2.0", ("a", 3): "4.0"}
    assert len(faults) == 1
    assert "field larger than field limit" in faults[0]


def test_header_without_step_is_rejected(import_text):
    with pytest.raises(ValueError, match=r"x\.csv has no column for the step; expected one of step, _step"):
        import_text("x.csv", "a,b\n1,2\n")


def test_empty_file_creates_no_run(import_text, tmp_path):
    assert import_text("x.csv", "")[2].path is None
    assert list((tmp_path / "runs").iterdir()) == []


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.text(st.sampled_from("'=+-@\t\r\n,\"a"), min_size=1, max_size=4), min_size=1, max_size=5, unique=True)
)
@example(["'=a", "=a", "''=a", "'a"])
def test_any_name_survives_export_and_import(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("names")
    with holter.Logger(folder / "run", sinks=["sqlite"], journal_points=1 << 10) as logger:
        for name in names:
            logger.log(1, name, 0.5)
    run = holter.open_run(folder / "run")
    with (folder / "points.csv").open("w", newline="") as file:
        file.writelines(format_csv(SeriesChunk("run", 0, run.series(name)) for name in run.names()))
    (source,) = find_sources(folder / "points.csv")
    import_source(source, folder / "imported")
    assert holter.open_run(folder / "imported").names() == run.names()
