"""The document says what the routes do, and says it in valid OpenAPI."""

from __future__ import annotations

from typing import Any

import httpx
import jsonschema_rs
import orjson
import pytest
import pytest_asyncio

from gateway.annotations import operations
from gateway.app import LIVE, STORE
from sessiond.errors import CARRIED
from sessiond.mapping.showing import shower
from sessiond.v1 import session_pb2
from tests.gateway.parts import Part, failing


@pytest_asyncio.fixture
async def document(http: httpx.AsyncClient) -> dict[str, Any]:
    answer = await http.get("/openapi.json")
    assert answer.headers["Content-Type"] == "application/json"
    found: dict[str, Any] = answer.json()
    return found


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema that stands on its own."""
    return {**schema, "components": document["components"]}


async def test_every_operation_is_described(document: dict[str, Any]) -> None:
    """One entry per annotated RPC, with words from the protos; and those without one."""
    found = {
        (verb.upper(), operation["operationId"])
        for path in document["paths"].values()
        for verb, operation in path.items()
    }
    assert found == {
        (each.verb, each.rpc.name[0].lower() + each.rpc.name[1:])
        for each in operations([STORE, LIVE])
    } | {
        ("GET", "changes"),
        ("GET", "exportSession"),
        ("POST", "importSession"),
        ("GET", "sessionEvents"),
        ("GET", "userEvents"),
    }
    for path in document["paths"].values():
        for operation in path.values():
            assert operation["summary"]


async def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    """No dangling $ref, and no schema without a description."""

    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if "$ref" in node else []
            return own + [ref for value in node.values() for ref in references(value)]
        if isinstance(node, list):
            return [ref for value in node for ref in references(value)]
        return []

    for reference in references(document):
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
    assert all(schema["description"] for schema in document["components"]["schemas"].values())


async def test_every_schema_is_valid(document: dict[str, Any]) -> None:
    """JSON Schema of 2020-12, as OpenAPI 3.1 demands."""
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema)


async def test_what_a_create_may_hold_is_exact(document: dict[str, Any]) -> None:
    """Limits, alphabets and nothing unknown."""
    schema = resolved(document, document["components"]["schemas"]["CreateSessionRequest"])
    good: list[dict[str, Any]] = [
        {},
        {"id": "a.b_c~d-1", "title": "x" * 200, "metadata": {"k": ""}, "userInputs": {"a": [1]}},
        {"metadata": {str(n): "x" for n in range(16)}},
    ]
    bad: list[dict[str, Any]] = [
        {"id": ""},
        {"id": "a/b"},
        {"id": "x" * 129},
        {"title": "x" * 201},
        {"title": None},
        {"metadata": {"": "x"}},
        {"metadata": {"k": None}},
        {"metadata": {"k": "\0"}},
        {"metadata": {str(n): "x" for n in range(17)}},
        {"userInputs": []},
        {"opId": "x"},
    ]
    for value in good:
        jsonschema_rs.validate(schema, value)
    for value in bad:
        assert not jsonschema_rs.is_valid(schema, value), value


async def test_what_a_patch_may_null_is_told(document: dict[str, Any]) -> None:
    """title, metadata, its values and userInputs."""
    schema = resolved(document, document["components"]["schemas"]["UpdateSessionRequest"])
    jsonschema_rs.validate(schema, {"title": None, "metadata": None, "userInputs": None})
    jsonschema_rs.validate(schema, {"metadata": {"a": None}})


async def test_what_may_not_stand_alone_is_told(document: dict[str, Any]) -> None:
    """An agent is named only beside a sender that speaks for one."""
    schema = resolved(document, document["components"]["schemas"]["AppendMessageRequest"])
    for sender in ("agent", "system"):
        jsonschema_rs.validate(schema, {"content": "a", "agentId": "b", "sender": sender})
    for body in ({"agentId": "b"}, {"agentId": "b", "sender": "user"}):
        assert not jsonschema_rs.is_valid(schema, {"content": "a"} | body)


async def test_what_is_required_is_told(document: dict[str, Any]) -> None:
    """A body is required where one of its fields is."""
    append = document["paths"]["/api/chat/{sessionId}/messages"]["post"]
    approve = document["paths"]["/api/chat/{sessionId}/approve"]["put"]
    assert append["requestBody"]["required"] is True
    assert document["components"]["schemas"]["AppendMessageRequest"]["required"] == ["content"]
    assert approve["requestBody"]["required"] is False


async def test_a_shown_session_fits_its_schema(document: dict[str, Any]) -> None:
    """What the mapping shows is what the document promises."""
    session = session_pb2.Session(status=session_pb2.SESSION_STATUS_ACTIVE)
    session.created_at.GetCurrentTime()
    session.last_active.GetCurrentTime()
    session.progress.total_steps = 8
    message = session.conversation_history.add(
        sender=session_pb2.SENDER_USER, type=session_pb2.MESSAGE_TYPE_TEXT
    )
    message.timestamp.GetCurrentTime()
    output = session.agent_outputs["o"]
    output.status = session_pb2.OUTPUT_STATUS_PENDING
    output.generated_at.GetCurrentTime()
    shown = orjson.loads(orjson.dumps(shower(session.DESCRIPTOR)(session)))
    schema = resolved(document, document["components"]["schemas"]["Session"])
    jsonschema_rs.validate(schema, shown)
    assert not jsonschema_rs.is_valid(schema, {**shown, "revision": "1"})


@pytest.mark.parametrize("kind", CARRIED, ids=lambda kind: kind.reason)
async def test_every_problem_fits_its_schema(
    http: httpx.AsyncClient, document: dict[str, Any], live: Part, kind: type[Exception]
) -> None:
    """Problems are documented as exactly as successes."""
    failure = kind(42) if kind.__name__ == "StaleRevision" else kind()
    live.answers["AppendMessage"] = failing(failure)
    answer = await http.post("/api/chat/s1/messages", json={"content": "x"})
    jsonschema_rs.validate(
        resolved(document, document["components"]["schemas"]["Problem"]), answer.json()
    )
    operation = document["paths"]["/api/chat/{sessionId}/messages"]["post"]
    if answer.status_code not in (405, 410):  # of other routes, and never an answer of Live's
        assert str(answer.status_code) in operation["responses"]


async def test_an_operation_without_anything_to_miss_promises_no_404(
    document: dict[str, Any],
) -> None:
    """The workflows are the same for everybody."""
    operation = document["paths"]["/api/workflows"]["get"]
    assert set(operation["responses"]) == {"200", "400", "401", "403", "500", "503"}
    shown = operation["responses"]["200"]["content"]["application/json"]["schema"]
    schema = resolved(document, shown)
    workflow = {"id": "c", "name": "C", "steps": [], "agent": "x"}
    jsonschema_rs.validate(schema, {"workflows": [workflow]})
    assert not jsonschema_rs.is_valid(schema, {"workflows": [{**workflow, "steps": [{}]}]})


async def test_a_create_may_miss_its_template(document: dict[str, Any]) -> None:
    """What is named in a body may be absent, as what is named in a path."""
    assert "404" in document["paths"]["/api/sessions"]["post"]["responses"]


async def test_conditional_and_repeatable_calls_are_documented(document: dict[str, Any]) -> None:
    """The headers that a route reads stand among its parameters."""
    paths = document["paths"]

    def headers(operation: dict[str, Any]) -> set[str]:
        return {each["name"] for each in operation["parameters"] if each.get("in") == "header"}

    assert headers(paths["/api/sessions/{sessionId}"]["get"]) == {"If-None-Match"}
    assert headers(paths["/api/sessions/{sessionId}"]["delete"]) == {"Idempotency-Key", "If-Match"}
    assert headers(paths["/api/sessions"]["post"]) == {"Idempotency-Key"}
