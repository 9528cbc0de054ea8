"""A run's points as pandas frames, out of the series that its ranks have."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from holter._run import Series

__all__ = ["long", "wide"]


def long(pandas: Any, found: "list[tuple[int, Series]]") -> "pd.DataFrame":
    """Return one row for each point, in the order in which the ranks and their series come; see `Run.to_pandas`."""
    import numpy as np

    all_series = [series for _, series in found]
    lengths = [len(series) for series in all_series]
    names = sorted({series.name for series in all_series})
    places = {name: place for place, name in enumerate(names)}
    codes = np.repeat(np.array([places[series.name] for series in all_series], "<i8"), lengths)
    timestamps = _joined("<M8[us]", [series.timestamps for series in all_series])
    return pandas.DataFrame(
        {
            "rank": np.repeat(np.array([rank for rank, _ in found], "<i4"), lengths),
            "name": pandas.Categorical.from_codes(codes, names),
            "step": _joined("<i8", [series.steps for series in all_series]),
            "value": _joined("<f8", [series.values for series in all_series]),  # noqa: PD011
            "timestamp": pandas.Series(timestamps).dt.tz_localize("UTC"),
        }
    )


def wide(pandas: Any, found: "list[tuple[int, Series]]") -> "pd.DataFrame":
    """Return one row for each step and one column for each name; of series of one name the first counts."""
    import numpy as np

    first: dict[str, Series] = {}
    for _, series in found:
        first.setdefault(series.name, series)
    all_series = [first[name] for name in sorted(first)]
    steps = np.unique(_joined("<i8", [series.steps for series in all_series]))
    values = np.full((len(steps), len(all_series)), np.nan)
    for column, series in enumerate(all_series):
        values[np.searchsorted(steps, series.steps), column] = series.values  # noqa: PD011
    return pandas.DataFrame(values, pandas.Index(steps, name="step"), [series.name for series in all_series])


def _joined(dtype: str, arrays: list[Any]) -> Any:
    """The arrays one after the other; of the right type also if there are none."""
    import numpy as np

    return np.concatenate([np.empty(0, dtype), *arrays])
