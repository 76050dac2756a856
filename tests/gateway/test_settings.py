"""The gateway's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.settings import GatewaySettings
from services.serving.settings import load


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, keys: Path) -> pytest.MonkeyPatch:
    given = {
        "JWT_ISSUER": "i",
        "JWT_AUDIENCE": "a",
        "JWT_ALGORITHMS": "HS256",
        "JWT_SECRET_FILE": str(keys / "secret"),
        "IDENTITY_TOKEN_FILE": str(keys / "identity"),
        "STORE_ADDRESSES": "127.0.0.1:7201, [::1]:7202",
        "LIVE_ADDRESSES": "live:7301",
        "CORS_ORIGINS": "https://a.example, http://localhost:3000",
    }
    for name, value in given.items():
        monkeypatch.setenv(f"SESSIOND_{name}", value)
    return monkeypatch


@pytest.mark.usefixtures("environment")
def test_settings_come_from_the_environment() -> None:
    """Lists keep their order, and what is not set has its default."""
    told = load(GatewaySettings)
    assert [str(address) for address in told.store_addresses] == ["127.0.0.1:7201", "[::1]:7202"]
    assert told.cors_origins == ("https://a.example", "http://localhost:3000")
    assert (str(told.listen), told.max_body_bytes) == ("127.0.0.1:8080", 1024 * 1024)


def test_every_bad_setting_is_named_at_once(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[Any]
) -> None:
    """One start tells all that is wrong, and ends with code 2."""
    environment.setenv("SESSIOND_STORE_ADDRESSES", "nowhere")
    environment.setenv("SESSIOND_LIVE_ADDRESSES", " ,")
    environment.setenv("SESSIOND_CORS_ORIGINS", "*")
    environment.setenv("SESSIOND_SIGN_IN_URL", "/sign-in")
    environment.setenv("SESSIOND_MAX_BODY_BYTES", "-1")
    with pytest.raises(SystemExit) as left:
        load(GatewaySettings)
    assert left.value.code == 2
    told = capsys.readouterr().err
    named = "STORE_ADDRESSES LIVE_ADDRESSES CORS_ORIGINS SIGN_IN_URL MAX_BODY_BYTES"
    for name in named.split():
        assert f"SESSIOND_{name}" in told


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:7401/sign-in", "https://id.example", "https://[::1]:1/a/b;c='%20&'", ""],
)
def test_sign_in_is_somewhere_or_nowhere(environment: pytest.MonkeyPatch, url: str) -> None:
    """An absolute URL is taken as it is; without one the page asks for a token."""
    environment.setenv("SESSIOND_SIGN_IN_URL", url)
    assert load(GatewaySettings).sign_in_url == url


@pytest.mark.parametrize(
    "url",
    [
        "id.example/sign-in",
        "//id.example/",
        "javascript:alert(1)",
        "ftp://id.example/",
        "https://",
        "https://user:password@id.example/",
        "https://id.example/?a=b",
        "https://id.example/#a",
        "https://id.example/ a",
        'https://id.example/"><script>',
        "https://id.example\n/",
    ],
)
def test_a_sign_in_that_is_no_plain_url_is_refused(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[Any], url: str
) -> None:
    """The page adds a query of its own, and gets its answer in the fragment."""
    environment.setenv("SESSIOND_SIGN_IN_URL", url)
    with pytest.raises(SystemExit):
        load(GatewaySettings)
    assert "SESSIOND_SIGN_IN_URL: must be an absolute" in capsys.readouterr().err


def test_sign_in_is_over_https_in_production(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[Any]
) -> None:
    """Whoever is between could hand out a page of theirs."""
    environment.setenv("SESSIOND_ENV", "production")
    environment.setenv("SESSIOND_SIGN_IN_URL", "http://id.example/")
    with pytest.raises(SystemExit):
        load(GatewaySettings)
    assert "SESSIOND_SIGN_IN_URL: must use https in production" in capsys.readouterr().err
