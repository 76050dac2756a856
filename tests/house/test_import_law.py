"""Every import law that import-linter is told bites."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("sessiond", "services", "gateway", "cluster", "show")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages in which a law may be broken."""
    target = tmp_path_factory.mktemp("copy")
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, target / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", target)
    return target


def broken_laws(copy: Path) -> str:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout if done.returncode else ""


@pytest.mark.parametrize(
    ("module", "line", "law"),
    [
        ("services/live/broken.py", "import services.store.keys", "A layer knows only"),
        ("services/retention/broken.py", "import services.store.keys", "A layer knows only"),
        ("gateway/broken.py", "from services import live", "A layer knows only"),
        ("services/serving/broken.py", "import gateway", "A layer knows only"),
        ("sessiond/broken.py", "import services.serving", "A layer knows only"),
        ("services/store/broken.py", "import cluster.ports", "No part knows who starts it"),
        ("cluster/broken.py", "import services.serving", "The supervisor knows the parts"),
        ("show/broken.py", "import services.serving", "The shows see the parts from outside"),
        ("cluster/broken.py", "import show", "Nobody knows who shows it"),
        (
            "services/store/broken.py",
            "import services.store.etcd.client",
            "Only Store's composition root",
        ),
        ("services/store/broken.py", "import aetcd", "Nobody else's etcd client"),
        (
            "sessiond/session/broken.py",
            "import sessiond.v1.session_pb2",
            "The rules and the errors",
        ),
        ("sessiond/session/broken.py", "import grpc", "The rules and the errors"),
        ("sessiond/client/broken.py", "import typer", "Only the command needs"),
        ("sessiond/client/broken.py", "import sessiond.policies", "Only the command needs"),
        ("sessiond/client/broken.py", "import sessiond.cli.paint", "Only the command needs"),
        ("sessiond/export/broken.py", "import sessiond.client.calls", "An export is made of"),
    ],
)
def test_breaking_an_import_law_is_noticed(copy: Path, module: str, line: str, law: str) -> None:
    """One forbidden import is enough for `make check` to fail and to name the law."""
    source = copy / module
    source.write_text(f"{line}\n")
    try:
        broken = broken_laws(copy)
    finally:
        source.unlink()
    assert f"{law}" in broken
    assert "BROKEN" in broken
