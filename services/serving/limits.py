"""The rules' limits as settings: `SESSIOND_LIMIT_TITLE_CHARACTERS` and so on.

Store and Live must be given the same ones; each field of `Limits` has its variable.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from pydantic import PositiveInt, create_model

from services.serving.settings import Settings
from sessiond.session.limits import DEFAULT_LIMITS, Limits

_FIELDS: dict[str, Any] = {
    f"limit_{field.name}": (PositiveInt, getattr(DEFAULT_LIMITS, field.name))
    for field in fields(Limits)
}

if TYPE_CHECKING:

    class LimitedSettings(Settings):
        """Settings of a part that applies the rules."""

else:
    LimitedSettings = create_model("LimitedSettings", __base__=Settings, **_FIELDS)


def limits_of(settings: LimitedSettings) -> Limits:
    """Return the limits that these settings say."""
    return Limits(
        **{field.name: getattr(settings, f"limit_{field.name}") for field in fields(Limits)}
    )
