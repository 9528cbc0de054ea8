"""Fixtures of the tests of formats."""

import pytest

import holter
from holter.formats import find_sources, import_source


@pytest.fixture
def import_text(tmp_path):
    """A function that imports a file with the text and returns its points, its faults and the result."""

    def run(name, text, kind=None):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        (source,) = find_sources(path, kind)
        faults = []
        imported = import_source(source, tmp_path / "runs" / "run", on_fault=faults.append)
        assert imported.num_faults == len(faults)
        points = {} if imported.path is None else points_of(imported.path)
        return points, [f"{fault.path.name}, {fault.location}: {fault.reason}" for fault in faults], imported

    return run


def points_of(path):
    """A run's values by name and step, as text, so that NaN equals NaN and -0.0 is not 0.0."""
    run = holter.open_run(path)
    return {
        (series.name, step): repr(value)
        for series in map(run.series, run.names())
        for step, value in zip(series.steps.tolist(), series.values.tolist(), strict=True)
    }


@pytest.fixture
def event_file(tmp_path):
    """A function that writes the bytes to an event file and returns its path."""

    def write(content):
        path = tmp_path / "events.out.tfevents.1"
        path.write_bytes(content)
        return path

    return write
