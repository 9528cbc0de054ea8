"""Server-sent events: `run` when a run has new points or a new status, `gone` and `runs` when the list of runs changes.

All clients share one scan of the runs per second. Events contain no points; a client requests the figures that it
shows. A stream ends when its client disconnects or the server stops, never because of a run.
"""

import time
from collections.abc import AsyncIterator, Mapping, Sequence

import anyio
from anyio import to_thread

from holter.dashboard.api._runs import Listing, RunFolder
from holter.dashboard.http._errors import RequestError
from holter.dashboard.http._json import json_bytes

__all__ = ["HEARTBEAT_SECS", "MAX_CLIENTS", "POLL_SECS", "Live"]

POLL_SECS = 0.25  # `RunFolder` scans at most once a second
HEARTBEAT_SECS = 15.0
MAX_CLIENTS = 64


class Live:
    """The event streams of a server. Used on the event loop only, except `stop`.

    Args:
        folder: The runs.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._num_clients = 0
        self._is_stopping = False
        self._limiter: anyio.CapacityLimiter | None = None

    @property
    def num_clients(self) -> int:
        """Number of open streams."""
        return self._num_clients

    def stop(self) -> None:
        """End all streams within one poll. Safe to call from a signal handler."""
        self._is_stopping = True

    def check(self) -> None:
        """Raise a `RequestError` if the maximum number of streams is open."""
        if self._num_clients >= MAX_CLIENTS:
            raise RequestError(503, f"{MAX_CLIENTS} pages are already open, the maximum; close some of them")

    async def events(self, run_ids: Sequence[str]) -> AsyncIterator[bytes]:
        """Yield the events of these runs: first the current state of each, then changes.

        Args:
            run_ids: The runs; a run that does not exist yet, or any more, is not an error.
        """
        self._num_clients += 1
        try:
            states: dict[str, str] = {}
            signature: object = None
            sent_at = time.monotonic()
            yield b"retry: 2000\n\n"
            while not self._is_stopping:
                listing = await self._listing()
                events = _run_events(listing, run_ids, states)
                if signature is not None and signature != listing.signature:
                    events.append(_event("runs", {}))
                signature = listing.signature
                if not events and time.monotonic() - sent_at >= HEARTBEAT_SECS:
                    events.append(b": heartbeat\n\n")
                if events:
                    sent_at = time.monotonic()
                    yield b"".join(events)
                await self._pause()
        finally:
            self._num_clients -= 1

    async def _listing(self) -> Listing:
        # A separate pool of threads, so that slow figures do not delay events.
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(2)
        return await to_thread.run_sync(self._folder.listing, limiter=self._limiter)

    async def _pause(self) -> None:
        # Polls a flag because a signal handler or another thread, which call `stop`, cannot set an asyncio event.
        until = time.monotonic() + POLL_SECS
        while not self._is_stopping and (left := until - time.monotonic()) > 0:  # noqa: ASYNC110
            await anyio.sleep(min(left, 0.2))


def _run_events(listing: Listing, run_ids: Sequence[str], states: dict[str, str]) -> list[bytes]:
    """Return an event for each run that differs from `states`, and update `states`."""
    events = []
    for run_id in run_ids:
        entry = listing.entries.get(run_id)
        state = "" if entry is None else f"{entry.status} {entry.revision}"
        if states.get(run_id, "") == state:
            continue
        states[run_id] = state
        if entry is None:
            events.append(_event("gone", {"run": run_id}))
        else:
            last_step = entry.described.last_step
            fields = {"run": run_id, "revision": entry.revision, "status": entry.status, "last_step": last_step}
            events.append(_event("run", fields))
    return events


def _event(name: str, fields: Mapping[str, object]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + json_bytes(fields) + b"\n\n"
