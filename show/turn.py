"""`make show-turn`: an agent's answer survives its owner, and ends by itself without its worker."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cluster.etcd_binary import EtcdBinary
from sessiond.session.events import Record, TurnEnded
from show import abandoned, faults, script
from show.audience import BrowserWatcher, LibraryWatcher, Watcher, delays
from show.ending import all_saw, end_of, wrong_with
from show.judgement import Evidence
from show.outcome import Outcome, ms
from show.pace import until
from show.stage import DATA, Stage, staged
from show.takeovers import Fault, takeovers, without_effect

SECONDS = 16.0
TOKEN_AIM_MS = 50.0
GAP_AIM_MS = 1000.0
SETTLE_SECONDS = 10.0
AGENT = "assistant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many tokens there are, and who watches: `restless` of the watchers come and go.

    `second_tokens` is how many of the second turn's are there when its worker is killed.
    """

    tokens: int = 2000
    watchers: int = 20
    restless: int = 10
    absences: int = 2
    second_tokens: int = 150
    second_per_second: float = 100.0


USUAL = Size()


@dataclass(slots=True)
class Written:
    """The first turn from its worker's side: when each token was written, and what befell it."""

    turn_id: str
    moments: list[float]
    fault: Fault | None = None


async def run(
    binary: EtcdBinary,
    outcome: Outcome,
    *,
    seconds: float,
    told: Callable[[str], None],
    data: Path = DATA,
    size: Size = USUAL,
) -> None:
    """Run both turns, the first one in so many seconds, and fill the outcome."""
    chance = random.Random(outcome.seed)
    async with staged(outcome, binary, told=told, data=data, lives=3, stores=2) as stage:
        user = stage.token("alice")
        client = await stage.client(user)
        session_id = (await client.create(workflow_id="chat")).id
        watchers = [
            await _watcher(stage, number, user, session_id) for number in range(size.watchers)
        ]
        late = watchers[size.restless]
        await asyncio.gather(*(each.open() for each in watchers if each is not late))

        told(f"a turn of {size.tokens} tokens in {seconds:g} s, watched by {len(watchers)}")
        written = await _survive(
            stage, session_id, watchers, size=size, seconds=seconds, chance=chance
        )
        await until(lambda: all_saw(watchers, written.turn_id), SETTLE_SECONDS)
        outcome.tell(seconds=seconds, tokens=size.tokens, watchers=len(watchers))
        records = await stage.stored.records(session_id)
        _judge_first(outcome, records, watchers, written, size)

        told(f"a second turn, whose worker is killed after {size.second_tokens} tokens")
        turn_id, killed = await abandoned.abandon(
            stage,
            session_id,
            watchers,
            worker_token=stage.token("worker", role="agent", agents=[AGENT]),
            tokens=size.second_tokens,
            per_second=size.second_per_second,
        )
        told(f"killed; it should be interrupted within {abandoned.BY:g} s")
        await until(lambda: all_saw(watchers, turn_id), abandoned.BY + SETTLE_SECONDS)
        records = await stage.stored.records(session_id)
        abandoned.judge(outcome, records, watchers, turn_id, killed)
        fresh = (await client.get(session_id)).conversation_history
        by_rest = (await stage.load(user, session_id))["conversationHistory"]
        texts = [each.event.content for each in records if isinstance(each.event, TurnEnded)]
        if [each.content for each in fresh] != texts:
            outcome.complain(["a fresh load holds other texts than are stored"])
        if [each["content"] for each in by_rest] != texts:
            outcome.complain(["REST shows other texts than are stored"])


async def _watcher(stage: Stage, number: int, user: str, session_id: str) -> Watcher:
    if number % 2:
        address = stage.cluster.address("gateway-1")
        load = partial(stage.load, user)
        return BrowserWatcher(f"browser-{number}", address, user, session_id, load=load)
    return LibraryWatcher(f"grpc-{number}", await stage.client(user), session_id)


# --- the turn that survives ----------------------------------------------------------------------


async def _survive(
    stage: Stage,
    session_id: str,
    watchers: Sequence[Watcher],
    *,
    size: Size,
    seconds: float,
    chance: random.Random,
) -> Written:
    worker = await stage.client(stage.token("worker", role="agent", agents=[AGENT]))
    async with worker.attach(session_id) as session, session.turn() as turn:
        written = Written(turn.id, [])
        clock = asyncio.get_running_loop().time
        begin = clock()
        async with asyncio.TaskGroup() as tasks:
            for watcher in watchers[: size.restless]:
                plan = sorted(chance.uniform(0.05, 0.75) for _ in range(size.absences))
                moments = [begin + part * seconds for part in plan]
                away = chance.uniform(0.02, 0.1) * seconds
                tasks.create_task(_come_and_go(watcher, moments, away))
            tasks.create_task(
                _join_at(watchers[size.restless], begin + chance.uniform(0.4, 0.8) * seconds)
            )
            tasks.create_task(_kill_at(stage, session_id, begin + seconds / 2, written))
            for number in range(size.tokens):
                if (left := begin + number * seconds / size.tokens - clock()) > 0:
                    await asyncio.sleep(left)
                written.moments.append(clock())
                await turn.write(script.token(number))
    return written


async def _come_and_go(watcher: Watcher, moments: Sequence[float], away: float) -> None:
    clock = asyncio.get_running_loop().time
    for moment in moments:
        await asyncio.sleep(moment - clock())
        await watcher.close()
        await asyncio.sleep(away)
        await watcher.open()


async def _join_at(watcher: Watcher, moment: float) -> None:
    await asyncio.sleep(moment - asyncio.get_running_loop().time())
    await watcher.open()


async def _kill_at(stage: Stage, session_id: str, moment: float, written: Written) -> None:
    await asyncio.sleep(moment - asyncio.get_running_loop().time())
    (owner,) = await stage.owners([session_id])
    stage.told(f"killing {owner}, the owner")
    written.fault = await faults.kill(stage, owner)


def _judge_first(
    outcome: Outcome,
    records: Sequence[Record],
    watchers: Sequence[Watcher],
    written: Written,
    size: Size,
) -> None:
    ended = end_of(written.turn_id, records)
    if ended is None or written.fault is None:
        outcome.complain(["the turn did not end"])
        return
    text = ended.content
    outcome.complain(f"stored: {each}" for each in script.whole(text, size.tokens))
    outcome.complain(wrong_with(watchers, written.turn_id, text, "completed"))
    evidence = [Evidence("the turn's", records, [], [])]
    found = takeovers(written.fault, evidence)
    outcome.complain(without_effect([written.fault], found))
    steady = [each.shown[written.turn_id] for each in watchers[size.restless + 1 :] if each.shown]
    usual, around = delays(steady, written.moments, written.fault.at, size.tokens)
    outcome.tell(takeovers=len(found), token_p50_ms=ms(usual, 50))
    outcome.aim("token_p99_ms", ms(usual, 99), TOKEN_AIM_MS)
    outcome.aim("token_longest_around_kill_ms", ms(around, 100), GAP_AIM_MS)
