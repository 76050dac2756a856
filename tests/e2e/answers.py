"""What answers must look like."""

from __future__ import annotations

from typing import Any

import httpx


def good(answer: httpx.Response, status: int = 200) -> Any:
    """Return the body of a success."""
    assert answer.status_code == status, (answer.status_code, answer.text[:2000])
    if status in (204, 304):
        assert answer.content == b""
        return None
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def problem(answer: httpx.Response, status: int, code: str) -> Any:
    """Return the body of a failure, after looking that it is one of ours."""
    assert answer.status_code == status, (answer.status_code, answer.text[:2000])
    assert answer.headers["content-type"] == "application/problem+json"
    shown = answer.json()
    assert (shown["status"], shown["code"]) == (status, code), shown
    assert shown["requestId"] == answer.headers["x-request-id"]
    assert {"type", "title", "detail", "retryable"} <= shown.keys()
    return shown


def bad_fields(answer: httpx.Response) -> list[str]:
    """Return the fields that a 400 names, in its order."""
    return [each["field"] for each in problem(answer, 400, "INVALID_ARGUMENT").get("errors", [])]
