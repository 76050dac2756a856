"""Settings are checked once, at start, and every bad one is named."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from services.serving.addresses import HostPort
from services.serving.settings import Address, Addresses, PartSettings, Settings, load
from tests.serving.authority import Authority
from tests.serving.tokens import SECRET, Clock, Provider


class LiveLike(PartSettings):
    """Settings of a part, as a part declares them."""

    listen: Address = HostPort("127.0.0.1", 7301)
    stores: Annotated[Addresses, Field(min_length=1)]


GOOD = {
    "JWT_ISSUER": "https://id.example.com",
    "JWT_AUDIENCE": "sessiond",
    "JWT_ALGORITHMS": "ES256, RS256",
    "STORES": "store-1:7201,[::1]:7202",
}


@pytest.fixture
def variables(jwks: Path, tmp_path: Path) -> dict[str, str]:
    """Good variables for `LiveLike`, without their prefix."""
    token = tmp_path / "live.jwt"
    token.write_text("e30.e30.AAAA\n")
    return GOOD | {"JWT_JWKS": str(jwks), "IDENTITY_TOKEN_FILE": str(token)}


def loaded(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> LiveLike:
    with monkeypatch.context() as environment:
        for name, value in variables.items():
            environment.setenv(f"SESSIOND_{name}", value)
        return load(LiveLike)


def complaints(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variables: dict[str, str],
) -> dict[str, str]:
    """Return what the one message says, by variable; empty when the settings are good."""
    try:
        loaded(monkeypatch, variables)
    except SystemExit as left:
        assert left.code == 2
        out, message = capsys.readouterr()
        first, *lines = message.splitlines()
        assert out == ""
        assert first == "The settings are not valid:"
        named = dict(line.strip().split(": ", 1) for line in lines)
        assert len(named) == len(lines)
        return {name.removeprefix("SESSIOND_"): what for name, what in named.items()}
    return {}


def test_good_settings_are_read_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], jwks: Path
) -> None:
    """Lists split at commas, IPv6 in brackets, nothing counts as not set, others are ignored."""
    settings = loaded(
        monkeypatch,
        variables
        | {"LISTEN": "[::1]:0", "LOG_LEVEL": "DEBUG", "TLS_CERT": "", "NO_SUCH_THING": "1"},
    )
    assert settings.listen == HostPort("::1", 0)
    assert str(settings.listen) == "[::1]:0"
    assert settings.stores == (HostPort("store-1", 7201), HostPort("::1", 7202))
    assert settings.jwt_algorithms == ("ES256", "RS256")
    assert settings.jwt_jwks == str(jwks)
    assert settings.log_level == "debug"
    assert (settings.tls_cert, settings.metrics_listen) == (None, None)
    assert (settings.env, settings.production, settings.drain_seconds) == ("development", False, 10)


def test_a_parts_own_default_stands_where_nothing_is_set(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    """Each part listens somewhere of its own."""
    assert loaded(monkeypatch, variables).listen == HostPort("127.0.0.1", 7301)


def test_one_message_names_every_bad_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever sets a part up repairs everything in one round."""
    found = complaints(
        monkeypatch,
        capsys,
        {
            "ENV": "staging",
            "LISTEN": "nowhere",
            "METRICS_LISTEN": "127.0.0.1:65536",
            "LOG_LEVEL": "loud",
            "JWT_ISSUER": " ",
            "JWT_ALGORITHMS": "ES256,none",
            "TLS_CERT": "/no/such/file",
            "TLS_KEY": "/no/such/file",
            "PEER_CA": "/no/such/file",
            "DRAIN_SECONDS": "-1",
            "STORES": "store-1:7201,store-2",
            "IDENTITY_TOKEN_FILE": "/no/such/file",
        },
    )
    assert set(found) == {
        "ENV",
        "LISTEN",
        "METRICS_LISTEN",
        "LOG_LEVEL",
        "JWT_ISSUER",
        "JWT_AUDIENCE",
        "JWT_ALGORITHMS",
        "JWT_SECRET_FILE",
        "TLS_CERT",
        "TLS_KEY",
        "PEER_CA",
        "DRAIN_SECONDS",
        "STORES",
        "IDENTITY_TOKEN_FILE",
    }
    assert found["JWT_AUDIENCE"] == "is required"
    assert found["ENV"] == "must be 'development' or 'production'"
    assert found["LISTEN"].startswith("must be host:port")


def test_no_complaint_repeats_a_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Someone may have put a secret where a file's name belongs."""
    names = ("ENV", "LISTEN", "JWT_JWKS", "JWT_SECRET_FILE", "JWT_ALGORITHMS", "TLS_CERT")
    found = complaints(monkeypatch, capsys, dict.fromkeys(names, "hunter2-hunter2"))
    assert set(names) <= set(found)
    assert "hunter2" not in str(found)


