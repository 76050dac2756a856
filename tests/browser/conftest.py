"""A real Chromium before a whole system, for all tests of the dashboard."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright, expect

from cluster.etcd_binary import EtcdBinary
from cluster.topology import Topology
from tests.browser.visits import Visits
from tests.e2e.system import System, running

CHROMIUM = shutil.which("chromium")
PATIENCE_MS = 20_000
ENDING_SECONDS = 30.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave these tests out where there is no browser; `make test-browser` says so instead."""
    for item in items:
        if "tests/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.alone)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="there is no chromium on PATH"))


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium; each visit has a context of its own in it."""
    # Chromium's sandbox does not work for root.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    # A busy machine is no fault of the page.
    expect.set_options(timeout=PATIENCE_MS)
    playwright = await async_playwright().start()
    try:
        yield await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
    finally:
        # It ends its browser with it. Now and then it waits for ever for one that is gone.
        with suppress(TimeoutError):
            async with asyncio.timeout(ENDING_SECONDS):
                await playwright.stop()


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def system(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """Everything that `make run` starts, and a second Live; leave it as healthy as it was."""
    home = tmp_path_factory.mktemp("browsed")
    topology = Topology.anywhere(ports, lives=2, agents=1, sign_in=True)
    async with running(topology, home, etcd_binary) as started:
        yield started


@pytest_asyncio.fixture
async def visit(browser: Browser, system: System) -> AsyncIterator[Visits]:
    """Visit the dashboard: `page = await visit("alice", "/")`.

    Whatever goes wrong in a page fails the test at its end: errors on the console, exceptions,
    calls that fail or are refused, violations of the Content-Security-Policy.
    """
    visits = Visits(browser, system)
    try:
        yield visits
    finally:
        await visits.end()
    assert visits.faults == []
