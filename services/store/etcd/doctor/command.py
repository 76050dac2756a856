"""The doctor as a command: what it is asked, what it says, and how it ends."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import partial

from services.store.etcd.configured import client_of
from services.store.etcd.doctor.treatment import LivesRun, Treatment
from services.store.etcd.doctor.visit import Visit
from services.store.settings import StoreSettings
from sessiond.errors import Unavailable

Say = Callable[[str], None]

_say: Say = partial(print, flush=True)


class Ending(IntEnum):
    """Exit codes."""

    WELL = 0
    ILL = 1
    UNANSWERED = 2


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Return `fix` and `new_logs`; leaves with exit code 2 when anything else is asked."""
    parser = argparse.ArgumentParser(
        prog="python -m services.store.etcd.doctor",
        description="Look at everything that stands in etcd and say what is wrong, one line each. "
        "Exit code 0: all is well, or was repaired; 1: something is left; 2: could not look.",
    )
    either = parser.add_mutually_exclusive_group()
    either.add_argument(
        "--fix", action="store_true", help="repair what can be repaired without a guess"
    )
    either.add_argument(
        "--new-logs",
        action="store_true",
        help="give every session's log a new id, and readers of the change feed a reset, after a "
        "backup was restored; no Live may run",
    )
    return parser.parse_args(given)


async def doctor(asked: argparse.Namespace, settings: StoreSettings, say: Say = _say) -> Ending:
    """Do what was asked on the etcd of these settings; return how it ended."""
    async with client_of(settings) as etcd:
        namespace = settings.etcd_namespace
        treatment = Treatment(etcd, namespace, new_log_id=lambda: secrets.randbits(64))
        visit = Visit(etcd, namespace)
        try:
            if asked.new_logs:
                return await renew_logs(visit, treatment, say)
            return await examine_all(visit, treatment if asked.fix else None, say)
        except Unavailable as error:
            say(f"etcd did not answer: {error.__cause__}")
        except LivesRun:
            say("A Live is registered: stop every Live, and wait until its lease has ended.")
        return Ending.UNANSWERED


async def examine_all(visit: Visit, treatment: Treatment | None, say: Say) -> Ending:
    """Say what is wrong, and repair it where there is a treatment; then say how it went."""
    found = repaired = 0
    async for finding in visit.findings():
        found += 1
        result = ""
        if treatment is not None:
            result = " (left as it is: only a guess could repair it)"
            if finding.repair is not None:
                done = await treatment.apply(finding.repair)
                repaired += done
                result = " (repaired)" if done else " (changed meanwhile: look again)"
        say(f"{finding}{result}")
    seen = visit.seen
    say(
        f"{seen.sessions} sessions, {seen.records} records, {seen.entries} entries, "
        f"{seen.awaited} awaited, {seen.shared} shared, up to revision {seen.revision}: "
        + (f"{found} findings, {repaired} repaired" if found else "all is well")
    )
    return Ending.ILL if found > repaired else Ending.WELL


async def renew_logs(visit: Visit, treatment: Treatment, say: Say) -> Ending:
    """Give all logs new ids, and say how many there were; and etcd's history one.

    Raises:
        LivesRun: a Live is registered; logs may have been renewed before it was seen.
    """
    await treatment.check_no_live()
    await treatment.renew_history()
    renewed = 0
    async for session_id in visit.session_ids():
        renewed += await treatment.renew_log(session_id)
    say(f"{renewed} logs have new ids")
    return Ending.WELL
