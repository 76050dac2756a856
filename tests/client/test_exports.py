"""What `import sessiond` offers, and what it does not load."""

from __future__ import annotations

import subprocess
import sys

import pytest

import sessiond


def test_every_public_name_is_there() -> None:
    for name in sessiond.__all__:
        assert getattr(sessiond, name) is not None
    assert dir(sessiond) == sessiond.__all__
    with pytest.raises(AttributeError, match="nothing"):
        _ = sessiond.nothing


def test_importing_the_package_loads_no_transport() -> None:
    program = "import sys, sessiond; sessiond.errors; print('grpc' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["False"]
