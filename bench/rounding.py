"""Figures as they are written down: four significant digits, which is more than they are worth."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from typing import Any


def rounded(value: Any) -> Any:
    """Return a value with all that it holds, as JSON can hold it, its floats rounded."""
    if is_dataclass(value) and not isinstance(value, type):
        return rounded(asdict(value))
    match value:
        case float():
            return float(f"{value:.4g}")
        case dict():
            return {name: rounded(each) for name, each in value.items()}
        case list() | tuple():
            return [rounded(each) for each in value]
    return value
