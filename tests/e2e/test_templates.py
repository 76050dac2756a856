"""Templates through the front door."""

from __future__ import annotations

from collections.abc import Callable

from tests.e2e.answers import bad_fields, good, problem
from tests.e2e.system import System
from tests.e2e.talking import created


async def test_a_session_is_saved_and_another_begins_with_it(
    system: System, name: Callable[[str], str]
) -> None:
    """What the request gives comes before what the template says; a repetition is the same."""
    user = name("alice")
    alice, where = system.api(user), f"/api/users/{user}/templates"
    body = {"workflowId": "chat", "title": "Launch", "userInputs": {"market": "EU", "n": 1}}
    session = await created(alice, **body, metadata={"team": "red"})
    asked = {"sessionId": session["id"], "title": "{input.market} on {date}"}
    for _ in range(2):
        saved = good(await alice.put(f"{where}/launch", json=asked))
    assert saved == good(await alice.get(f"{where}/launch"))
    assert (saved["name"], saved["workflowId"], saved["builtIn"]) == ("launch", "chat", False)
    assert (saved["userInputs"], saved["metadata"]) == ({"market": "EU", "n": 1}, {"team": "red"})
    names = [each["name"] for each in good(await alice.get(where))["templates"]]
    assert names == ["launch", "master-workflow-v2", "chat"]
    key = {"Idempotency-Key": "once"}
    body = {"template": "launch", "userInputs": {"market": "US"}, "metadata": {"k": "v"}}
    first = good(await alice.post("/api/sessions", json=body, headers=key), 201)
    assert first["title"] == f"US on {first['createdAt'][:10]}"
    assert (first["workflowId"], first["userInputs"]) == ("chat", {"market": "US"})
    assert first["metadata"] == {"k": "v", "team": "red"}
    good(await alice.delete(f"{where}/launch"), 204)
    good(await alice.delete(f"{where}/launch"), 204)
    assert good(await alice.post("/api/sessions", json=body, headers=key), 201) == first
    problem(await alice.post("/api/sessions", json=body), 404, "TEMPLATE_NOT_FOUND")
    problem(await alice.get(f"{where}/launch"), 404, "TEMPLATE_NOT_FOUND")


async def test_what_is_no_template_is_refused(system: System, name: Callable[[str], str]) -> None:
    """By the names that the caller used; other users' are forbidden."""
    user = name("alice")
    alice, where = system.api(user), f"/api/users/{user}/templates"
    wrong = {"userInputs": [], "title": 7, "name": "x", "colour": "red"}
    answer = await alice.put(f"{where}/plan", json=wrong)
    assert bad_fields(answer) == ["userInputs", "title", "name", "colour"]
    answer = await alice.put(f"{where}/a%2Fb", json={"title": "\n", "workflowId": "nope"})
    assert bad_fields(answer) == ["name"]
    answer = await alice.put(f"{where}/plan", json={"title": "\n", "workflowId": "nope"})
    assert bad_fields(answer) == ["workflowId", "title"]
    assert bad_fields(await alice.delete(f"{where}/chat")) == ["name"]
    bob = system.api(name("bob"))
    problem(await bob.get(where), 403, "PERMISSION_DENIED")
    problem(await bob.put(f"{where}/plan", json={}), 403, "PERMISSION_DENIED")
