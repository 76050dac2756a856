"""What is measured beside what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from bench.floors import Raw
from bench.load import Call
from bench.plan import Plan
from bench.product import Product
from bench.stored import Sizes, sizes_of
from bench.system import System

LISTED = "reader-of-lists"
LOADED = "reader-of-sessions"

APPEND, LIST, LOAD = "append", "list", "load"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row of a table.

    Attributes:
        figure: the table.
        what: who is asked, and for what.
        in_flight: how many operations are under way at once.
        floor: whether none of our parts takes part.
        calls: opens it for one window, and looks afterwards whether all is as it was told.
    """

    figure: str
    what: str
    in_flight: int
    floor: bool
    calls: Callable[[], AbstractAsyncContextManager[Sequence[Call]]]


async def scenarios(system: System, plan: Plan) -> tuple[list[Scenario], Sizes]:
    """Store what is to be read, and return all that is measured, floors first, with the sizes."""
    product = Product(system, content_bytes=plan.content_bytes)
    await product.list_of(LISTED, plan.sessions, apart=min(plan.sessions, plan.page + 20))
    session_id = await product.history(LOADED, plan.messages)
    last_seq = plan.messages + 1
    sizes = await sizes_of(system, LOADED, session_id, last_seq)
    raw = Raw(system, sizes)

    found: list[Scenario] = []

    def append(
        what: str,
        calls: Callable[[int], AbstractAsyncContextManager[Sequence[Call]]],
        in_flight: int,
        *,
        floor: bool = False,
    ) -> None:
        found.append(Scenario(APPEND, what, in_flight, floor, lambda: calls(in_flight)))

    for in_flight in plan.in_flight:
        append("etcd: put of the record", raw.puts, in_flight, floor=True)
        append("etcd: transaction each", raw.transactions, in_flight, floor=True)
        if in_flight > 1:  # one alone is sent as it is, also by Store
            append("etcd: nested batches", raw.batches, in_flight, floor=True)
        append("gRPC: empty server", product.echoes, in_flight, floor=True)
        append("Live, gRPC", product.appends, in_flight)
        if in_flight in plan.rest_in_flight:
            append("gateway, REST", product.rest_appends, in_flight)

    page, messages = plan.page, plan.messages
    found += [
        Scenario(LIST, "etcd: range", 1, True, lambda: raw.entries(LISTED, page)),
        Scenario(LIST, "Store, gRPC", 1, False, lambda: product.lists(LISTED, page)),
        Scenario(LIST, "gateway, REST", 1, False, lambda: product.rest_lists(LISTED, page)),
        Scenario(LOAD, "etcd: range", 1, True, lambda: raw.records(session_id, last_seq)),
        Scenario(
            LOAD, "Store, gRPC", 1, False, lambda: product.loads(LOADED, session_id, messages)
        ),
        Scenario(
            LOAD,
            "gateway, REST",
            1,
            False,
            lambda: product.rest_loads(LOADED, session_id, messages),
        ),
    ]
    return found, sizes
