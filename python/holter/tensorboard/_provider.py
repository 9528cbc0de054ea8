"""The answers to TensorBoard's questions: the service `tensorboard.data.TensorBoardDataProvider`, for scalars.

Runs are those of a folder, tags are the names of series. Whatever is asked is read at that moment, so that a run that
is being recorded grows with every reload. Nothing is kept for a client, and a run that cannot be read hides no other.

Interface: tensorboard/data/proto/data_provider.proto, which is called experimental and has been the same since 2020.
TensorBoard has values as float32: what is beyond its range arrives as an infinity.
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
_LEAST_SAMPLE: Final = 5
"""`Run.downsample` never gives fewer of a long series."""


class Provider(services.TensorBoardDataProviderServicer):  # type: ignore[misc]  # grpc has no types
    """The service, for the runs of a folder. Its methods are called by the server's threads."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._facts: dict[str, tuple[holter.Run, str, list[holter.SeriesFacts]]] = {}

    def GetExperiment(self, request: Any, context: Any) -> Any:  # noqa: N802  the names are the service's
        """Say what is served."""
        del request, context
        root = str(self._folder.root).encode("utf-8", "replace").decode("utf-8")
        return messages.GetExperimentResponse(data_location=root, name=root.rpartition("/")[2])

    def ListPlugins(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Say that there are scalars, also while there are none: TensorBoard then waits for them."""
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
        """List the series of the runs that are asked for."""
        del context

        def described(run: holter.Run, series: holter.SeriesFacts, entry: Any) -> None:
            del run
            # Without `max_wall_time`: TensorBoard 2.21 looks at it nowhere, and it costs 0.3 ms a series to find.
            metadata = entry.tags.add(tag_name=series.name).metadata
            metadata.max_step = series.last_step
            metadata.summary_metadata.plugin_data.plugin_name = SCALARS
            metadata.summary_metadata.data_class = summary_pb2.DATA_CLASS_SCALAR

        return self._answer(request, messages.ListScalarsResponse, described)

    def ReadScalars(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Give points of the series that are asked for, with the extremes always among them."""
        num_points = request.downsample.num_points
        if num_points < 0:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"num_points must not be negative, got {num_points}")

        def sampled(run: holter.Run, series: holter.SeriesFacts, entry: Any) -> None:
            points = _sample(run, series, num_points)
            data = entry.tags.add(tag_name=series.name).data
            data.step.extend(points.steps.tolist())
            data.wall_time.extend(_wall_times(points).tolist())
            with np.errstate(over="ignore"):
                data.value.extend(points.values.astype(np.float32).tolist())

        return self._answer(request, messages.ReadScalarsResponse, sampled)

    def ListTensors(self, request: Any, context: Any) -> Any:  # noqa: N802
        """List nothing: Holter keeps numbers."""
        del request, context
        return messages.ListTensorsResponse()

    def ReadTensors(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Give nothing."""
        del request, context
        return messages.ReadTensorsResponse()

    def ListBlobSequences(self, request: Any, context: Any) -> Any:  # noqa: N802
        """List nothing."""
        del request, context
        return messages.ListBlobSequencesResponse()

    def ReadBlobSequences(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Give nothing."""
        del request, context
        return messages.ReadBlobSequencesResponse()

    def ReadBlob(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        """Refuse: no answer has named a blob."""
        del request
        context.abort(grpc.StatusCode.NOT_FOUND, "there are no blobs")
        yield from ()

    def _answer(
        self, request: Any, response_type: Any, add: Callable[[holter.Run, holter.SeriesFacts, Any], None]
    ) -> Any:
        """An answer about the runs and series that are asked for, without the runs that cannot be read."""
        response = response_type()
        if request.plugin_filter.plugin_name != SCALARS:
            return response
        wanted = request.run_tag_filter
        run_names = set(wanted.runs.names) if wanted.HasField("runs") else None
        tags = set(wanted.tags.names) if wanted.HasField("tags") else None
        for name, run in self._folder.runs().items():
            if run_names is not None and name not in run_names:
                continue
            entry = response_type.RunEntry(run_name=name)
            try:
                for series in self._facts_of(name, run):
                    if tags is None or series.name in tags:
                        add(run, series, entry)
            except (FileNotFoundError, KeyError):
                continue  # deleted since it was looked for
            except (OSError, holter.HolterError) as error:
                self._folder.tell(run.path, str(error))
                continue
            if entry.tags:
                response.runs.append(entry)
        return response

    def _facts_of(self, name: str, run: holter.Run) -> list[holter.SeriesFacts]:
        """What there is to know of a run's series, read anew when there may be more."""
        revision = run.revision
        known = self._facts.get(name)
        if known is None or known[0] is not run or known[1] != revision:
            known = self._facts[name] = (run, revision, run.facts())
        return known[2]


def _sample(run: holter.Run, series: holter.SeriesFacts, num_points: int) -> holter.Series:
    """At most so many points of a series; if they are fewer than five, the last ones."""
    if num_points >= _LEAST_SAMPLE:
        return run.downsample(series.name, num_points)
    points = run.series(series.name, series.last_step) if num_points <= 1 else run.downsample(series.name)
    first = max(len(points) - num_points, 0)
    return holter.Series(series.name, points.steps[first:], points.values[first:], points.timestamps[first:])


def _wall_times(points: holter.Series) -> npt.NDArray[np.float64]:
    """The timestamps in seconds since 1970."""
    return points.timestamps.astype("<M8[us]").astype(np.int64) / 1e6
