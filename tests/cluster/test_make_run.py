"""`make run` from its first line to its last, with the real parts."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from cluster.settings import PORTS

Said = list[str]


@asynccontextmanager
async def running(
    environ: dict[str, str],
) -> AsyncIterator[tuple[asyncio.subprocess.Process, Said]]:
    """Start the supervisor; yield it and what it said up to the line of curl."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cluster", "run"),
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    said: Said = []
    try:
        async with asyncio.timeout(60):
            while not said or not said[-1].startswith("curl"):
                line = await process.stdout.readline()
                assert line, f"the supervisor ended after {said}"
                said.append(line.decode().rstrip("\n"))
        yield process, said
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def stop(process: asyncio.subprocess.Process) -> str:
    """Do what Ctrl-C does; return the rest of what was said."""
    os.killpg(process.pid, signal.SIGINT)
    assert process.stdout is not None
    rest = await asyncio.wait_for(process.stdout.read(), 60)
    assert await process.wait() == 0
    return rest.decode()


@pytest.fixture
def environ(ports: Iterator[int], tmp_path: Path) -> dict[str, str]:
    free = {setting: str(next(ports)) for setting in PORTS}
    return {"SESSIOND_DATA_DIR": str(tmp_path / "data"), **free}


def request_of(curl: str) -> httpx.Request:
    """Return the request that the printed line of curl makes."""
    words = shlex.split(curl)
    assert words[:2] == ["curl", "-H"]
    name, _, value = words[2].partition(": ")
    return httpx.Request("GET", f"http://{words[3]}", headers={name: value})


async def test_make_run_prints_one_url_and_a_line_of_curl_that_works(
    environ: dict[str, str],
) -> None:
    """One line per part in the order of the start, the dashboard's URL, and curl with a token."""
    async with running(environ) as (process, said), httpx.AsyncClient(trust_env=False) as client:
        ready = [line.split()[0] for line in said if " ready at " in line]
        assert ready[:3] == ["etcd-1", "store-1", "live-1"]
        assert sorted(ready[3:]) == ["gateway-1", "sign-in-1"]
        urls = re.findall(r"\w+://\S+", "\n".join(said))
        assert urls == [f"http://127.0.0.1:{environ['SESSIOND_GATEWAY_PORT']}/"]
        answer = await client.send(request_of(said[-1]))
        assert (answer.status_code, answer.json()["sessions"]) == (200, [])
        page = await client.get(urls[0])
        (sign_in,) = re.findall(r'name="sessiond-sign-in" content="(.*?)"', page.text)
        asked = {"return_to": urls[0], "state": "s"}
        assert "Who are you?" in (await client.get(sign_in, params=asked)).text
        assert "everything is stopped" in await stop(process)


async def test_the_first_conversation_is_answered(environ: dict[str, str], tmp_path: Path) -> None:
    """An example agent runs beside the parts, for sessions marked as demo, and ends with them."""
    async with running(environ) as (process, said), httpx.AsyncClient(trust_env=False) as client:
        asked = request_of(said[-1])
        client.headers = asked.headers
        base = asked.url.join("/api/")
        new = {"id": "first", "workflowId": "chat", "metadata": {"demo": "true"}}
        assert (await client.post(base.join("sessions"), json=new)).status_code == 201
        hello = {"content": "Hello"}
        await client.post(base.join("chat/first/messages"), json=hello)
        async with asyncio.timeout(30):
            messages: list[dict[str, str]] = []
            while len(messages) < 2:
                answer = await client.get(base.join("chat/first/messages"))
                messages = answer.json()["messages"]
        assert [message["sender"] for message in messages] == ["user", "agent"]
        assert "agent-1" not in await stop(process)
    assert "Traceback" not in (tmp_path / "data" / "logs" / "agent-1.log").read_text()


async def test_sessions_are_there_at_the_next_run(environ: dict[str, str], tmp_path: Path) -> None:
    """What was made before Ctrl-C is listed after the next start, and no port is left in use."""
    async with running(environ) as (process, said), httpx.AsyncClient(trust_env=False) as client:
        asked = request_of(said[-1])
        made = await client.post(
            asked.url.join("/api/sessions"), json={"id": "kept"}, headers=asked.headers
        )
        assert made.status_code == 201
        await stop(process)
    async with running(environ) as (process, said), httpx.AsyncClient(trust_env=False) as client:
        listed = await client.send(request_of(said[-1]))
        assert [session["id"] for session in listed.json()["sessions"]] == ["kept"]
        await stop(process)
    assert (tmp_path / "data" / "logs" / "store-1.log.1").exists()
