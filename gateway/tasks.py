"""Work that stands and falls together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def until_one_ends(*work: Coroutine[Any, Any, None]) -> None:
    """Do all of it side by side until one ends, and end the others before returning.

    Raises what the first one raised; of several that ended at once, the one that was named first
    and raised.
    """
    tasks = [asyncio.create_task(each) for each in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    # All are asked, so that nobody complains about a failure that was not heard.
    failed = [task for task in tasks if not task.cancelled() and task.exception() is not None]
    for task in failed:
        if task in done:
            task.result()


async def dropped(task: asyncio.Task[Any]) -> None:
    """End a task, and return when it has ended; how it did does not matter."""
    task.cancel()
    await asyncio.wait((task,))
    if not task.cancelled():
        task.exception()
