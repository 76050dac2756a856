"""Schemathesis on the gateway's OpenAPI document: no 5xx, no undocumented answer, all checks on.

What is generated is true to the document, or breaks it on purpose. Where it is true, some path
parameters are replaced by things that exist, so that not every answer is "not found".
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode, HookContext
from schemathesis.config import SchemathesisConfig

from gateway.annotations import operations
from gateway.app import LIVE, STORE
from gateway.openapi import document
from tests.e2e.system import NOBODY, System

EXAMPLES = int(os.environ.get("SESSIOND_FUZZ_EXAMPLES", "50"))
"""Examples per operation: 50 in CI, 200 by `make fuzz`."""

USER = "fuzz"
KNOWN = tuple(f"fuzz-{n}" for n in range(8))
"""Sessions of the user; some are deleted on the way, and made anew."""

# What the document says in words and not in a schema.
schemathesis.openapi.format("page-token", st.just(""))
schemathesis.openapi.format("user-id", st.just(USER))
schemathesis.openapi.format("workflow-id", st.sampled_from(["chat", "master-workflow-v2"]))

# Data that is true to the document may still meet a state that refuses it; it is never malformed.
ACCEPTED = ["2xx", "304", "403", "404", "409", "410", "412", "413", "422", "429"]

schema = schemathesis.openapi.from_dict(
    document(operations([STORE, LIVE])),
    config=SchemathesisConfig.from_dict(
        {"checks": {"positive_data_acceptance": {"expected-statuses": ACCEPTED}}}
    ),
)


@schema.hook
def map_case(context: HookContext, case: Case[Any]) -> Case[Any]:
    """Let two of three good cases meet a session that exists."""
    parameters = case.path_parameters
    good = case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE
    if good and isinstance(parameters, dict) and "sessionId" in parameters:
        chosen = zlib.crc32(repr(parameters["sessionId"]).encode())
        if chosen % 3:
            parameters["sessionId"] = KNOWN[chosen % len(KNOWN)]
    return case


@dataclass(frozen=True)
class Front:
    """Where the gateway is, and the headers of the user."""

    url: str
    headers: dict[str, str]


@pytest.fixture
def front(system: System) -> Iterator[Front]:
    """The front door, with every known session behind it."""
    url = f"http://{system.cluster.address('gateway-1')}"
    headers = {"Authorization": f"Bearer {system.keys.user_token(USER)}"}
    with httpx.Client(base_url=url, headers=headers, trust_env=False, verify=NOBODY) as http:
        for known in KNOWN:
            made = http.post("/api/sessions", json={"id": known})
            assert made.status_code in {201, 409}
    yield Front(url, headers)


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_documented(case: Case[Any], front: Front) -> None:
    """Whatever comes in, what goes out is what the document says, and never a 5xx."""
    case.call_and_validate(base_url=front.url, headers=front.headers)
