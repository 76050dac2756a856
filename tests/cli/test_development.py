"""Development tokens: the same as the supervisor's, made only where its key is."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from cluster import keys as supervisor
from cluster.keys import DevelopmentKeys
from sessiond.cli import development, main
from sessiond.cli.connection import Connection
from sessiond.cli.failures import CommandFailure
from sessiond.client.tokens import claims_of
from tests.cli.running import Command, run
from tests.e2e.system import plain_environ

NOW = 1_800_000_000.0


def connection(
    *, live: str = "127.0.0.1:7301", token: str | None = None, **environ: str
) -> Connection:
    return Connection(
        live=(live,),
        store=("localhost:7201",),
        given_token=token,
        user="alice",
        acting_for=None,
        tls=None,
        seconds=1.0,
        environ=environ,
    )


def test_the_names_are_those_of_the_supervisor() -> None:
    """Two layers that may not know each other spell them twice: they must agree."""
    assert (development.ISSUER, development.AUDIENCE, development.ALGORITHM) == (
        supervisor.ISSUER,
        supervisor.AUDIENCE,
        supervisor.ALGORITHM,
    )


@pytest.mark.parametrize(("role", "agents"), [(None, ()), ("agent", ("assistant",))])
def test_a_token_says_what_the_supervisors_says(
    tmp_path: Path, role: str | None, agents: tuple[str, ...]
) -> None:
    """Claims and header are equal, so that parts cannot tell them apart."""
    theirs = DevelopmentKeys(tmp_path, now=lambda: NOW).user_token(
        "alice", role=role, agents=agents
    )
    ours = development.development_token(tmp_path, "alice", now=NOW, role=role, agents=agents)
    assert claims_of(ours) == claims_of(theirs)
    assert ours.split(".")[0] == theirs.split(".")[0]


async def test_the_token_command_prints_a_token_that_the_parts_take(sessiond: Command) -> None:
    """One line; it works as a token that was given."""
    (token,) = await sessiond.good("token", "--user", "somebody-else")
    assert claims_of(token)["sub"] == "somebody-else"
    assert await sessiond.good("sessions", "list", "--of", "somebody-else", "--token", token) == []


async def test_without_a_key_the_command_says_what_it_needs(tmp_path: Path) -> None:
    """Where to start `make run`, and which variables help."""
    environ = {**plain_environ(), "SESSIOND_DATA_DIR": str(tmp_path)}
    for words in (("token",), ("sessions", "list")):
        done = await run(words, environ)
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith(f"there is no development key in {tmp_path}/keys: ")
        assert "SESSIOND_TOKEN" in done.err


def test_no_development_token_leaves_this_machine(tmp_path: Path) -> None:
    """One is made for addresses on this machine only."""
    DevelopmentKeys(tmp_path / "keys")
    at_home = connection(SESSIOND_DATA_DIR=str(tmp_path))
    assert at_home.me == "alice"
    assert at_home.in_development
    with pytest.raises(CommandFailure, match=r"example\.org:7301 is not on this machine"):
        connection(live="example.org:7301", SESSIOND_DATA_DIR=str(tmp_path)).token()


def test_a_token_of_another_issuer_is_not_of_development(tmp_path: Path) -> None:
    """Whatever the address: a port may be forwarded to where real work is."""
    payload = json.dumps({"iss": "https://issuer.example", "sub": "x"}).encode().hex()
    assert not connection(token=f"a.{payload}.b").in_development
    assert not connection(token="opaque").in_development


@pytest.mark.parametrize("name", ["joserfc", "prompt_toolkit", "typer"])
def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Who has the library alone is told what to install."""
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == f"The command needs {name}: pip install 'sessiond[cli]'\n"
