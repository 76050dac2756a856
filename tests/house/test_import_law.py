"""The import law: what it says beyond import-linter, and that import-linter's part of it bites."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("sessiond", "services", "gateway", "cluster")
# A composition root names the concrete class that it composes.
MAY_KNOW_ETCD = ("services/store/etcd/", "services/store/app.py")


def imports_of(source: Path) -> Iterator[str]:
    """Give the name of every module that the file imports, however deep inside it."""
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def sources_under(*places: str) -> list[Path]:
    found = [ROOT / place for place in places]
    return [
        source for place in found for source in (place.rglob("*.py") if place.is_dir() else [place])
    ]


def test_the_rules_and_the_errors_use_the_standard_library_only() -> None:
    """`sessiond.session` and `sessiond.errors` import themselves and nothing that is installed."""
    ours = ("sessiond.session", "sessiond.errors")
    strangers = {
        f"{source.relative_to(ROOT)}: {module}"
        for source in sources_under("sessiond/session", "sessiond/errors.py")
        for module in imports_of(source)
        if not module.startswith(ours) and module.split(".")[0] not in sys.stdlib_module_names
    }
    assert not strangers


def test_etcd_is_known_to_its_own_package_only() -> None:
    """Nobody but `services.store.etcd` and Store's composition root imports etcd's modules."""
    strangers = {
        f"{path}: {module}"
        for source in sources_under("sessiond", "services", "gateway")
        for module in imports_of(source)
        if module.startswith("services.store.etcd")
        and not (path := str(source.relative_to(ROOT))).startswith(MAY_KNOW_ETCD)
    }
    assert not strangers


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
        ("gateway/broken.py", "from services import live", "A layer knows only"),
        ("services/serving/broken.py", "import gateway", "A layer knows only"),
        ("sessiond/broken.py", "import services.serving", "A layer knows only"),
        ("services/store/broken.py", "import cluster.ports", "No part knows who starts it"),
        ("cluster/broken.py", "import services.serving", "The supervisor knows the parts"),
        ("services/store/broken.py", "import aetcd", "Nobody else's etcd client"),
        (
            "sessiond/session/broken.py",
            "import sessiond.v1.session_pb2",
            "The rules and the errors",
        ),
        ("sessiond/session/broken.py", "import grpc", "The rules and the errors"),
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
