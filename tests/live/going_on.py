"""Somebody whom nothing that others do disturbs."""

from __future__ import annotations

from dataclasses import dataclass

from tests.live.streaming import Client


@dataclass
class GoingOn:
    """Somebody who appends and reads meanwhile."""

    client: Client
    session_id: str = "s1"
    seq: int = 1
    times: int = 0

    async def once(self, size: int = 1) -> None:
        """Append a message, and read up to its event and its reply; every event is the next one."""
        op_id, missing = (
            await self.client.append("x" * size, session_id=self.session_id),
            {"event", "reply"},
        )
        self.times += 1
        while missing:
            frame = await self.client.frame()
            if frame.HasField("event"):
                assert frame.event.seq == self.seq + 1
                self.seq += 1
                if frame.event.op_id == op_id:
                    missing.discard("event")
            elif frame.reply.op_id == op_id:
                # While harm is done slowly, this one may come to its own rate.
                assert frame.reply.error.code in ("", "RATE_LIMITED"), frame
                missing -= {"event", "reply"} if frame.reply.HasField("error") else {"reply"}
