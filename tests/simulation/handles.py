"""What a loop runs and keeps: calls, tasks, and sets whose order does not depend on the machine."""

from __future__ import annotations

import asyncio
from contextvars import Context, copy_context
from typing import Any, TypeVar

T = TypeVar("T")


class Handle:
    """A call that was asked for: what asyncio's own are, and nothing of what they are besides."""

    __slots__ = ("args", "callback", "context")

    def __init__(self, callback: Any, args: tuple[Any, ...], context: Context | None) -> None:
        self.callback = callback
        self.args = args
        # An empty one is false: it is that of nobody, such as etcd.
        self.context = copy_context() if context is None else context

    def cancel(self) -> None:
        """Do not call."""
        self.callback = None
        self.args = ()


class NumberedTask(asyncio.Task[T]):
    """A task whose place in a set does not depend on where it stands in memory."""

    _number = 0

    def __hash__(self) -> int:
        # asyncio puts each into a set when it is made, so this is the order of their making.
        if not self._number:
            loop: Any = self.get_loop()
            self._number = next(loop.serial)
        return self._number


class InOrder(dict[Any, None]):
    """A set whose order is that of its making, for what stands anywhere in memory."""

    def add(self, what: Any) -> None:
        """Take it in."""
        self[what] = None

    def discard(self, what: Any) -> None:
        """Let it go."""
        self.pop(what, None)
