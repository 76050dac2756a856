"""Settings of a part: environment variables `SESSIOND_*`, checked once at start.

Each part subclasses `Settings` in its own folder and adds fields; a field `drain_seconds` is read
from `SESSIOND_DRAIN_SECONDS`. A variable that is set to nothing counts as not set, and variables
that no field names are ignored. Rules that join several variables are validators of the later
field, so that one start names every bad variable, not only the first.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from services.serving import certificates, development
from services.serving.addresses import HostPort
from services.serving.keys import PUBLIC_KEY_ALGORITHMS, SHARED_SECRET_ALGORITHMS

PREFIX = "SESSIOND_"

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def expected(what: str) -> PydanticCustomError:
    """Return the error for a bad variable: what it should have been, never what it was."""
    return PydanticCustomError("expected", "{what}", {"what": what})


def _host_port(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return HostPort.parse(value)
    except ValueError:
        raise expected(
            "must be host:port, a port being 0 to 65535 and an IPv6 host in brackets"
        ) from None


def _parts_of(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _host_ports(value: object) -> object:
    parts = _parts_of(value)
    return tuple(_host_port(part) for part in parts) if isinstance(parts, tuple) else parts


def _existing_file(value: object) -> Path:
    path = Path(str(value))
    try:
        with path.open("rb"):
            return path
    except OSError:
        raise expected("must be the path of a file that this process can read") from None


def _token_for_here(value: Path, info: ValidationInfo) -> Path:
    token = value.read_bytes().strip()
    if info.data.get("env") == "production" and development.is_development_token(token):
        raise expected("holds a development token, which production refuses")
    return value


Address = Annotated[HostPort, NoDecode, BeforeValidator(_host_port)]
"""One `host:port`."""

Addresses = Annotated[tuple[HostPort, ...], NoDecode, BeforeValidator(_host_ports)]
"""A comma list of `host:port`, in the order given."""

Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parts_of)]
"""A comma list of words, in the order given."""

ExistingFile = Annotated[Path, BeforeValidator(_existing_file)]
"""The path of a file that can be read at start."""

TokenFile = Annotated[ExistingFile, AfterValidator(_token_for_here)]
"""The path of a file that holds a token; in production, not one of development."""


class ProcessSettings(BaseSettings):
    """What every process of ours is told by its environment.

    Attributes:
        env: `production` refuses development keys and JWKS over plain HTTP.
        metrics_listen: where it serves /metrics, /healthz and /readyz over HTTP; None: nowhere.
        log_level: the least level that is logged.
        peer_ca: when set, our own parts are called over TLS and must show one of this authority.
        peer_cert, peer_key: what this process shows when it calls our parts; both or neither.
        drain_seconds: how long a stopping process waits for what is under way, in all.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True
    )

    env: Literal["development", "production"] = "development"
    metrics_listen: Address | None = None
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value),
    ] = "info"
    peer_ca: ExistingFile | None = None
    peer_cert: ExistingFile | None = None
    peer_key: ExistingFile | None = Field(default=None, validate_default=True)
    drain_seconds: float = Field(default=10.0, ge=0, le=600, allow_inf_nan=False)

    @property
    def production(self) -> bool:
        """Whether development keys are refused."""
        return self.env == "production"

    @property
    def serves_at(self) -> HostPort | None:
        """Where it answers calls; None for one that only makes them."""
        return None

    @field_validator("tls_key", "peer_key", check_fields=False)
    @classmethod
    def _key_fits_its_certificate(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        certificate_field = str(info.field_name).replace("key", "cert")
        if certificate_field not in info.data:
            return value
        certificate: Path | None = info.data[certificate_field]
        if (value is None) != (certificate is None):
            raise expected(f"it and {PREFIX}{certificate_field.upper()} must be set together")
        if value and certificate and not certificates.is_pair(certificate, value):
            raise expected(f"must be the PEM key of {PREFIX}{certificate_field.upper()}")
        return value

    @field_validator("tls_client_ca", "peer_ca", check_fields=False)
    @classmethod
    def _is_an_authority(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is None:
            return None
        if not certificates.is_authority(value):
            raise expected("must hold PEM certificates")
        if info.field_name == "tls_client_ca" and info.data.get("tls_cert", "") is None:
            raise expected(f"needs {PREFIX}TLS_CERT and {PREFIX}TLS_KEY")
        return value

    @field_validator("peer_cert")
    @classmethod
    def _peers_are_checked_too(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and info.data.get("peer_ca", "") is None:
            raise expected(f"needs {PREFIX}PEER_CA")
        return value


class Settings(ProcessSettings):
    """What every part that serves is told. Parts add a default for `listen` and their own.

    Attributes:
        listen: where the part serves.
        jwt_issuer, jwt_audience: what `iss` and `aud` of every token must be.
        jwt_algorithms: the only signature algorithms that are accepted.
        jwt_jwks: public keys: a file, or a URL. Exactly one of this and `jwt_secret_file` is set.
        jwt_secret_file: a shared secret of at least 32 bytes, without its final line break.
        tls_cert, tls_key: what the part shows its callers (PEM); both or neither.
        tls_client_ca: when set, callers must show a certificate of this authority.
    """

    listen: Address
    jwt_issuer: str
    jwt_audience: str
    jwt_jwks: str | None = None
    jwt_secret_file: ExistingFile | None = Field(default=None, validate_default=True)
    jwt_algorithms: Names
    tls_cert: ExistingFile | None = None
    tls_key: ExistingFile | None = Field(default=None, validate_default=True)
    tls_client_ca: ExistingFile | None = None

    @property
    def serves_at(self) -> HostPort:
        """Where it answers calls."""
        return self.listen

    @field_validator("jwt_jwks")
    @classmethod
    def _jwks_is_a_safe_url_or_a_key_file(
        cls, value: str | None, info: ValidationInfo
    ) -> str | None:
        if value is None:
            return None
        production = info.data.get("env") == "production"
        if "://" in value:
            url = urlsplit(value)
            if url.scheme not in ("http", "https") or not url.hostname:
                raise expected("must be a file's path, or an https or http URL")
            if production and url.scheme == "http" and url.hostname not in _LOOPBACK:
                raise expected("must use https in production")
            return value
        content = _existing_file(value).read_bytes()
        if not development.is_key_set(content):
            raise expected("must hold a JSON Web Key Set")
        if production and development.names_a_development_key(content):
            raise expected("holds a development key, which production refuses")
        return value

    @field_validator("jwt_secret_file")
    @classmethod
    def _there_is_one_kind_of_key(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if "jwt_jwks" not in info.data:
            return value
        if (value is None) == (info.data["jwt_jwks"] is None):
            raise expected(f"exactly one of this and {PREFIX}JWT_JWKS must be set")
        if value is None:
            return None
        secret = value.read_bytes().rstrip(b"\r\n")
        if len(secret) < 32:
            raise expected("must hold at least 32 bytes")
        if info.data.get("env") == "production" and development.is_development_secret(secret):
            raise expected("holds a development secret, which production refuses")
        return value

    @field_validator("jwt_algorithms")
    @classmethod
    def _algorithms_fit_the_keys(
        cls, value: tuple[str, ...], info: ValidationInfo
    ) -> tuple[str, ...]:
        # One family only: a public key must never be taken for a shared secret.
        allowed: tuple[str, ...] = (*SHARED_SECRET_ALGORITHMS, *PUBLIC_KEY_ALGORITHMS)
        if info.data.get("jwt_secret_file") is not None:
            allowed = SHARED_SECRET_ALGORITHMS
        elif info.data.get("jwt_jwks") is not None:
            allowed = PUBLIC_KEY_ALGORITHMS
        if not value or not set(value) <= set(allowed):
            raise expected("must be a comma list of " + ", ".join(allowed))
        return value

    @field_validator("jwt_issuer", "jwt_audience")
    @classmethod
    def _is_not_blank(cls, value: str) -> str:
        if not value.strip():
            raise expected("must not be blank")
        return value


class PartSettings(Settings):
    """Settings of a part that calls other parts in its own name: Live and the gateway.

    Attributes:
        identity_token_file: holds this part's own token; read again when it changes.
    """

    identity_token_file: TokenFile


S = TypeVar("S", bound=BaseSettings)


def load(kind: type[S]) -> S:
    """Return the settings that the environment gives.

    When they are not valid, prints one message to stderr that names every bad variable and what
    was expected of it, never its value, and leaves with exit code 2.
    """
    try:
        return kind()
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        lines = [f"  {_variable(fault)}: {_expectation(fault)}" for fault in found]
        print("The settings are not valid:", *sorted(set(lines)), sep="\n", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None


def _variable(fault: Mapping[str, Any]) -> str:
    return PREFIX + str(fault["loc"][0]).upper()


def _expectation(fault: Mapping[str, Any]) -> str:
    if fault["type"] == "missing":
        return "is required"
    text = str(fault["msg"])
    return text.replace("Input should be", "must be", 1)
