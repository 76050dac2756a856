"""What a session and a message cost, at rest in etcd and held in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bench.bench import Bench
from bench.filling import fill
from bench.measuring import Sample, Timing
from bench.memory import resident_kb
from bench.product import Product, together
from bench.rows import Case, Row
from bench.shaping import KEYS
from bench.streams import Lane, append_over
from bench.system import System
from services.store.etcd.etcd_pb2 import CompactionRequest, RangeRequest, StatusRequest
from services.store.etcd.etcd_pb2_grpc import KVStub, MaintenanceStub
from services.store.etcd.transactions import read
from services.store.keys import EventKey

KEPT, HELD, APPENDS = "stored in etcd", "Live, memory", "Live, streams"
_USERS = 50
_PAGE = 2000


async def cost(bench: Bench) -> list[Row]:
    """Measure bytes in etcd per message and per session, memory per held session, and CPU."""
    plan = bench.plan
    async with bench.running(gateways=0) as system:
        product = Product(system, content_bytes=plan.content_bytes)
        etcd = Etcd(system)
        samples: dict[Case, list[Sample]] = {}

        bench.told(f"cost: {plan.kept_sessions} sessions of {plan.kept_messages} messages")
        sessions, messages = plan.kept_sessions, plan.kept_messages
        before, memory = await etcd.in_use(), _live_kb(system)
        await _hold(product, sessions, messages)
        stored = await etcd.stored()
        named: dict[str, int | str] = {"sessions": sessions, "messages of each": messages}
        kb = (await etcd.in_use() - before) / sessions / 1024
        record = stored.records / (sessions * messages)
        rest = stored.rest / sessions
        samples[_case(KEPT, named)] = [
            Sample(
                None,
                (),
                also={
                    "bytes per message": record,
                    "bytes per session beside its messages": rest,
                    "KB of database per session": kb,
                },
            )
        ]
        held = {"KB per held session": (_live_kb(system) - memory) / sessions}
        samples[_case(HELD, named)] = [Sample(None, (), also=held)]

        memory, there = _live_kb(system), 0
        for number in plan.held:
            bench.told(f"cost: Live holds {number} sessions")
            await _hold(product, number - there, 1)
            there = number
            held = {"KB per held session": (_live_kb(system) - memory) / number}
            named = {"sessions": number, "messages of each": 1}
            samples[_case(HELD, named)] = [Sample(None, (), also=held)]
        lanes = plan.history_sessions, min(plan.streams, plan.history_sessions)
        timing = Timing(plan.warm_up, plan.seconds, system.usage)
        busy = _case(APPENDS, {"sessions": lanes[0], "streams": lanes[1]})
        samples[busy] = [await _appends(product, *lanes)(timing) for _ in range(plan.repeats)]
        return bench.rows(samples)


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes of keys and values: of the records of messages, and of all else."""

    records: int
    rest: int


class Etcd:
    """What etcd holds."""

    def __init__(self, system: System) -> None:
        channel = system.channel("etcd-1")
        self._kv = KVStub(channel)
        self._maintenance = MaintenanceStub(channel)

    async def in_use(self) -> int:
        """Return the bytes of the database that hold something, once no past is kept."""
        revision = (await self._kv.Range(read(KEYS.batch))).header.revision
        await self._kv.Compact(CompactionRequest(revision=revision, physical=True))
        return (await self._maintenance.Status(StatusRequest())).dbSizeInUse

    async def stored(self) -> Stored:
        """Add up all keys of sessions and lists."""
        records = rest = 0
        for prefix in (b"session:", b"user:", b"agent:"):
            start = prefix
            while True:
                request: RangeRequest = read(start, prefix[:-1] + b";", limit=_PAGE)
                answer = await self._kv.Range(request)
                for each in answer.kvs:
                    size = len(each.key) + len(each.value)
                    if _is_message(each.key):
                        records += size
                    else:
                        rest += size
                if not answer.more:
                    break
                start = answer.kvs[-1].key + b"\0"
        return Stored(records, rest)


def _is_message(key: bytes) -> bool:
    parsed = KEYS.parse(key)
    return isinstance(parsed, EventKey) and parsed.seq > 1


async def _hold(product: Product, sessions: int, messages: int) -> None:
    """Make sessions of so many messages; Live holds them, and nobody is attached."""
    users = [f"owner-{number}" for number in range(min(_USERS, sessions))]
    each, more = divmod(sessions, len(users))

    async def of(number: int) -> None:
        user = users[number]
        authors = await product.authors(user, each + (number < more))
        await fill(product.road, [Lane(product.system.calling(user), authors)], messages)

    await together(of, range(len(users)), at_once=4)


def _appends(
    product: Product, sessions: int, streams: int
) -> Callable[[Timing], Awaitable[Sample]]:
    async def measure(timing: Timing) -> Sample:
        return await append_over(product.road, await product.lanes(sessions, streams), timing)

    return measure


def _live_kb(system: System) -> int:
    return resident_kb(system.cluster.pid("live-1"))


def _case(what: str, named: dict[str, int | str]) -> Case:
    return Case(what, _never, named)


async def _never(_: object) -> Sample:
    raise NotImplementedError("it is not measured in windows")
