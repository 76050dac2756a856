"""Rounds on real parts come last of all tests: they are the longest, and the others say more."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the rounds at the end; all else stays in its order."""
    items.sort(key=lambda item: item.path.name == "test_rounds.py")
