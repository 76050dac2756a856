"""The gateway keeps to the document that it shows, whatever it is sent."""

from __future__ import annotations

import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis import Case, HookContext
from schemathesis.config import SchemathesisConfig

from gateway.annotations import operations
from gateway.app import LIVE, STORE
from gateway.openapi import document
from tests.fuzz.conftest import Door
from tests.fuzz.known import USER, link

EXAMPLES = int(os.environ.get("SESSIOND_FUZZ_EXAMPLES", "50"))
"""Examples per operation: 50 in CI, 200 by `make fuzz`."""

# Data that is true to the document may still meet a state that refuses it; it is never malformed.
ACCEPTED = ["2xx", "304", "403", "404", "409", "410", "412", "422", "429"]

# A bad request may be refused before its form is looked at: for who sends it, or for its revision.
REFUSED = ["400", "401", "403", "404", "405", "409", "410", "412", "413", "415", "422", "429"]

# What the document says in words, and no pattern can.
schemathesis.openapi.format("page-token", st.just(""))
schemathesis.openapi.format("user-id", st.just(USER))
schemathesis.openapi.format("workflow-id", st.sampled_from(["chat", "master-workflow-v2"]))


@schemathesis.serializer("application/x-ndjson")
def ndjson(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """Send what is generated as the text that it is."""
    return value.encode(errors="surrogatepass") if isinstance(value, str) else repr(value).encode()


shown = document(operations([STORE, LIVE]))
everything = schemathesis.openapi.from_dict(
    shown,
    config=SchemathesisConfig.from_dict(
        {
            "checks": {
                "positive_data_acceptance": {"expected-statuses": ACCEPTED},
                "negative_data_rejection": {"expected-statuses": REFUSED},
            },
            # No schema describes all that the events of a session must be.
            "operations": [
                {
                    "include-path": "/api/import",
                    "checks": {"positive_data_acceptance": {"enabled": False}},
                }
            ],
        }
    ),
)
# A stream of events has no end to wait for.
schema = everything.exclude(path_regex="/events$|^/api/changes$")


@schema.hook
def map_case(context: HookContext, case: Case[Any]) -> Case[Any]:
    """Let most of the valid requests meet something that is there."""
    return link(case)


def test_the_gateway_shows_the_document_that_is_tested(door: Door) -> None:
    """The document is made from the annotations; what runs shows the very same."""
    assert door.session.get(f"{door.url}/openapi.json").json() == shown


@pytest.mark.timeout(1200)
@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_documented(case: Case[Any], door: Door) -> None:
    """Valid requests are taken, others refused; no answer is a surprise, and none a fault."""
    case.call_and_validate(base_url=door.url, headers=door.headers, session=door.session)
