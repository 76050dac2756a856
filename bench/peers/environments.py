"""The virtual environment of each library, made once."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import venv
from collections.abc import Callable, Iterable
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The installer's last words are enough to know why.
_WORDS = 300


def environments(
    libraries: Iterable[str], folder: Path, *, told: Callable[[str], None]
) -> dict[str, Path]:
    """Return the Python of each library that can be installed; say which cannot, and why."""
    pythons = {}
    for library in libraries:
        try:
            pythons[library] = environment(library, folder, told=told)
        except NotInstalled as failure:
            told(f"skipped: {failure}")
    return pythons


class NotInstalled(Exception):
    """A library could not be installed; the message says why."""


def environment(library: str, folder: Path, *, told: Callable[[str], None]) -> Path:
    """Return the Python of the environment with what `<library>.txt` says, made if need be.

    Raises:
        NotInstalled: no package index was reached, or it lacks something.
    """
    wanted = HERE / f"{library}.txt"
    mark = hashlib.sha256(wanted.read_bytes()).hexdigest()
    home = folder / library
    python, stamp = home / "bin" / "python", home / "installed"
    if stamp.exists() and stamp.read_text() == mark:
        return python
    told(f"installing {library} in an environment of its own (once)")
    shutil.rmtree(home, ignore_errors=True)
    venv.create(home, with_pip=True)
    pip = ("-m", "pip", "--disable-pip-version-check")
    done = subprocess.run(
        [python, *pip, "install", "--quiet", "--require-hashes", "-r", wanted],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NotInstalled(f"{library} could not be installed: {done.stderr.strip()[-_WORDS:]}")
    stamp.write_text(mark)
    return python
