"""What the Makefile says on machines that lack something, and what it passes on."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def make(at: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments],
        cwd=at,
        env={**inherited, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A folder with the Makefile, empty locks, and nothing installed."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements.lock").touch()
    (tmp_path / "requirements-dev.lock").touch()
    return tmp_path


@pytest.fixture
def furnished(house: Path) -> Path:
    """The same folder with an environment whose Python prints its arguments, one a line."""
    program(house / ".venv" / "bin" / "python", "printf '%s\\n' \"$@\"")
    (house / ".venv" / ".run-installed").touch()
    (house / ".venv" / ".dev-installed").touch()
    return house


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_make_alone_lists_every_target(house: Path) -> None:
    """The default target documents all that a person may call."""
    said = make(house).stdout
    for target in [
        "help",
        "setup",
        "run",
        "test",
        "test-browser",
        "check",
        "protos",
        "token",
        "bench",
        "clean",
        "fuzz",
    ]:
        assert f"  make {target} " in said


def test_a_machine_without_python_is_told_so(house: Path) -> None:
    """The message names the version that is needed."""
    done = make(house, "setup", "PYTHON=no-such-python")
    assert done.returncode != 0
    assert "There is no no-such-python here. sessiond needs Python 3.11 or newer" in done.stderr


def test_an_old_python_is_refused(house: Path) -> None:
    """The message names the version that was found."""
    old = program(house / "old", '[ "$1" = -V ] && echo "Python 3.10.9"; exit 1')
    done = make(house, "setup", f"PYTHON={old}")
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert "Python 3.10.9" in done.stderr


def test_a_python_without_venv_names_the_package(house: Path) -> None:
    """Debian and Ubuntu ship venv apart; the message says what to install."""
    bare = program(house / "bare", 'case "$2" in *ensurepip*) exit 1;; esac')
    done = make(house, "setup", f"PYTHON={bare}")
    assert done.returncode != 0
    assert "apt-get install python3-venv" in done.stderr


def test_the_login_name_is_not_the_token_user(furnished: Path) -> None:
    """USER is in every shell's environment; only one given to make counts, and alice is default."""
    done = make(furnished, "-s", "token", USER="root")
    assert done.stdout.splitlines() == ["-m", "cluster", "token", "--user", "alice"]


@pytest.mark.parametrize("user", ["bob", "a b", "it's", "a:/%2F", '"; exit 3; "', "$HOME"])
def test_any_user_name_reaches_the_token_as_it_was_given(furnished: Path, user: str) -> None:
    """Neither make nor the shell reads anything into it, and nothing else is printed."""
    done = make(furnished, "-s", "token", f"USER={user}")
    assert done.stdout.splitlines() == ["-m", "cluster", "token", "--user", user]
    assert done.stderr == ""


def test_what_is_installed_is_not_installed_again(furnished: Path) -> None:
    """A second `make setup` does nothing; a newer lock installs again."""
    assert "installing" not in make(furnished, "setup").stderr
    stamp = (furnished / ".venv" / ".run-installed").stat().st_mtime
    os.utime(furnished / "requirements.lock", (stamp + 10, stamp + 10))
    assert "installing what sessiond runs on" in make(furnished, "setup").stderr


def test_a_machine_without_chromium_is_told_so(furnished: Path) -> None:
    """The message names the packages; no test is begun."""
    tools = furnished / "tools"
    tools.mkdir()
    make_here = shutil.which("make")
    assert make_here
    (tools / "make").symlink_to(make_here)
    done = make(furnished, "test-browser", PATH=str(tools))
    assert done.returncode != 0
    assert "apt-get install chromium" in done.stderr
    assert "pytest" not in done.stdout

    program(tools / "chromium", "")
    assert "tests/browser" in make(furnished, "test-browser", PATH=str(tools)).stdout.splitlines()


def test_each_test_runs_either_with_another_or_alone(furnished: Path) -> None:
    """No test is left out; where the first run fails, the second does not begin."""
    together, alone = ["-m", "pytest", "-m", "not alone"], ["-m", "pytest", "-m", "alone"]
    said = make(furnished, "--old-file=check", "test").stdout.splitlines()
    assert said[:4] == together
    assert said[-4:] == alone

    program(furnished / ".venv" / "bin" / "python", "printf '%s\\n' \"$@\"; exit 1")
    done = make(furnished, "--old-file=check", "test")
    assert done.returncode != 0
    assert done.stdout.splitlines() == said[:-4]


def test_clean_leaves_the_sessions(furnished: Path) -> None:
    """What cannot be made again stays."""
    kept = furnished / ".sessiond" / "etcd"
    kept.mkdir(parents=True)
    assert make(furnished, "clean").returncode == 0
    assert kept.exists()
    assert not (furnished / ".venv").exists()
