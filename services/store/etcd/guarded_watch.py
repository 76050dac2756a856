"""A watch at an etcd that asks for a user.

etcd looks at the token when a stream begins and never again, so an open stream outlives its token.
"""

from __future__ import annotations

import random
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from services.store.etcd.endpoints import Endpoints
from services.store.etcd.errors import Denied, TokenRefused, Unavailable
from services.store.etcd.etcd_pb2 import WatchCreateRequest, WatchRequest
from services.store.etcd.login import Login, Metadata
from services.store.etcd.watch import _METADATA, Batch, Watch

if TYPE_CHECKING:
    from services.store.etcd.watch import Stream

# In seconds; for one login between two streams.
_LOGIN_SECONDS: Final = 5.0


class GuardedWatch(Watch):
    """A watch whose streams carry the token, and which logs in anew when one is denied.

    Some servers say of a token that they have forgotten that the permission is missing. So it is
    really missing where etcd says so twice in a row, the second time to a fresh token.

    Raises, from iteration, besides what a watch raises:
        LoginFailed: etcd does not take the name and the password.
    """

    def __init__(
        self, endpoints: Endpoints, login: Login, create: WatchCreateRequest, rng: random.Random
    ) -> None:
        super().__init__(endpoints, create, rng)
        self._login = login
        self._sent: Metadata | None = None
        self._denied = False

    async def _open(self) -> Stream:
        self._endpoint = self._endpoints.current
        self._sent = self._login.metadata
        self._stream = self._endpoint.watch.Watch(metadata=(*_METADATA, *(self._sent or ())))
        await self._stream.write(WatchRequest(create_request=self._create))
        return self._stream

    async def _read(self, stream: Stream) -> Batch | None:
        denied, self._denied = self._denied, False
        try:
            return await super()._read(stream)
        except Denied as error:
            if denied and not isinstance(error, TokenRefused):
                raise
            # Without an answer, the next stream asks again, after a pause.
            with suppress(Unavailable):
                await self._login.fresh(self._sent, _LOGIN_SECONDS)
                self._denied = True
            return None
