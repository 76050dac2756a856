"""Logs are JSON lines, and hold neither secrets nor contents."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from services.serving import context, logs
from services.serving.context import Call
from tests.serving.tokens import Provider


class Log:
    """What was written, line by line."""

    def __init__(self) -> None:
        self.stream = io.BytesIO()
        self.logger = structlog.get_logger()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def only(self) -> dict[str, Any]:
        (line,) = self.lines()
        return line


@pytest.fixture
def log() -> Iterator[Log]:
    """Logging as a part configures it, into memory; put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    made = Log()
    logs.configure("store", "info", stream=made.stream)
    yield made
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_says_when_where_and_for_which_request(log: Log) -> None:
    """One JSON object: timestamp, level, event, part, request id, facts."""
    with context.during(Call("r-1")):
        log.logger.info("call", method="/x", ms=1.5)
    line = log.only()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "call",
        "level": "info",
        "part": "store",
        "request_id": "r-1",
        "method": "/x",
        "ms": 1.5,
    }


def test_below_the_level_nothing_is_written(log: Log) -> None:
    """`log_level` is the least that is told, for us and for libraries."""
    log.logger.debug("no")
    logging.getLogger("anything").debug("no")
    logging.getLogger("httpx").info("GET https://id.example.com/keys")
    assert log.lines() == []


def test_what_libraries_log_takes_the_same_form(log: Log) -> None:
    """uvicorn's and grpc's lines are JSON too, with their logger's name."""
    logging.getLogger("uvicorn.error").warning("bad %s", "request")
    logging.getLogger("grpc._cython.cygrpc").error("oh")
    first, second = log.lines()
    assert (first["event"], first["level"], first["logger"], first["part"]) == (
        "bad request",
        "warning",
        "uvicorn.error",
        "store",
    )
    assert second["logger"] == "grpc._cython.cygrpc"


SECRET = "hunter2-hunter2"


def test_a_client_that_vanishes_is_no_fault_of_ours(log: Log) -> None:
    """gRPC tells each with a traceback; anybody could fill a disk, and wake whoever is on call."""
    grpc = logging.getLogger("grpc._cython.cygrpc")
    grpc.error("ExecuteBatchError raised in core by servicer method [/x/Y]")
    assert log.lines() == []
    grpc.error("Unexpected [ValueError] raised by servicer method [/x/Y]")
    assert log.only()["level"] == "error"


@pytest.mark.parametrize(
    "name",
    [
        *("token", "access_token", "authorization", "Authorization", "secret", "client_secret"),
        *("password", "cookie", "private_key", "content", "message_content", "user_inputs"),
        *("userInputs", "userFeedback"),
    ],
)
def test_what_is_named_like_a_secret_is_dropped(log: Log, name: str) -> None:
    """At any depth; a slip of a programmer does not end up on a disk."""
    log.logger.info("x", **{name: SECRET}, inner={name: SECRET, "kept": [{name: SECRET}]})
    assert SECRET not in log.stream.getvalue().decode()
    assert log.only()["inner"] == {"kept": [{}]}


def test_what_looks_like_a_token_is_blacked_out_anywhere(log: Log, provider: Provider) -> None:
    """In a sentence, in a header, in a traceback, in another library's line."""
    token = provider.token()
    log.logger.info(f"got {token}", header=f"Bearer {token}", items=[token, ("x", token)])
    logging.getLogger("library").warning("sent %s", {"Authorization": "Bearer opaque-abc.def"})
    try:
        raise ValueError(f"cannot read {token}")
    except ValueError:
        log.logger.exception("failed")
        logging.getLogger("library").exception("failed")
    written = log.stream.getvalue().decode()
    assert token not in written
    assert token.split(".")[1] not in written
    assert "opaque-abc" not in written
    assert written.count("[redacted]") >= 6


def test_a_traceback_tells_where_and_not_what_the_data_was(log: Log) -> None:
    """An exception's text can quote a whole message; it is cut."""
    try:
        raise ValueError("private words " * 10_000)
    except ValueError as error:
        log.logger.error("failed", exc_info=error)
        logging.getLogger("library").error("failed", exc_info=error)
    for line in log.lines():
        assert "test_logs.py" in line["exception"]
        assert "ValueError: private words" in line["exception"]
        assert len(line["exception"]) < 1500
        assert "exc_info" not in line


def test_no_value_loses_a_line(log: Log) -> None:
    """What JSON cannot hold is written as Python shows it."""
    log.logger.info("odd", a={1: object()}, b="\ud800", c=2**80, d={"x"})
    log.logger.info("after")
    assert len(log.lines()) == 2
