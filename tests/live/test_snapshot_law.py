"""The law of snapshots, on rooms over the in-memory reference."""

from __future__ import annotations

from sessiond.client.client import Client
from tests.law import every_kind_of_change, looked_at
from tests.live.standing import House
from tests.live.streaming import serving, token


async def test_an_old_snapshot_and_events_are_a_new_snapshot(house: House) -> None:
    """Around every kind of change."""
    async with serving(house) as live:
        await house.kept.make()
        agents = {"role": "agent", "agents": ["writer"], "sessions": ["s1"]}
        async with (
            Client(live=live.address, store=live.address, token=token("alice")) as owner,
            Client(live=live.address, store=live.address, token=token("w", **agents)) as agent,
            looked_at(owner, agent, "s1") as law,
        ):
            await every_kind_of_change(law)
