"""A house for the parts of one test, and the law that they leave no task behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.live.kept import PATIENCE
from tests.live.standing import House


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """What the parts of the test share; whatever ran in it has ended when the test ends."""
    before = asyncio.all_tasks()
    yield House(tmp_path)
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    if left:
        _, left = await asyncio.wait(left, timeout=PATIENCE)
    assert not left
