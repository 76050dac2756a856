"""The only place that repeats a write: the identical transaction, until its answer comes."""

from __future__ import annotations

import asyncio
from typing import Final

from services.store.etcd.client import EtcdClient
from services.store.etcd.errors import Ambiguous, Overloaded, Unavailable
from services.store.etcd.etcd_pb2 import TxnResponse
from services.store.etcd.transactions import Transaction

# In seconds. A try that hangs is given up in time for another endpoint.
_LONGEST_TRY: Final = 2.0
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 0.5


async def settle(etcd: EtcdClient, request: Transaction, *, seconds: float) -> TxnResponse:
    """Carry out a transaction, again and again until etcd answers.

    The answer is the last try's. An earlier one may have been applied, so the compares must fail
    after that, and the failure list must show it.

    Raises:
        Ambiguous: no answer came in `seconds`.
        Refused: it changed nothing, and it never will.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    pause = _FIRST_PAUSE
    while True:
        left = deadline - loop.time()
        try:
            return await etcd.txn(request, within=min(left, _LONGEST_TRY))
        except (Overloaded, Unavailable) as error:
            if loop.time() + pause >= deadline:
                raise Ambiguous(str(error)) from error
        except Ambiguous:
            if loop.time() + pause >= deadline:
                raise
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
