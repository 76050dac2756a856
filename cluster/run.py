"""`make run`: everything on one machine, until Ctrl-C."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cluster.etcd_binary import EtcdBinary, EtcdNotFound, find_etcd, in_package, spelled
from cluster.keys import DevelopmentKeys
from cluster.part import Part, PartDied, PartNotReady
from cluster.settings import BadSettings, RunSettings
from cluster.supervisor import Cluster

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class AlreadyRunning(Exception):
    """Another `make run` uses the same data."""


def run(environ: Mapping[str, str]) -> int:
    """Run everything until told to stop; return the exit code.

    0 after a stop that was asked for; 1 when a part could not start or died; 2 when the settings
    or the machine do not allow a start, and nothing was started.
    """
    try:
        settings = RunSettings.read(environ)
        binary = find_etcd(environ, in_package())
        with _only_one(settings.data_dir):
            settings.check_free()
            return asyncio.run(_run(settings, binary, environ))
    except (BadSettings, EtcdNotFound, AlreadyRunning) as failure:
        _complain(failure)
        return 2


@contextmanager
def _only_one(data_dir: Path) -> Iterator[None]:
    data_dir.mkdir(parents=True, exist_ok=True)
    # The kernel gives the lock back however this process ends; the children do not inherit it.
    with (data_dir / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise AlreadyRunning(
                f"process {lock.read().strip()} already runs sessiond on {data_dir}: stop it, or "
                "set SESSIOND_DATA_DIR to another folder"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


async def _run(settings: RunSettings, binary: EtcdBinary, environ: Mapping[str, str]) -> int:
    if binary.warning:
        _complain(binary.warning)
    keys = DevelopmentKeys(settings.data_dir / "keys")
    logs = settings.data_dir / "logs"
    _turn_over(logs)
    stages = settings.topology().stages(
        binary=binary, keys=keys, data_dir=settings.data_dir, environ=environ
    )

    def told(part: Part) -> None:
        if not part.address:
            return  # retention and the example agent, which nobody connects to
        version = f"  (etcd {spelled(binary.version)})" if part.kind == "etcd" else ""
        _say(f"{part.name:<10} ready at {part.address}{version}")

    def announce(cluster: Cluster) -> None:
        address = cluster.address("gateway-1")
        token = keys.user_token("alice")
        _say("")
        _say(f"sessiond is up: http://{address}/")
        _say(f"curl -H 'Authorization: Bearer {token}' {address}/api/users/alice/sessions")
        _say("")

    exit_code = await supervise(Cluster(stages, logs=logs, told=told), announce)
    _say(f"everything is stopped; the data stays in {settings.data_dir}")
    return exit_code


async def supervise(cluster: Cluster, announce: Callable[[Cluster], None]) -> int:
    """Bring the parts up, call `announce`, keep them up until a signal or a death; return 0 or 1.

    The first SIGINT, SIGTERM or SIGHUP stops the parts in order, also while they are starting; the
    second kills them.
    """
    serving = asyncio.create_task(_serve(cluster, announce))
    _stop_when_asked(serving, cluster)
    try:
        await serving
    except asyncio.CancelledError:
        return 0
    except (PartDied, PartNotReady) as failure:
        _complain(failure)
    return 1


async def _serve(cluster: Cluster, announce: Callable[[Cluster], None]) -> None:
    async with cluster:
        announce(cluster)
        await cluster.watch()


def _stop_when_asked(serving: asyncio.Task[None], cluster: Cluster) -> None:
    asked = False

    def stop() -> None:
        nonlocal asked
        if asked:
            cluster.hurry()
            return
        asked = True
        _say("stopping; ask again to kill")
        serving.cancel()

    for number in STOP_SIGNALS:
        if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
            continue  # nohup: to outlive the terminal is what was asked for
        asyncio.get_running_loop().add_signal_handler(number, stop)


def _turn_over(logs: Path) -> None:
    """Begin new logs and keep those of the run before, as `<part>.log.1`."""
    for log in logs.glob("*.log"):
        log.replace(log.with_name(log.name + ".1"))


def _say(line: str) -> None:
    print(line, flush=True)


def _complain(what: object) -> None:
    print(what, file=sys.stderr, flush=True)
