"""What the importers' tests share."""

import pytest

import holter
from holter.formats import find_sources, import_source


@pytest.fixture
def import_text(tmp_path):
    """A function that imports a file of this text, and gives its points, its faults and what became of it."""

    def run(name, text, kind=None):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        (source,) = find_sources(path, kind)
        faults = []
        imported = import_source(source, tmp_path / "runs" / "run", on_fault=faults.append)
        assert imported.num_faults == len(faults)
        points = {} if imported.path is None else points_of(imported.path)
        return points, [f"{fault.path.name}, {fault.place}: {fault.reason}" for fault in faults], imported

    return run


def points_of(path):
    """A run's values by name and step, as text, so that NaN equals NaN and -0.0 is not 0.0."""
    run = holter.open_run(path)
    every = [run.series(name) for name in run.names()]
    return {
        (series.name, step): repr(value)
        for series in every
        for step, value in zip(series.steps.tolist(), series.values.tolist(), strict=True)
    }
