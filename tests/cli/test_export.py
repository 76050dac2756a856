"""`sessiond export`, before real parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.cli.running import Command
from tests.e2e.answers import good
from tests.e2e.system import System


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


async def test_a_session_is_written_in_each_format(
    system: System, sessiond: Command, name: Callable[[str], str], tmp_path: Path
) -> None:
    """To the same bytes as over REST; a file is there when it is whole."""
    chosen, api = name("exported"), system.api(sessiond.user)
    good(await api.post("/api/sessions", json={"id": chosen, "title": "Launch"}), 201)
    good(await api.post(f"/api/chat/{chosen}/messages", json={"content": "hello"}), 201)
    for form in ("json", "ndjson", "markdown", "pdf"):
        kept = tmp_path / form
        assert await sessiond.good("export", chosen, "--format", form, "-o", str(kept)) == []
        answer = await api.get(f"/api/sessions/{chosen}/export", params={"format": form})
        assert kept.read_bytes() == answer.content
    assert names(tmp_path) == ["json", "markdown", "ndjson", "pdf"]
    printed = "\n".join(await sessiond.good("export", chosen))
    assert json.loads(printed)["session"]["title"] == "Launch"


async def test_what_fails_leaves_no_file(
    sessiond: Command, name: Callable[[str], str], tmp_path: Path
) -> None:
    """And one that stood there stays."""
    kept = tmp_path / "kept.json"
    kept.write_text("before")
    done = await sessiond("export", name("nobody"), "-o", str(kept))
    assert (done.code, done.err) == (1, "SESSION_NOT_FOUND: There is no such session.\n")
    assert kept.read_text() == "before"
    assert names(tmp_path) == ["kept.json"]
    done = await sessiond("export", name("nobody"), "-o", str(tmp_path / "no" / "folder"))
    assert done.code == 1
    assert "No such file or directory" in done.err
