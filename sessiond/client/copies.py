"""Sessions that begin as copies, asynchronously: forks, and imports of exported sessions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sessiond.client import copy_requests as requests
from sessiond.v1.session_pb2 import Session
from sessiond.v1.store_pb2 import (
    ForkSessionResponse,
    HistoryEvent,
    ImportHeader,
    ImportSessionRequest,
    ImportSessionResponse,
)

if TYPE_CHECKING:
    from sessiond.client.calls import Replicas
    from sessiond.client.unary import Caller
    from sessiond.v1.store_pb2_grpc import StoreServiceAsyncStub


class CopyCalls(ABC):
    """Calls that make copies; see `UnaryCalls`, which has them."""

    _caller: Caller
    _store: Replicas[StoreServiceAsyncStub]

    @abstractmethod
    async def _ask(self, replicas: Any, method: Any, request: Any, *, changes: bool = False) -> Any:
        """Ask until there is an answer."""

    async def fork(
        self,
        session_id: str,
        *,
        at_seq: int | None = None,
        id: str | None = None,  # noqa: A002
        op_id: str | None = None,
    ) -> Session:
        """Make a session of the caller's that begins with another one's first `at_seq` events.

        By default with all of them. It is returned without its history.
        """
        request = requests.fork(
            session_id,
            op_id=op_id or self._caller.new_op_id(),
            at_seq=at_seq,
            new_session_id=id,
        )
        response: ForkSessionResponse = await self._ask(
            self._store, lambda stub: stub.ForkSession, request, changes=True
        )
        return response.session

    async def import_session(
        self, header: ImportHeader, events: Iterable[HistoryEvent]
    ) -> ImportSessionResponse:
        """Store an exported session: the same id, the same events.

        All events are held in memory until it is done, so that a call that breaks is made again;
        that one goes on where Store came to.
        """

        def method(stub: StoreServiceAsyncStub) -> Any:
            def call(messages: list[ImportSessionRequest], *, metadata: Any, timeout: float) -> Any:
                seconds = max(timeout, requests.IMPORT_SECONDS)
                return stub.ImportSession(messages, metadata=metadata, timeout=seconds)  # type: ignore[arg-type]

            return call

        response: ImportSessionResponse = await self._ask(
            self._store, method, requests.import_session(header, events), changes=True
        )
        return response
