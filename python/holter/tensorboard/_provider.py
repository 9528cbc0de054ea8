"""The gRPC service `tensorboard.data.TensorBoardDataProvider` for scalars.

The runs are those of a folder, and the tags are series names. Every request reads the current data, so a live run grows
with every reload. The service keeps no state per client, and an unreadable run does not affect the others.

Interface: tensorboard/data/proto/data_provider.proto, which is marked experimental but has not changed since 2020.
TensorBoard uses float32 values; values beyond its range become infinities.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import grpc
import numpy as np
from tensorboard.compat.proto import summary_pb2
from tensorboard.data.proto import data_provider_pb2 as messages
from tensorboard.data.proto import data_provider_pb2_grpc as services

import holter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from holter.tensorboard._folder import Folder

__all__ = ["Provider"]

SCALARS: Final = "scalars"
_MIN_SAMPLE: Final = 5
"""`Run.downsample` returns at least this many points of a long series."""


class Provider(services.TensorBoardDataProviderServicer):  # type: ignore[misc]  # grpc has no types
    """The service for the runs of a folder. The server's threads call its methods."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._facts: dict[str, tuple[holter.Run, str, list[holter.SeriesFacts]]] = {}

    def GetExperiment(self, request: Any, context: Any) -> Any:  # noqa: N802  the service defines the names
        """Describe the served folder."""
        del request, context
        root = str(self._folder.root).encode("utf-8", "replace").decode("utf-8")
        return messages.GetExperimentResponse(data_location=root, name=root.rpartition("/")[2])

    def ListPlugins(self, request: Any, context: Any) -> Any:  # noqa: N802
        """List scalars, even if there are none yet, so that TensorBoard waits for them."""
        del request, context
        return messages.ListPluginsResponse(plugins=[messages.Plugin(name=SCALARS)])

    def ListRuns(self, request: Any, context: Any) -> Any:  # noqa: N802
        """List the runs."""
        del request, context
        response = messages.ListRunsResponse()
        for name, run in self._folder.runs().items():
            response.runs.add(name=name, start_time=run.created.timestamp())
        return response

    def ListScalars(self, request: Any, context: Any) -> Any:  # noqa: N802
        """List the series of the requested runs."""
        del context

        def add_series(run: holter.Run, series: holter.SeriesFacts, entry: Any) -> None:
            del run
            # Without `max_wall_time`, which TensorBoard 2.21 never uses and which takes 0.3 ms per series to find.
            metadata = entry.tags.add(tag_name=series.name).metadata
            metadata.max_step = series.last_step
            metadata.summary_metadata.plugin_data.plugin_name = SCALARS
            metadata.summary_metadata.data_class = summary_pb2.DATA_CLASS_SCALAR

        return self._answer(request, messages.ListScalarsResponse, add_series)

    def ReadScalars(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Return downsampled points of the requested series; downsampling keeps the extremes."""
        num_points = request.downsample.num_points
        if num_points < 0:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"num_points must not be negative, got {num_points}")

        def add_points(run: holter.Run, series: holter.SeriesFacts, entry: Any) -> None:
            points = _sample(run, series, num_points)
            data = entry.tags.add(tag_name=series.name).data
            data.step.extend(points.steps.tolist())
            data.wall_time.extend(_wall_times(points).tolist())
            with np.errstate(over="ignore"):
                data.value.extend(points.values.astype(np.float32).tolist())

        return self._answer(request, messages.ReadScalarsResponse, add_points)

    def ListTensors(self, request: Any, context: Any) -> Any:  # noqa: N802
        """List nothing, because Holter records only numbers."""
        del request, context
        return messages.ListTensorsResponse()

    def ReadTensors(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Return nothing."""
        del request, context
        return messages.ReadTensorsResponse()

    def ListBlobSequences(self, request: Any, context: Any) -> Any:  # noqa: N802
        """List nothing."""
        del request, context
        return messages.ListBlobSequencesResponse()

    def ReadBlobSequences(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Return nothing."""
        del request, context
        return messages.ReadBlobSequencesResponse()

    def ReadBlob(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        """Abort, because there are no blobs."""
        del request
        context.abort(grpc.StatusCode.NOT_FOUND, "there are no blobs")
        yield from ()

    def _answer(
        self, request: Any, response_type: Any, add: Callable[[holter.Run, holter.SeriesFacts, Any], None]
    ) -> Any:
        """Build a response for the requested runs and series, skipping runs that cannot be read."""
        response = response_type()
        if request.plugin_filter.plugin_name != SCALARS:
            return response
        selection = request.run_tag_filter
        run_names = set(selection.runs.names) if selection.HasField("runs") else None
        tags = set(selection.tags.names) if selection.HasField("tags") else None
        for name, run in self._folder.runs().items():
            if run_names is not None and name not in run_names:
                continue
            entry = response_type.RunEntry(run_name=name)
            try:
                for series in self._facts_of(name, run):
                    if tags is None or series.name in tags:
                        add(run, series, entry)
            except (FileNotFoundError, KeyError):
                continue  # deleted since the scan
            except (OSError, holter.HolterError) as error:
                self._folder.report(run.path, str(error))
                continue
            if entry.tags:
                response.runs.append(entry)
        return response

    def _facts_of(self, name: str, run: holter.Run) -> list[holter.SeriesFacts]:
        """Return the facts of a run's series, cached until its revision changes."""
        revision = run.revision
        cached = self._facts.get(name)
        if cached is None or cached[0] is not run or cached[1] != revision:
            cached = self._facts[name] = (run, revision, run.facts())
        return cached[2]


def _sample(run: holter.Run, series: holter.SeriesFacts, num_points: int) -> holter.Series:
    """Return at most `num_points` points of a series; the last ones if that is fewer than five."""
    if num_points >= _MIN_SAMPLE:
        return run.downsample(series.name, num_points)
    points = run.series(series.name, series.last_step) if num_points <= 1 else run.downsample(series.name)
    first = max(len(points) - num_points, 0)
    return holter.Series(series.name, points.steps[first:], points.values[first:], points.timestamps[first:])


def _wall_times(points: holter.Series) -> npt.NDArray[np.float64]:
    """Return the timestamps in seconds since 1970."""
    return points.timestamps.astype("<M8[us]").astype(np.int64) / 1e6
