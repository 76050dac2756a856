"""The bench in sizes so small that only its truth can be looked at."""

from __future__ import annotations

from bench.plan import Plan

TINY = Plan(
    repeats=1,
    warm_up=0.0,
    seconds=0.1,
    sessions=(1, 4),
    streams=2,
    callers=(2,),
    history_sessions=4,
    histories=(0, 20),
    loads=(5,),
    lists=((2, 4), (3, 3)),
    subscribers=(2,),
    fan_out_in_flight=2,
    turns=2,
    readers=2,
    tokens_per_second=50,
    token_seconds=0.2,
    idle_streams=8,
    idle_sessions=4,
    idle_clients=2,
    takeover_sessions=4,
    takeover_histories=(0, 5),
    open_sessions=4,
    held=(4,),
    kept_sessions=4,
    kept_messages=5,
)
