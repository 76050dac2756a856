"""Logs: one JSON object per line on stderr, without secrets or the contents of messages.

What the libraries log through the standard library's `logging` takes the same road.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, BinaryIO

import orjson
import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from services.serving.context import current_request_id

# A belt: nothing here should be logged in the first place.
_SECRET_NAMES = re.compile(
    r"token|authorization|secret|password|credential|cookie|private|content|user_?inputs|feedback",
    re.IGNORECASE,
)
_SECRET_VALUES = re.compile(
    r"eyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*){1,2}|(?<=[Bb]earer )[^\s\"',]+"
)
REDACTED = "[redacted]"

# A line of a traceback is short; only an exception's own text can be long, and it may quote data.
_TRACEBACK_LINE = 400


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return _SECRET_NAMES.search(name) is not None


def redact(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Drop what is named like a secret or a content, and what looks like a token."""
    return {name: _clean(value) for name, value in event.items() if not _is_secret(name)}


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        # Asked first, because every line pays for it, and an expression costs ten times as much.
        suspicious = "eyJ" in value or "earer " in value
        return _SECRET_VALUES.sub(REDACTED, value) if suspicious else value
    if isinstance(value, Mapping):
        return {name: _clean(inner) for name, inner in value.items() if not _is_secret(str(name))}
    if isinstance(value, list | tuple):
        return [_clean(inner) for inner in value]
    return value


def configure(part: str, level: str, *, stream: BinaryIO | None = None) -> None:
    """Log as JSON from here on: `timestamp`, `level`, `event`, `part`, `request_id`, and facts.

    `stream` is stderr unless given.
    """
    least = logging.getLevelNamesMapping()[level.upper()]
    out = sys.stderr.buffer if stream is None else stream

    def name_the_part(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        event["part"] = part
        if "request_id" not in event and (request_id := current_request_id()):
            event["request_id"] = request_id
        return event

    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        name_the_part,
        structlog.processors.ExceptionRenderer(_traceback),
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=_json)],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.BytesLoggerFactory(out),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(_Text(out))
    handler.addFilter(_tells_of_a_fault)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_exception_of_record, structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=lambda e, **_: _json(e).decode()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(least, logging.INFO))
    # They tell each request with its URL, or each step of a start that we tell ourselves.
    for noisy in ("httpx", "httpcore", "uvicorn", "asyncio"):
        logging.getLogger(noisy).setLevel(max(least, logging.WARNING))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "grpc"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True


def _tells_of_a_fault(record: logging.LogRecord) -> bool:
    """Return False for what gRPC calls an error when a client vanishes that was written to.

    Any client can do so at any time, and the line about its call says that it did.
    """
    vanished = record.getMessage().startswith("ExecuteBatchError raised in core")
    return not (vanished and record.name.startswith("grpc."))


class _Text:
    """Writes text to the stream of bytes that our own lines go to."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        self._stream.write(text.encode("utf-8", "backslashreplace"))

    def flush(self) -> None:
        self._stream.flush()


def _json(event: EventDict, **_: Any) -> bytes:
    try:
        return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, ValueError):  # a lone surrogate somewhere: a line must not be lost for it
        return orjson.dumps(ascii(event))


def _exception_of_record(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    if record.exc_info:
        event["exc_info"] = record.exc_info
    return event


def _traceback(exc_info: ExcInfo) -> str:
    lines = "".join(traceback.format_exception(*exc_info)).splitlines()
    return "\n".join(
        line if len(line) <= _TRACEBACK_LINE else line[:_TRACEBACK_LINE] + "..." for line in lines
    )
