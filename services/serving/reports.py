"""Reports to Store of instances that cannot be reached: one at a time of each, whoever asks.

Store looks for itself, at one instance a second. What it finds gone has no registration any more
when the report is answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import grpc
import structlog

from services.serving.identity import PartIdentity
from sessiond.errors import RateLimited, SessiondError
from sessiond.status import from_rpc_error
from sessiond.v1.ownership_pb2 import ReportUnreachableRequest, ReportUnreachableResponse

if TYPE_CHECKING:
    from sessiond.v1.ownership_pb2_grpc import OwnershipServiceAsyncStub

REPORT_SECONDS = 5.0
"""How long a report may take, all Stores and pauses included."""

CALL_SECONDS = 3.0
"""The deadline of one try: Store dials for a second."""

PAUSE_SECONDS = 0.25
"""Between two rounds in which no Store answered."""

_log = structlog.get_logger(__name__)


class Reports:
    """Makes reports to whichever Store answers."""

    def __init__(
        self,
        stores: Sequence[OwnershipServiceAsyncStub],
        identity: PartIdentity,
        *,
        on_gone: Callable[[bytes], None],
    ) -> None:
        """Take the Stores in the order in which they are tried; `on_gone` hears of the dead."""
        self._stores = stores
        self._identity = identity
        self._on_gone = on_gone
        self._running: dict[bytes, asyncio.Task[None]] = {}

    async def make(self, instance: bytes, gone: asyncio.Future[None]) -> None:
        """Report an instance; return when Store has looked, or `gone` is done, or time is over."""
        report = self._running.get(instance)
        if report is None:
            report = asyncio.create_task(self._report(instance, gone), name="report")
            self._running[instance] = report
            report.add_done_callback(lambda done: self._done(instance, done))
        await asyncio.wait((report, gone), return_when=asyncio.FIRST_COMPLETED)

    async def close(self) -> None:
        """End all that are being made."""
        running = tuple(self._running.values())
        for report in running:
            report.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _done(self, instance: bytes, report: asyncio.Task[None]) -> None:
        del self._running[instance]
        if not report.cancelled() and (error := report.exception()) is not None:
            _log.error("a report broke", exc_info=error)

    async def _report(self, instance: bytes, gone: asyncio.Future[None]) -> None:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + REPORT_SECONDS
        while not gone.done() and (left := ends_at - loop.time()) > 0:
            answer = await self._ask(instance, min(left, CALL_SECONDS))
            if isinstance(answer, ReportUnreachableResponse):
                _log.info("instance reported", instance=instance.hex(), gone=answer.gone)
                if answer.gone:
                    self._on_gone(instance)
                return
            await asyncio.wait((gone,), timeout=answer)

    async def _ask(self, instance: bytes, seconds: float) -> ReportUnreachableResponse | float:
        """Return the answer of the first Store that has one, or how long to wait for another."""
        request = ReportUnreachableRequest(instance=instance)
        for store in self._stores:
            try:
                return await store.ReportUnreachable(
                    request, metadata=self._identity.metadata(), timeout=seconds
                )
            except grpc.aio.AioRpcError as error:
                failure = from_rpc_error(error, mutating=False)
            except SessiondError as error:
                failure = error
            if isinstance(failure, RateLimited):
                return failure.retry_after or PAUSE_SECONDS
            _log.warning("cannot report an instance", reason=failure.reason)
        return PAUSE_SECONDS
