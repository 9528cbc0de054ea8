"""Tells clients what has changed: `run` when a run got points or ended, `gone` and `runs` when the list changed.

These are server-sent events. A run is looked at once a second if anybody watches it, however many do. What is told
is that something has changed, never the points: a client asks for the figures that it shows. A stream ends when its
client goes, when the server stops, and never because of a run.
"""

import time
from collections.abc import AsyncIterator, Mapping, Sequence

import anyio
from anyio import to_thread

from holter.dashboard.api._runs import Listing, RunFolder
from holter.dashboard.http._errors import Refused
from holter.dashboard.http._json import dumps

__all__ = ["HEARTBEAT_SECS", "MAX_CLIENTS", "POLL_SECS", "Live"]

POLL_SECS = 0.25  # the runs themselves are looked at once a second
HEARTBEAT_SECS = 15.0
MAX_CLIENTS = 64


class Live:
    """The streams of one server. Used on the event loop alone, but for `stop`.

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
        """How many streams are open."""
        return self._num_clients

    def stop(self) -> None:
        """Let every stream end within a poll. May be called from a signal handler."""
        self._is_stopping = True

    def check(self) -> None:
        """Refuse one client more than there may be."""
        if self._num_clients >= MAX_CLIENTS:
            raise Refused(503, f"{MAX_CLIENTS} pages are watching already; close some of them")

    async def events(self, run_ids: Sequence[str]) -> AsyncIterator[bytes]:
        """Yield the events for a client that watches these runs: first how each stands now, then what changes.

        Args:
            run_ids: The runs; one that is not there (yet, or any more) is no error.
        """
        self._num_clients += 1
        try:
            told: dict[str, str] = {}
            listed: object = None
            spoken_at = time.monotonic()
            yield b"retry: 2000\n\n"
            while not self._is_stopping:
                listing = await self._listing()
                found = list(_changes(listing, run_ids, told))
                if listed is not None and listed != listing.signature:
                    found.append(_event("runs", {}))
                listed = listing.signature
                if not found and time.monotonic() - spoken_at >= HEARTBEAT_SECS:
                    found.append(b": still here\n\n")
                if found:
                    spoken_at = time.monotonic()
                    yield b"".join(found)
                await self._pause()
        finally:
            self._num_clients -= 1

    async def _listing(self) -> Listing:
        # Threads of its own: figures that take long do not delay what is live.
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(2)
        return await to_thread.run_sync(self._folder.listing, limiter=self._limiter)

    async def _pause(self) -> None:
        # Not an event: `stop` comes from a signal handler or another thread, where none may be set.
        until = time.monotonic() + POLL_SECS
        while not self._is_stopping and (left := until - time.monotonic()) > 0:  # noqa: ASYNC110
            await anyio.sleep(min(left, 0.2))


def _changes(listing: Listing, run_ids: Sequence[str], told: dict[str, str]) -> list[bytes]:
    """The events of the runs that are not as they were told, which is then noted."""
    events = []
    for run_id in run_ids:
        entry = listing.entries.get(run_id)
        state = "" if entry is None else f"{entry.status} {entry.revision}"
        if told.get(run_id, "") == state:
            continue
        told[run_id] = state
        if entry is None:
            events.append(_event("gone", {"run": run_id}))
        else:
            last_step = entry.described.last_step
            fields = {"run": run_id, "revision": entry.revision, "status": entry.status, "last_step": last_step}
            events.append(_event("run", fields))
    return events


def _event(name: str, fields: Mapping[str, object]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + dumps(fields) + b"\n\n"
