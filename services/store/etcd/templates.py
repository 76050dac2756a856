"""Templates of users: one key each, which no session depends on."""

from __future__ import annotations

from typing import Final

from services.store.answers import RevisionCompacted
from services.store.etcd.client import EtcdClient
from services.store.etcd.commit import UNSTORABLE
from services.store.etcd.errors import EtcdError
from services.store.etcd.etcd_pb2 import KeyValue
from services.store.etcd.reads import ConsensusReads, answered
from services.store.etcd.settling import settle
from services.store.etcd.transactions import (
    Operation,
    absent,
    delete,
    modified_at,
    put,
    read,
    transaction,
)
from services.store.keys import Keys, TemplateKey
from sessiond.errors import InvalidArgument, OutcomeUnknown

# A template may be half a megabyte, so an answer with so many is at most 8 MB.
_AT_ONCE: Final = 16


class Templates:
    """Keeps templates."""

    def __init__(
        self, etcd: EtcdClient, reads: ConsensusReads, keys: Keys, *, settle_seconds: float
    ) -> None:
        self._etcd = etcd
        self._reads = reads
        self._keys = keys
        self._settle_seconds = settle_seconds

    async def put(self, user_id: str, name: str, template: bytes) -> None:
        """Store a template; repeat that until it is settled."""
        key = self._keys.template(user_id, name)
        await self._write(await self._standing(key), key, put(key, template))

    async def delete(self, user_id: str, name: str) -> None:
        """Delete a template; repeat that until it is settled."""
        key = self._keys.template(user_id, name)
        standing = await self._standing(key)
        if standing is not None:
            await self._write(standing, key, delete(key))

    async def get(self, user_id: str, name: str) -> bytes | None:
        """Read a template, through consensus."""
        found = await self._standing(self._keys.template(user_id, name))
        return None if found is None else found.value

    async def count(self, user_id: str) -> int:
        """Count a user's templates, through consensus."""
        _, (answer,) = await self._reads.read(read(*self._keys.templates(user_id), count_only=True))
        return answer.count

    async def all(self, user_id: str) -> tuple[tuple[str, bytes], ...]:
        """Read a user's templates at one revision, which consensus gives."""
        while True:
            try:
                return tuple([(self._name(kv), kv.value) for kv in await self._all(user_id)])
            except RevisionCompacted:
                continue

    async def _all(self, user_id: str) -> list[KeyValue]:
        span = self._keys.templates(user_id)
        revision, (counted,) = await self._reads.read(read(*span, count_only=True))
        found: list[KeyValue] = []
        while len(found) < counted.count:
            with answered():
                page = await self._etcd.range(read(*span, revision=revision, limit=_AT_ONCE))
            found.extend(page.kvs)
            span = span.after(page.kvs[-1].key)
        return found

    def _name(self, kv: KeyValue) -> str:
        key = self._keys.parse(kv.key)
        assert isinstance(key, TemplateKey)
        return key.name

    async def _standing(self, key: bytes) -> KeyValue | None:
        return (await self._reads.read(read(key))).first()

    async def _write(self, standing: KeyValue | None, key: bytes, operation: Operation) -> None:
        # Where it no longer stands, this write or another one came since. Then there is nothing to
        # repeat: that other one came after ours, as far as anybody can tell.
        compare = absent(key) if standing is None else modified_at(key, standing.mod_revision)
        request = transaction([compare], [operation])
        try:
            await settle(self._etcd, request, seconds=self._settle_seconds)
        except UNSTORABLE as error:
            raise InvalidArgument.of("user_inputs", "must be shorter") from error
        except EtcdError as error:
            raise OutcomeUnknown from error
