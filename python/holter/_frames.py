"""A run's points as pandas frames."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from holter._series import Series

__all__ = ["long", "wide"]


def long(pandas: Any, found: "list[tuple[int, Series]]") -> "pd.DataFrame":
    """Return one row per point, in the order of the ranks and their series; see `Run.to_pandas`."""
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
    """Return one row per step and one column per name; of several series with the same name, the first is used."""
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
    """Return the arrays concatenated, with the right dtype even if there are none."""
    import numpy as np

    return np.concatenate([np.empty(0, dtype), *arrays])
