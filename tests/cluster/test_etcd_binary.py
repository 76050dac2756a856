"""Which etcd is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.etcd_binary import EtcdNotFound, Version, find_etcd, in_package, is_fit


def fake_etcd(folder: Path, says: str) -> Path:
    folder.mkdir(parents=True)
    program = folder / "etcd"
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' '{says}'\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("version", "fit"),
    [
        ((3, 3, 27), False),
        ((3, 4, 21), False),
        ((3, 4, 22), True),
        ((3, 4, 99), True),
        ((3, 5, 0), False),
        ((3, 5, 5), False),
        ((3, 5, 6), True),
        ((3, 5, 33), True),
        ((3, 6, 0), True),
        ((4, 0, 0), True),
    ],
)
def test_versions_that_lose_acknowledged_writes_are_unfit(version: Version, fit: bool) -> None:
    """3.4 from .22, 3.5 from .6, and everything from 3.6 on are fit."""
    assert is_fit(version) is fit


def test_the_named_etcd_comes_first(tmp_path: Path) -> None:
    """SESSIOND_ETCD_BIN wins over PATH."""
    named = fake_etcd(tmp_path / "named", "etcd Version: 3.5.33")
    on_path = fake_etcd(tmp_path / "bin", "etcd Version: 3.6.14")
    environ = {"SESSIOND_ETCD_BIN": str(named), "PATH": str(on_path.parent)}
    assert find_etcd(environ, None).path == named


def test_an_unfit_etcd_that_was_named_is_taken_with_a_warning(tmp_path: Path) -> None:
    """Who names an old etcd gets it, and is told what it can do."""
    named = fake_etcd(tmp_path / "named", "etcd Version: 3.5.1")
    found = find_etcd({"SESSIOND_ETCD_BIN": str(named)}, None)
    assert found.path == named
    assert "can lose acknowledged writes" in found.warning


@pytest.mark.parametrize("says", ["something else", "", "etcd Version: three"])
def test_a_named_program_that_is_no_etcd_is_refused(tmp_path: Path, says: str) -> None:
    """SESSIOND_ETCD_BIN is never passed over in silence."""
    named = fake_etcd(tmp_path / "named", says)
    with pytest.raises(EtcdNotFound, match="is not an etcd"):
        find_etcd({"SESSIOND_ETCD_BIN": str(named)}, None)


def test_an_unfit_etcd_on_path_does_not_hide_a_fit_one(tmp_path: Path) -> None:
    """Every folder of PATH is looked into, in order."""
    old = fake_etcd(tmp_path / "old", "etcd Version: 3.5.1")
    fit = fake_etcd(tmp_path / "fit", "etcd Version: 3.4.23")
    later = fake_etcd(tmp_path / "later", "etcd Version: 3.6.14")
    path = ":".join(str(program.parent) for program in (old, fit, later))
    found = find_etcd({"PATH": path}, None)
    assert (found.path, found.version, found.warning) == (fit, (3, 4, 23), "")


def test_the_packaged_etcd_is_the_last_resort_and_gives_a_warning(tmp_path: Path) -> None:
    """It is for trying out, and says so."""
    packaged = fake_etcd(tmp_path / "package", "etcd Version: 3.5.1")
    found = find_etcd({"PATH": str(tmp_path / "empty")}, packaged)
    assert found.path == packaged
    assert "for trying out only" in found.warning


def test_the_package_that_make_setup_installs_has_an_etcd(tmp_path: Path) -> None:
    """On a machine with only Python and make there is still an etcd."""
    found = find_etcd({"PATH": str(tmp_path)}, in_package())
    assert found.version >= (3, 5, 1)


def test_no_etcd_at_all_is_an_error_that_says_what_to_install(tmp_path: Path) -> None:
    """The message names the package and the setting."""
    with pytest.raises(EtcdNotFound, match=r"apt-get install etcd-server.*SESSIOND_ETCD_BIN"):
        find_etcd({"PATH": str(tmp_path)}, None)
