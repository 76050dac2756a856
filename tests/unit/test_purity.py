"""The rules need nothing but Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import importlib, pkgutil, sys
before = set(sys.modules)
import sessiond.errors, sessiond.session
for module in pkgutil.iter_modules(sessiond.session.__path__):
    importlib.import_module(f"sessiond.session.{module.name}")
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(new - set(sys.stdlib_module_names)))
"""


def test_the_rules_import_only_the_standard_library() -> None:
    """A fresh interpreter that imports all of sessiond.session has loaded nothing else of ours."""
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["sessiond"]
    assert run.stderr == ""


def test_the_rules_load_no_transport() -> None:
    """Neither the generated messages nor the network modules are there after importing decide."""
    program = (
        "import sys, sessiond.session.decide, sessiond.session.apply;"
        "print(*(name for name in sys.modules"
        " if name.startswith(('sessiond.v1', 'sessiond.store', 'asyncio', 'socket'))))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == []
