"""Putting other things in the place of parts of the product, for as long as a block runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

Patch = tuple[Any, str, Any]
"""Whose attribute, its name, and what stands there instead."""


@contextmanager
def patched(*patches: Patch) -> Iterator[None]:
    """Put these in place of what stands there."""
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in patches]
    for owner, name, value in patches:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)
