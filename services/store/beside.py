"""Work that runs beside a block and never outlives it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Task[T]]:
    """Run the work in a task while the block runs; at its end the task is cancelled and gone.

    The block asks the task itself for its result or its failure: a task group would cancel the
    block instead, which an async generator that is suspended in it does not survive.
    """
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # has been looked at: asyncio need not report it
