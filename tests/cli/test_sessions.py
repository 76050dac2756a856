"""`sessiond sessions` and `sessiond call`, before real parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.cli.running import Command
from tests.e2e.answers import good
from tests.e2e.system import System


async def test_a_session_is_made_listed_shown_and_deleted(
    sessiond: Command, name: Callable[[str], str]
) -> None:
    """`new` prints the id alone; after `delete` the session is gone."""
    chosen = name("plan")
    assert await sessiond.good(
        *("sessions", "new", "--id", chosen, "--title", "Launch", "--inputs", '{"market": "EU"}'),
        *("--metadata", "a=b=c", "--no-demo"),
    ) == [chosen]
    (listed,) = await sessiond.good("sessions", "list")
    assert listed.split()[:3] == [chosen, "active", "0/8"]
    assert listed.endswith("  Launch")
    shown = "\n".join(await sessiond.good("sessions", "show", chosen))
    assert "Launch" in shown
    assert '{"market": "EU"}' in shown
    assert '{"a": "b=c"}' in shown
    assert await sessiond.good("sessions", "delete", chosen) == []
    assert await sessiond.good("sessions", "list") == []
    done = await sessiond("sessions", "show", chosen)
    assert (done.code, done.out) == (1, "")
    assert done.err == "SESSION_NOT_FOUND: There is no such session.\n"


async def test_json_is_that_of_rest(
    system: System, sessiond: Command, name: Callable[[str], str]
) -> None:
    """A session with everything in it, and its place in the list, are told as the gateway does."""
    chosen, api = name("same"), system.api(sessiond.user)
    body = {"id": chosen, "userInputs": {"n": 12345678901234567890, "f": 1.5, "t": "ü\n"}}
    good(await api.post("/api/sessions", json=body), 201)
    told = {"content": "\x1b[31m ü 你", "metadata": {"deep": [1, {"x": None}]}}
    good(await api.post(f"/api/chat/{chosen}/messages", json=told), 201)
    output = {"content": "x", "qualityScore": 0.25, "outputId": "o"}
    good(await api.post(f"/api/chat/{chosen}/outputs", json=output), 201)
    approval = {"feedback": "good"}
    whole = good(await api.put(f"/api/chat/{chosen}/approve", json=approval))
    (shown,) = await sessiond.good("sessions", "show", chosen, "--json")
    assert json.loads(shown) == whole
    (listed,) = await sessiond.good("sessions", "list", "--json")
    page = good(await api.get(f"/api/users/{sessiond.user}/sessions"))
    assert [json.loads(listed)] == page["sessions"]


async def test_sessions_are_for_the_example_agent_in_development_only(sessiond: Command) -> None:
    """With a development token a new session is marked, unless that is not wanted."""

    async def metadata(*options: str) -> Any:
        done = await sessiond.inside("sessions", "new", "--workflow", "chat", "--json", *options)
        return json.loads(done.out)["metadata"]

    assert await metadata() == {"demo": "true"}
    assert await metadata("--no-demo") == {}
    assert await metadata("--metadata", "demo=no") == {"demo": "no"}


async def test_a_list_may_be_narrowed_and_cut(sessiond: Command) -> None:
    """Status, workflow, a text, and how many."""
    for title in ("one", "two", "three"):
        made = f"{sessiond.user}-{title}"
        await sessiond.inside("sessions", "new", "--id", made, "--title", title, "--no-demo")
    await sessiond.inside("call", "PauseSession", json.dumps({"sessionId": f"{sessiond.user}-two"}))

    async def titles(*options: str) -> list[str]:
        done = await sessiond.inside("sessions", "list", *options)
        return [line.split()[-1] for line in done.lines]

    assert await titles() == ["two", "three", "one"]
    assert await titles("--status", "paused") == ["two"]
    assert await titles("--workflow", "chat") == []
    assert await titles("-q", "ONE") == ["one"]
    assert await titles("--limit", "2") == ["two", "three"]


async def test_the_workflows_of_new_sessions_are_listed(system: System, sessiond: Command) -> None:
    """The default one first: a line each for people, and the JSON of REST for scripts."""
    assert (await sessiond.inside("workflows")).lines == [
        "master-workflow-v2  Master workflow  8 steps, 280 minutes",
        "chat                Chat  with assistant",
    ]
    listed = good(await system.api(sessiond.user).get("/api/workflows"))["workflows"]
    done = await sessiond.inside("workflows", "--json")
    assert [json.loads(line) for line in done.lines] == listed


async def test_control_characters_do_not_reach_the_terminal(sessiond: Command) -> None:
    """What others wrote is shown to people without escape sequences."""
    (made,) = await sessiond.good("sessions", "new", "--workflow", "chat", "--no-demo")
    hostile = {"sessionId": made, "content": "\x1b]0;owned\x07\x9b2J back\r\bslash\n\ttab"}
    await sessiond.good("call", "AppendMessage", json.dumps(hostile))
    for words in (("sessions", "show", made), ("sessions", "list")):
        out = (await sessiond.inside(*words)).out
        assert "owned" in out
        assert not set(out) & {"\x1b", "\x07", "\x9b", "\r", "\b"}


async def test_any_method_may_be_called_by_its_name(sessiond: Command) -> None:
    """Requests are JSON as REST has it, from the command line or from stdin; answers are too."""
    request = {"id": f"{sessiond.user}-called", "userInputs": {"a": 1}, "metadata": {"k": "v"}}
    (made,) = await sessiond.good("call", "CreateSession", json.dumps(request))
    assert json.loads(made)["session"]["userInputs"] == {"a": 1}
    change = {
        "sessionId": request["id"],
        "title": None,
        "metadata": {"k": None, "l": "w"},
        "userInputs": {"b": 2},
        "opId": "once",
    }
    for _ in range(2):  # the operation id makes it one change
        (changed,) = await sessiond.good("call", "UpdateSession", "-", typed=json.dumps(change))
        assert json.loads(changed)["seq"] == 2
    session = json.loads(changed)["session"]
    assert (session["metadata"], session["userInputs"]) == ({"l": "w"}, {"a": 1, "b": 2})
    asked = {"userId": sessiond.user, "status": "active", "pageSize": 5}
    (listed,) = await sessiond.good("call", "ListSessions", json.dumps(asked))
    assert [each["id"] for each in json.loads(listed)["sessions"]] == [request["id"]]


AN_INTEGER = "tail must be an integer from -2147483648 to 2147483647\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("call", "Nope"), "there is no method Nope: AppendMessage, "),
        (("call", "Connect"), "Connect is a stream: use `sessiond chat`\n"),
        (("call", "WatchSessions"), "WatchSessions is a stream: use `sessiond watch`\n"),
        (("call", "GetSession", "{"), "INVALID_ARGUMENT: The request is not JSON: line 1, "),
        (("call", "GetSession", "[]"), "INVALID_ARGUMENT: The request must be a JSON object.\n"),
        (("call", "GetSession", '{"id": 1}'), "INVALID_ARGUMENT: id is not a field of "),
        (("call", "GetSession", '{"sessionId": 1}'), "INVALID_ARGUMENT: sessionId must be text "),
        (
            ("call", "GetSession", '{"sessionId": null}'),
            "INVALID_ARGUMENT: sessionId must not be null\n",
        ),
        (("call", "GetSession", '{"sessionId": "/"}'), "INVALID_ARGUMENT: session_id must "),
        (
            ("call", "GetSession", '{"sessionId": "x", "tail": true}'),
            f"INVALID_ARGUMENT: {AN_INTEGER}",
        ),
        (("call", "GetSession", '{"tail": 9999999999}'), f"INVALID_ARGUMENT: {AN_INTEGER}"),
        (
            ("call", "ListSessions", '{"status": "odd"}'),
            "INVALID_ARGUMENT: status must be one of: ",
        ),
        (
            ("call", "AppendMessage", '{"metadata": 1}'),
            "INVALID_ARGUMENT: metadata must be an object\n",
        ),
        (
            ("sessions", "new", "--inputs", "x"),
            "INVALID_ARGUMENT: The value of --inputs is not JSON: ",
        ),
        (("sessions", "new", "--metadata", "x"), "--metadata x must be KEY=VALUE\n"),
        (("sessions", "delete", "never-was"), "SESSION_NOT_FOUND: "),
        (("sessions", "list", "--of", "bob"), "PERMISSION_DENIED: "),
        (("sessions", "list", "--token", "x"), "UNAUTHENTICATED: "),
        (("sessions", "list", "--ca", "/no/file"), "/no/file: No such file or directory\n"),
    ],
)
async def test_a_failure_is_one_line_that_names_it(
    sessiond: Command, words: tuple[str, ...], said: str
) -> None:
    """On stderr, with exit code 1; never a traceback, and nothing on stdout."""
    done = await sessiond.inside(*words)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(said)
    assert done.err.count("\n") == 1


async def test_a_command_line_that_cannot_be_understood_is_code_2(sessiond: Command) -> None:
    """As everywhere: usage on stderr."""
    for words in (("sessions", "show"), ("sessions", "list", "--limit", "0"), ("nope",)):
        done = await sessiond.inside(*words)
        assert (done.code, done.out) == (2, "")


async def test_an_output_that_nobody_reads_to_its_end_is_no_failure(sessiond: Command) -> None:
    """`sessiond sessions list | head -1` ends without a complaint."""
    big = f"{sessiond.user}-big"
    typed = json.dumps({"id": big, "userInputs": {"x": "y" * 400_000}})
    await sessiond.good("call", "CreateSession", "-", typed=typed)
    async with sessiond.under_way("sessions", "show", big, "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert len(await process.stdout.readexactly(10)) == 10
        process.stdout._transport.close()  # type: ignore[attr-defined]
        assert await process.wait() == 0
        assert await process.stderr.read() == b""


async def test_a_session_goes_back_and_is_shown_as_it_was(
    system: System, sessiond: Command, name: Callable[[str], str]
) -> None:
    """`rewind` prints the new revision; `show` takes a seq or a time, and says what is wrong."""
    chosen, api = name("past"), system.api(sessiond.user)
    good(await api.post("/api/sessions", json={"id": chosen, "workflowId": "chat"}), 201)
    for content in ("one", "two"):
        told = good(await api.post(f"/api/chat/{chosen}/messages", json={"content": content}), 201)
    before = good(await api.get(f"/api/sessions/{chosen}"))
    assert (await sessiond.inside("rewind", chosen, "2")).lines == ["4"]
    shown = (await sessiond.inside("sessions", "show", chosen)).out
    assert ("one" in shown, "two" in shown) == (True, False)
    for moment in (("--at-seq", "3"), ("--at-time", told["timestamp"])):
        done = await sessiond.inside("sessions", "show", chosen, "--json", *moment)
        assert json.loads(done.out) == before
    (back,) = (await sessiond.inside("rewind", chosen, "3", "--json")).lines
    assert json.loads(back) == good(await api.get(f"/api/sessions/{chosen}"))
    for words, complaint in (
        (("rewind", chosen, "9"), "to_seq must be 1 to"),
        (("sessions", "show", chosen, "--at-seq", "9"), "at_seq must be 1 to"),
        (("sessions", "show", chosen, "--at-time", "yesterday"), "must be a time"),
    ):
        done = await sessiond(*words)
        assert (done.code, done.out) == (1, "")
        assert complaint in done.err
