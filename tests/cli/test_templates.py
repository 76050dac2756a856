"""`sessiond templates`, before real parts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.running import Command
from tests.e2e.answers import good
from tests.e2e.system import System


async def made(sessiond: Command, *options: str) -> Any:
    """Make a session that the example agent leaves alone."""
    done = await sessiond.inside("sessions", "new", "--no-demo", "--json", *options)
    assert (done.code, done.err) == (0, "")
    return json.loads(done.out)


async def test_a_template_is_saved_listed_shown_used_and_deleted(
    system: System, sessiond: Command
) -> None:
    """`save` prints the name alone; JSON is that of REST."""
    options = ("--workflow", "chat", "--title", "Plan for {input.market}")
    saved = await sessiond.inside(
        *("templates", "save", "plan", *options),
        *("--inputs", '{"market": "EU", "n": 12345678901234567890}', "--metadata", "team=red"),
    )
    assert saved == (0, "plan\n", "")
    listed = (await sessiond.inside("templates", "list")).lines
    assert [" ".join(line.split()) for line in listed] == [
        "plan chat Plan for {input.market}",
        "master-workflow-v2 built in",
        "chat built in",
    ]
    shown = (await sessiond.inside("templates", "show", "plan")).out
    assert "12345678901234567890" in shown
    assert '{"team": "red"}' in shown
    where = f"/api/users/{sessiond.user}/templates"
    rest = good(await system.api(sessiond.user).get(f"{where}/plan"))
    assert json.loads((await sessiond.inside("templates", "show", "plan", "--json")).out) == rest
    rest = good(await system.api(sessiond.user).get(where))["templates"]
    told = (await sessiond.inside("templates", "list", "--json")).lines
    assert [json.loads(line) for line in told] == rest
    session = await made(sessiond, "--template", "plan", "--metadata", "k=v")
    assert (session["title"], session["workflowId"]) == ("Plan for EU", "chat")
    assert session["userInputs"] == {"market": "EU", "n": 12345678901234567890}
    assert session["metadata"] == {"k": "v", "team": "red"}
    assert await sessiond.inside("templates", "delete", "plan") == (0, "", "")
    gone = await sessiond.inside("templates", "show", "plan")
    assert (gone.code, gone.err) == (1, "TEMPLATE_NOT_FOUND: There is no such template.\n")


async def test_a_session_becomes_a_template(sessiond: Command) -> None:
    """What is given beside it comes first."""
    session = await made(sessiond, "--workflow", "chat", "--title", "Launch", "--inputs", '{"a":1}')
    done = await sessiond.inside(
        *("templates", "save", "launch", "--session", session["id"], "--title", "{date}", "--json")
    )
    saved = json.loads(done.out)
    assert (saved["workflowId"], saved["userInputs"], saved["title"]) == (
        "chat",
        {"a": 1},
        "{date}",
    )


async def test_templates_may_be_called_by_their_methods(sessiond: Command) -> None:
    """They bring no operation id."""
    request = json.dumps({"userId": sessiond.user, "name": "called", "workflowId": "chat"})
    done = await sessiond.inside("call", "PutTemplate", request)
    assert json.loads(done.out)["template"]["name"] == "called"
    request = json.dumps({"userId": sessiond.user, "name": "called"})
    assert (await sessiond.inside("call", "DeleteTemplate", request)).out == "{}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("save", "chat"), "INVALID_ARGUMENT: name must not be the id of a workflow"),
        (("save", "a/b"), "INVALID_ARGUMENT: name must be 1 to 64 characters"),
        (("save", "x", "--workflow", "nope"), "INVALID_ARGUMENT: workflow_id must be"),
        (("save", "x", "--inputs", "[]"), "INVALID_ARGUMENT: The value of --inputs must be"),
        (("save", "x", "--session", "nowhere"), "SESSION_NOT_FOUND: "),
        (("show", "nope"), "TEMPLATE_NOT_FOUND: "),
        (("list", "--of", "bob"), "PERMISSION_DENIED: You may list your own templates only.\n"),
        (("delete", "chat"), "INVALID_ARGUMENT: name must not be"),
    ],
)
async def test_a_failure_is_one_line_that_names_it(
    sessiond: Command, words: tuple[str, ...], said: str
) -> None:
    """As of every command."""
    done = await sessiond.inside("templates", *words)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(said)
    assert done.err.count("\n") == 1