@pytest.mark.parametrize(
    ("changes", "bad"),
    [
        ({"JWT_JWKS": ""}, "JWT_SECRET_FILE"),
        ({"JWT_JWKS": "ftp://id.example.com/keys"}, "JWT_JWKS"),
        ({"JWT_JWKS": "https://"}, "JWT_JWKS"),
        ({"JWT_ALGORITHMS": "HS256"}, "JWT_ALGORITHMS"),
        ({"JWT_ALGORITHMS": "ES256,HS256"}, "JWT_ALGORITHMS"),
        ({"JWT_ALGORITHMS": "none"}, "JWT_ALGORITHMS"),
        ({"JWT_ALGORITHMS": ","}, "JWT_ALGORITHMS"),
        ({"STORES": ","}, "STORES"),
        ({"STORES": "a:1,,b:x"}, "STORES"),
        ({"LISTEN": ":7201"}, "LISTEN"),
        ({"LISTEN": "::1:7201"}, "LISTEN"),
        ({"LISTEN": "host:"}, "LISTEN"),
        ({"LISTEN": "host:7201/x"}, "LISTEN"),
        ({"DRAIN_SECONDS": "nan"}, "DRAIN_SECONDS"),
        ({"DRAIN_SECONDS": "601"}, "DRAIN_SECONDS"),
        ({"ENV": "production", "JWT_JWKS": "http://id.example.com/keys"}, "JWT_JWKS"),
    ],
    ids=str,
)
def test_a_single_mistake_is_the_only_complaint(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variables: dict[str, str],
    changes: dict[str, str],
    bad: str,
) -> None:
    """A rule that joins variables complains about one of them."""
    assert set(complaints(monkeypatch, capsys, variables | changes)) == {bad}


def test_a_key_set_file_must_hold_a_key_set(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variables: dict[str, str],
    tmp_path: Path,
) -> None:
    """A file that is no key set is found at start, not at the first call."""
    for content in ("", "[]", "{}", '{"keys": []}', '{"keys": 1}', "[" * 5000):
        wrong = tmp_path / "wrong.json"
        wrong.write_text(content)
        found = complaints(monkeypatch, capsys, variables | {"JWT_JWKS": str(wrong)})
        assert found == {"JWT_JWKS": "must hold a JSON Web Key Set"}


def test_a_shared_secret_has_at_least_32_bytes(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variables: dict[str, str],
    tmp_path: Path,
) -> None:
    """The final line break that editors leave does not count."""
    path = tmp_path / "secret"
    variables |= {"JWT_JWKS": "", "JWT_SECRET_FILE": str(path), "JWT_ALGORITHMS": "HS256"}
    path.write_bytes(b"x" * 31 + b"\r\n")
    assert set(complaints(monkeypatch, capsys, variables)) == {"JWT_SECRET_FILE"}
    path.write_bytes(b"x" * 32 + b"\n")
    assert complaints(monkeypatch, capsys, variables) == {}


def test_keys_and_secret_together_are_refused(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variables: dict[str, str],
    tmp_path: Path,
) -> None:
    """Two kinds of keys at once are how a public key comes to be taken for a secret."""
    path = tmp_path / "secret"
    path.write_bytes(SECRET)
    found = complaints(monkeypatch, capsys, variables | {"JWT_SECRET_FILE": str(path)})
    assert "exactly one" in found["JWT_SECRET_FILE"]


def test_production_refuses_what_was_made_for_development(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variables: dict[str, str],
    tmp_path: Path,
) -> None:
    """A development key set, secret or identity is good in development, and there alone."""
    development = Provider(Clock(), prefix="dev-")
    keys = development.write_keys(tmp_path / "dev.json")
    token = tmp_path / "dev.jwt"
    token.write_text(development.token(role="live"))
    secret = tmp_path / "dev.secret"
    secret.write_bytes(b"dev-secret-" + b"x" * 32)
    by_keys = variables | {"JWT_JWKS": str(keys), "IDENTITY_TOKEN_FILE": str(token)}
    by_secret = variables | {
        "JWT_JWKS": "",
        "JWT_SECRET_FILE": str(secret),
        "JWT_ALGORITHMS": "HS256",
    }
    for good in (by_keys, by_secret):
        assert complaints(monkeypatch, capsys, good) == {}
    production = {"ENV": "production"}
    assert set(complaints(monkeypatch, capsys, by_keys | production)) == {
        "JWT_JWKS",
        "IDENTITY_TOKEN_FILE",
    }
    assert set(complaints(monkeypatch, capsys, by_secret | production)) == {"JWT_SECRET_FILE"}
    assert complaints(monkeypatch, capsys, variables | production) == {}


def test_certificates_and_keys_must_fit(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variables: dict[str, str],
    authority: Authority,
) -> None:
    """A certificate with another's key, half a pair, or a lonely authority is found at start."""
    one, two = authority.issue("one"), authority.issue("two")
    ours = str(authority.path)
    good = {
        "TLS_CERT": str(one.certificate),
        "TLS_KEY": str(one.key),
        "TLS_CLIENT_CA": ours,
        "PEER_CA": ours,
        "PEER_CERT": str(two.certificate),
        "PEER_KEY": str(two.key),
    }
    assert complaints(monkeypatch, capsys, variables | good) == {}
    for changes, bad in (
        ({"TLS_KEY": str(two.key)}, {"TLS_KEY"}),
        ({"TLS_KEY": ""}, {"TLS_KEY"}),
        ({"TLS_CERT": "", "TLS_KEY": ""}, {"TLS_CLIENT_CA"}),
        ({"TLS_CLIENT_CA": str(one.key)}, {"TLS_CLIENT_CA"}),
        ({"PEER_CA": ""}, {"PEER_CERT"}),
        ({"PEER_KEY": ""}, {"PEER_KEY"}),
        ({"PEER_CERT": str(one.certificate)}, {"PEER_KEY"}),
    ):
        assert set(complaints(monkeypatch, capsys, variables | good | changes)) == bad


def test_settings_do_not_change(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    """What was checked at start stays what it was."""
    settings: Settings = loaded(monkeypatch, variables)
    with pytest.raises(ValueError, match="frozen"):
        settings.listen = HostPort("0.0.0.0", 1)
