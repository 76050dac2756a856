"""The members of etcd from their maintainer's side: over its own HTTP gateway, past all doors.

What a member is asked here, it alone is asked: nothing is repeated at another one.
"""

from __future__ import annotations

import ssl
from base64 import b64decode, b64encode
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx

Json = dict[str, Any]

# Reading the system's certificates takes longer than most calls.
_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _text(plain: bytes) -> str:
    return b64encode(plain).decode()


class MemberSilent(Exception):
    """A member does not answer, or refuses."""


class Members:
    """Asks members by their names; an async context manager."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        """Take the host:port of each."""
        self._addresses = addresses
        self._http = httpx.AsyncClient(timeout=5, trust_env=False, verify=_NOBODY)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def ask(self, name: str, path: str, body: Json | None = None) -> Json:
        """Return what a member answers.

        Raises:
            MemberSilent: it does not.
        """
        try:
            answer = await self._http.post(
                f"http://{self._addresses[name]}/v3/{path}", json=body or {}
            )
        except httpx.HTTPError as error:
            raise MemberSilent(f"{name}: {error!r}") from error
        if answer.status_code != httpx.codes.OK:
            raise MemberSilent(f"{name}: {answer.text}")
        told: Json = answer.json()
        return told

    async def any(self, path: str, body: Json | None = None) -> Json:
        """Return the answer of the first member that gives one.

        Raises:
            MemberSilent: none does.
        """
        silent: list[str] = []
        for name in self._addresses:
            try:
                return await self.ask(name, path, body)
            except MemberSilent as error:
                silent.append(str(error))
        raise MemberSilent("; ".join(silent))

    async def leader(self) -> str:
        """Return the name of the leader.

        Raises:
            MemberSilent: there is none that anybody knows of.
        """
        for name in self._addresses:
            try:
                status = await self.ask(name, "maintenance/status")
            except MemberSilent:
                continue
            if status.get("leader", "0") == status["header"]["member_id"]:
                return name
        raise MemberSilent("nobody says that it leads")

    async def revision(self) -> int:
        """Return the newest revision."""
        told = await self.any("kv/range", {"key": _text(b"\0"), "limit": 1, "keys_only": True})
        return int(told["header"]["revision"])

    async def compact(self, revision: int) -> None:
        """Forget what was before a revision; return when the space of that is free."""
        await self.any("kv/compaction", {"revision": revision, "physical": True})

    async def used(self, name: str) -> int:
        """Return the bytes of one member's database file."""
        return int((await self.ask(name, "maintenance/status"))["dbSize"])

    async def keys(self, prefix: bytes) -> list[tuple[bytes, int]]:
        """Return the keys under a prefix, and the lease of each."""
        end = prefix[:-1] + bytes([prefix[-1] + 1])
        told = await self.any(
            "kv/range", {"key": _text(prefix), "range_end": _text(end), "keys_only": True}
        )
        return [(b64decode(kv["key"]), int(kv.get("lease", 0))) for kv in told.get("kvs", ())]

    async def revoke(self, lease: int) -> None:
        """End a lease, and with it its keys."""
        await self.any("kv/lease/revoke", {"ID": str(lease)})

    async def is_gone(self, lease: int) -> bool:
        """Return whether no such lease is known any more."""
        told = await self.any("kv/lease/timetolive", {"ID": str(lease)})
        return int(told.get("TTL", 0)) == -1

    async def put(self, key: bytes, value: bytes) -> None:
        """Write a key."""
        await self.any("kv/put", {"key": _text(key), "value": _text(value)})

    async def delete(self, prefix: bytes) -> None:
        """Delete all keys under a prefix."""
        end = prefix[:-1] + bytes([prefix[-1] + 1])
        await self.any("kv/deleterange", {"key": _text(prefix), "range_end": _text(end)})

    async def defragment(self, name: str) -> None:
        """Let one member give free space back; it answers nobody meanwhile."""
        await self.ask(name, "maintenance/defragment")

    async def alarms(self) -> list[Json]:
        """Return what members have raised alarm about."""
        told = await self.any("maintenance/alarm", {"action": "GET"})
        return list(told.get("alarms", ()))

    async def disarm(self) -> None:
        """Say that there is space again."""
        for alarm in await self.alarms():
            await self.any("maintenance/alarm", {**alarm, "action": "DEACTIVATE"})
