"""The parts that the model is compared with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from cluster.supervisor import Cluster
from tests.model.parts import Parts


@pytest.fixture
async def parts(
    etcd: Cluster, namespace: str, ports: Iterator[int], tmp_path: Path
) -> AsyncIterator[Parts]:
    """Store and Live on a real etcd."""
    async with Parts(etcd.address("etcd-1"), namespace, ports, tmp_path) as parts:
        yield parts
