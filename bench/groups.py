"""The groups by their names, in the order in which they are measured."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from bench.bench import Bench
from bench.rows import Row
from bench.scenarios.appends import appends
from bench.scenarios.cluster import cluster
from bench.scenarios.cost import cost
from bench.scenarios.fan_out import fan_out
from bench.scenarios.history import history
from bench.scenarios.idle import idle
from bench.scenarios.open_loop import open_loop
from bench.scenarios.reads import lists, loads
from bench.scenarios.takeover import takeover
from bench.scenarios.tokens import tokens

Group = Callable[[Bench], Awaitable[list[Row]]]

GROUPS: Mapping[str, Group] = {
    group.__name__: group
    for group in (
        appends,
        history,
        loads,
        lists,
        fan_out,
        tokens,
        idle,
        takeover,
        open_loop,
        cluster,
        cost,
    )
}
