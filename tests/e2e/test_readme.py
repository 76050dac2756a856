"""What the README tells a newcomer to type, typed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cluster.ports import is_free
from cluster.settings import PORTS
from tests.e2e.system import plain_environ

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120


@asynccontextmanager
async def make_run(environ: dict[str, str]) -> AsyncIterator[list[str]]:
    """`make run` until the block ends with Ctrl-C; gives the lines that it printed when it was up.

    When the block is left, the lines are all that were printed.
    """
    process = await asyncio.create_subprocess_exec(
        *("make", "run"),
        cwd=ROOT,
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        async with asyncio.timeout(PATIENCE):
            while not lines or not lines[-1].startswith("curl "):
                line = await process.stdout.readline()
                assert line, lines
                lines.append(line.decode().rstrip("\n"))
        yield lines
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to everyone in front
        async with asyncio.timeout(PATIENCE):
            lines += (await process.stdout.read()).decode().splitlines()
            await process.wait()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def typed(script: str, environ: dict[str, str]) -> list[str]:
    """Return the lines that a shell prints for a script; it must print no complaint."""
    shell = await asyncio.create_subprocess_exec(
        *("bash", "-e", "-u", "-o", "pipefail", "-c", script),
        cwd=ROOT,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        out, complaints = await shell.communicate()
    assert (shell.returncode, complaints.decode()) == (0, "")
    return out.decode().splitlines()


@pytest.mark.timeout(600)  # it starts some thirty processes of Python, one after the other
async def test_the_readme_is_true(ports: Iterator[int], tmp_path: Path) -> None:
    """`make run` comes up, its curl line and the README's answer, and the data outlives it."""
    chosen = {setting: str(next(ports)) for setting in PORTS}
    environ = {**plain_environ(), **chosen, "SESSIOND_DATA_DIR": str(tmp_path / "data")}
    # The command finds `make run` at its usual ports; here it has others.
    for part in ("LIVE", "STORE"):
        environ[f"SESSIOND_{part}"] = f"127.0.0.1:{chosen[f'SESSIOND_{part}_PORT']}"
    block, command = re.findall(
        r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S
    )
    async with make_run(environ) as lines:
        parts = [line.split()[0] for line in lines if " ready at " in line]
        assert sorted(parts) == ["etcd-1", "gateway-1", "live-1", "sign-in-1", "store-1"]
        urls = re.findall(r"https?://\S+", "\n".join(lines))
        assert urls == [f"http://127.0.0.1:{chosen['SESSIOND_GATEWAY_PORT']}/"]
        (shown,) = await typed(lines[-1].replace("curl", "curl -sS", 1) + "; echo", environ)
        assert json.loads(shown) == {"sessions": [], "nextPageToken": ""}
        _check_answers(await typed(block, environ))
        _check_chat(await typed(command, environ))
        kept = block[: block.index("api -X POST")] + (
            """api -X POST $S/api/sessions -d '{"id": "kept"}'\n"""
            """api -X POST $S/api/chat/kept/messages -d '{"content": "Remember this."}'\n"""
            "api $S/api/sessions/kept\n"
        )
        *_, session = map(json.loads, await typed(kept, environ))
    assert lines[-1] == f"everything is stopped; the data stays in {tmp_path / 'data'}"
    assert all(is_free(int(port)) for port in chosen.values())
    again = block[: block.index("api -X POST")] + "api $S/api/sessions/kept\n"
    async with make_run(environ):
        (loaded,) = await typed(again, environ)
        assert json.loads(loaded) == session


def _check_answers(lines: list[str]) -> None:
    created, page, message, output, approved, loaded, deleted = lines
    session: dict[str, Any] = json.loads(created)
    assert (session["id"], session["userId"]) == ("first", "alice")
    assert (session["userInputs"], session["revision"]) == ({"market": "EU"}, 1)
    assert [summary["id"] for summary in json.loads(page)["sessions"]] == ["first"]
    assert json.loads(message)["content"] == "Where do we start?"
    assert json.loads(output)["output"]["status"] == "pending"
    moved = json.loads(approved)
    assert moved["currentAgent"] == "persona-strategist"
    assert moved["progress"]["completedSteps"] == 1
    assert json.loads(loaded) == moved
    assert moved["title"] == "Where do we start?"
    assert deleted == ""


def _check_chat(lines: list[str]) -> None:
    listed = [line.split()[0] for line in lines[: lines.index("demo")]]
    assert listed == ["master-workflow-v2", "chat"]
    assert "alice: Where do we start?" in lines
    (answer,) = [line for line in lines if line.startswith("assistant: ")]
    assert answer.strip().endswith("Where do we start?")
    (shared,) = [line for line in lines if line.endswith("(editor of alice's)")]
    assert shared.startswith("demo ")
    assert any(line.startswith("viewer    carol") for line in lines)
    assert lines[-1] == "present   demo"
