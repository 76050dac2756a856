"""A Postgres of our own, with its defaults, that ends with us."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Where Debian puts the programs, which are not on PATH there; the newest version counts.
DEBIAN = Path("/usr/lib/postgresql")
# It refuses to run as root; the first of these that exists runs it then.
ACCOUNTS = ("postgres", "nobody")
SETTINGS = (
    "server_version",
    "fsync",
    "synchronous_commit",
    "wal_sync_method",
    "full_page_writes",
    "shared_buffers",
    "max_connections",
)
_READY_SECONDS = 30.0
# A socket's path has at most 107 bytes.
_LONGEST = 80

# It ends when its standard input does, so also when we are killed.
_TIED = '"$@" </dev/null & kept=$!; cat >/dev/null; kill -INT "$kept"; wait "$kept"'


class Postgres:
    """A server that runs; it listens on a Unix socket only, in a folder of its own."""

    def __init__(self, programs: Path, folder: Path, account: str | None) -> None:
        self._programs = programs
        self._folder = folder
        self._account = account

    @property
    def pid(self) -> int:
        """The process id of the server, the parent of all its processes."""
        return int((self._folder / "data" / "postmaster.pid").read_text().split("\n")[0])

    def create(self, database: str) -> None:
        self._psql("postgres", f"CREATE DATABASE {database}")

    def settle(self, database: str) -> None:
        """Do now what the server would do sooner or later, so that no window pays for it."""
        self._psql(database, "VACUUM ANALYZE")
        self._psql(database, "CHECKPOINT")

    def settings(self) -> dict[str, str]:
        return {name: self._psql("postgres", f"SHOW {name}") for name in SETTINGS}

    def url(self, scheme: str, database: str) -> str:
        """Return where a database is, as most libraries understand it."""
        return f"{scheme}://{self._owner}@/{database}?host={self._folder}"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Make the server's data and run it while the block runs."""
        made = ["--auth=trust", "--encoding=UTF8", "--locale=C", f"--username={self._owner}"]
        self._run("initdb", "-D", str(self._folder / "data"), *made)
        server = (self._programs / "postgres", "-D", self._folder / "data")
        only_here = ("-c", "listen_addresses=", "-c", f"unix_socket_directories={self._folder}")
        with (self._folder / "log").open("wb") as log:
            child = subprocess.Popen(
                ["/bin/sh", "-c", _TIED, "sh", *server, *only_here],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd="/",
                user=self._account,
                group=_group(self._account),
                extra_groups=[] if self._account else None,
                start_new_session=True,  # Ctrl-C is for us: clients first, then the server
            )
        try:
            self._await_ready(child)
            yield
        finally:
            assert child.stdin
            child.stdin.close()
            child.wait()

    @property
    def _owner(self) -> str:
        return self._account or pwd.getpwuid(os.geteuid()).pw_name

    def _await_ready(self, child: subprocess.Popen[bytes]) -> None:
        ready = [str(self._programs / "pg_isready"), "-q", "-h", str(self._folder)]
        until = time.monotonic() + _READY_SECONDS
        while subprocess.run(ready, check=False).returncode:
            if child.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"Postgres did not start:\n{(self._folder / 'log').read_text()}")
            time.sleep(0.05)

    def _psql(self, database: str, statement: str) -> str:
        return self._run(
            "psql", "-h", str(self._folder), "-U", self._owner, "-X", "-q", "-t", "-A",
            "-v", "ON_ERROR_STOP=1", "-d", database, "-c", statement,
        )  # fmt: skip

    def _run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            cwd="/",
            user=self._account,
            group=_group(self._account),
            extra_groups=[] if self._account else None,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stderr}")
        return done.stdout.strip()


def programs() -> Path | None:
    """Return the folder with Postgres's programs, or None if there is none."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    folders = [path.parent for path in DEBIAN.glob("*/bin/initdb")]
    return max(folders, key=lambda folder: int(folder.parent.name), default=None)


@contextmanager
def postgres(programs: Path, folder: Path) -> Iterator[Postgres]:
    """Run a server on fresh data under `folder`, or under /var/tmp where that cannot be.

    All of it is removed in the end.
    """
    account = _account()
    fits = len(str(folder)) <= _LONGEST and (account is None or _open_to_all(folder))
    made = Path(tempfile.mkdtemp(prefix="pg-", dir=folder if fits else "/var/tmp"))
    try:
        if account:
            shutil.chown(made, account, _group(account))
        server = Postgres(programs, made, account)
        with server.running():
            yield server
    finally:
        shutil.rmtree(made)


def _open_to_all(folder: Path) -> bool:
    return all(path.stat().st_mode & 0o001 for path in (folder, *folder.parents))


def _account() -> str | None:
    if os.geteuid():
        return None
    known = {each.pw_name for each in pwd.getpwall()}
    return next(name for name in ACCOUNTS if name in known)


def _group(account: str | None) -> int | None:
    return pwd.getpwnam(account).pw_gid if account else None
