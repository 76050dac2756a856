"""What the gateway is told by its environment."""

from __future__ import annotations

import re

from pydantic import Field, ValidationInfo, field_validator

from services.serving.addresses import HostPort
from services.serving.settings import Address, Addresses, Names, PartSettings, expected

_ORIGIN = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_URL = re.compile(_ORIGIN.pattern + r"(?:/[!$-;=@-~]*)?")


class GatewaySettings(PartSettings):
    """The settings of every part, and these.

    Attributes:
        store_addresses, live_addresses: the replicas, in order of preference.
        cors_origins: the web pages that may call from a browser, `https://app.example.com`, over
            HTTP and WebSocket.
        sign_in_url: where the dashboard sends a user to sign in; "": it asks for a token instead.
        max_body_bytes: the largest request body.
        import_bytes: the largest export that is imported, as JSON.
        body_seconds: how long a client may take to send a body, or the next part of an export.
        upstream_seconds: how long Store and Live may take to answer.
        hello_seconds: how long a WebSocket may take to say hello.
        frame_bytes: the largest message over a WebSocket.
        ping_seconds: how often a WebSocket is pinged.
        pong_seconds: how long its browser may take to answer.
        keep_alive_seconds: how long an event stream may be silent.
        pdf_messages: of the longest session that becomes a PDF.
    """

    listen: Address = HostPort("127.0.0.1", 8080)
    store_addresses: Addresses = Field(min_length=1)
    live_addresses: Addresses = Field(min_length=1)
    cors_origins: Names = ()
    sign_in_url: str = ""
    # Below what Store and Live read in one message, and more than any field may hold.
    max_body_bytes: int = Field(default=1024 * 1024, ge=1024, le=3 * 1024 * 1024)
    # A session may have 32 MiB, and a character of it six bytes in JSON.
    import_bytes: int = Field(default=192 * 1024 * 1024, ge=1024, le=1024**3)
    body_seconds: float = Field(default=10.0, gt=0, le=600)
    upstream_seconds: float = Field(default=10.0, gt=0, le=600)
    hello_seconds: float = Field(default=5.0, gt=0, le=60)
    frame_bytes: int = Field(default=1024 * 1024, ge=1024, le=1024 * 1024)
    ping_seconds: float = Field(default=25.0, gt=0, le=600)
    pong_seconds: float = Field(default=20.0, gt=0, le=600)
    keep_alive_seconds: float = Field(default=15.0, gt=0, le=600)
    pdf_messages: int = Field(default=10_000, ge=1, le=20_000)

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_ORIGIN.fullmatch(origin) for origin in value):
            raise expected("must be a comma list of origins, as https://app.example.com")
        return value

    @field_validator("sign_in_url")
    @classmethod
    def _is_an_absolute_url(cls, value: str, info: ValidationInfo) -> str:
        if value and not _URL.fullmatch(value):
            raise expected("must be an absolute http or https URL without query and fragment")
        if value.startswith("http:") and info.data.get("env") == "production":
            raise expected("must use https in production")
        return value
