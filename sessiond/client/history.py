"""Reading a session's history: one reading over calls that break, each from the next event on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

import grpc

from sessiond.client.calls import ATTEMPT_SECONDS, Attempts, Replicas
from sessiond.client.channels import metadata_of
from sessiond.errors import SessiondError, SessionNotFound, Unauthenticated, Unavailable
from sessiond.status import from_rpc_error
from sessiond.v1.session_pb2 import SessionSummary
from sessiond.v1.store_pb2 import ReadHistoryRequest, ReadHistoryResponse

if TYPE_CHECKING:
    from sessiond.client.unary import Caller
    from sessiond.v1.store_pb2_grpc import StoreServiceAsyncStub


class Reading:
    """How far a reading came, without I/O.

    Attributes:
        request: what to ask for now.
    """

    def __init__(self, session_id: str) -> None:
        self.request = ReadHistoryRequest(session_id=session_id)
        self._session: SessionSummary | None = None

    def came(self, response: ReadHistoryResponse) -> ReadHistoryResponse | None:
        """Note what came; return it if there is anything new in it.

        Raises:
            SessionNotFound: it is of another session, made under the id meanwhile.
        """
        if response.events:
            self.request.first_seq = response.events[-1].event.seq + 1
        if not response.HasField("session"):
            return response
        if self._session is None:
            self._session = response.session
            self.request.last_seq = response.session.revision
            return response
        if response.session.created_at != self._session.created_at:
            raise SessionNotFound
        response.ClearField("session")
        return response if response.events else None


async def history(
    caller: Caller, replicas: Replicas[StoreServiceAsyncStub], session_id: str
) -> AsyncGenerator[ReadHistoryResponse, None]:
    """Yield a session and then its events, over any number of calls.

    There is no queue: who does not ask for the next one stops the stream by its flow control.

    Raises:
        SessiondError: the reading is refused, or nothing came within the deadline.
    """
    reading = Reading(session_id)

    def attempts() -> Attempts[StoreServiceAsyncStub]:
        return Attempts(
            replicas,
            deadline=caller.deadline,
            changes=False,
            renewable=caller.tokens.renewable,
            clock=caller.clock,
            chance=caller.chance,
        )

    course, token = attempts(), ""
    while True:
        token = token or await caller.tokens.current()
        call = course.stub.ReadHistory(
            reading.request, metadata=metadata_of(token, caller.acting_for)
        )
        try:
            while True:
                async with asyncio.timeout(ATTEMPT_SECONDS):
                    response = await call.read()
                if not isinstance(response, ReadHistoryResponse):
                    return
                told = reading.came(response)
                if told is not None:
                    yield told
                    course = attempts()  # what is told anew is no progress
        except grpc.aio.AioRpcError as error:
            failure: SessiondError = from_rpc_error(error, mutating=False)
        except TimeoutError:
            failure = Unavailable()
        finally:
            call.cancel()
        pause = course.failed(failure)
        refused = isinstance(failure, Unauthenticated)
        token = await caller.tokens.another(token) if refused else ""
        await asyncio.sleep(pause)
