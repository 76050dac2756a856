"""The lock files hold what pyproject.toml asks for, with hashes and without hosts."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
RUN = [*PROJECT["dependencies"], *EXTRAS["server"], *EXTRAS["cli"], *EXTRAS["pdf"]]
DEV = [*RUN, *(line for extra in EXTRAS.values() for line in extra)]


def pins(lock: str) -> dict[str, Version]:
    found = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE)
    return {canonicalize_name(name): Version(version) for name, version in found}


@pytest.mark.parametrize(
    ("lock", "wanted"), [("requirements.lock", RUN), ("requirements-dev.lock", DEV)]
)
def test_a_lock_holds_what_is_asked_for(lock: str, wanted: list[str]) -> None:
    """Every dependency is pinned to a version that pyproject.toml accepts; else run `make lock`."""
    pinned = pins(lock)
    for requirement in map(Requirement, wanted):
        assert pinned[canonicalize_name(requirement.name)] in requirement.specifier, requirement


def test_the_two_locks_agree() -> None:
    """What the tests run on is what `make run` runs on."""
    dev = pins("requirements-dev.lock")
    assert {name: dev.get(name) for name in pins("requirements.lock")} == pins("requirements.lock")


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_names_hashes_and_no_host(lock: str) -> None:
    """Whichever index a machine uses, it gets the same files."""
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert not re.search(
        r"^\s*-", re.sub(r"^\s+--hash=.*", "", text, flags=re.MULTILINE), re.MULTILINE
    )
    blocks = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in block for block in blocks)
