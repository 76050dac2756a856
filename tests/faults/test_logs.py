"""What parts log of themselves is part of what a round is judged by."""

from __future__ import annotations

import json
from pathlib import Path

from tests.faults.logs import faults_in


def test_a_traceback_of_ours_is_a_fault_and_nothing_else_is(tmp_path: Path) -> None:
    """Also beside a line that was cut off where its part was killed."""
    fault = {"event": "a write broke", "level": "error", "exception": "Traceback\n  f\nKeyError: 1"}
    lines = [
        json.dumps({"event": "call", "level": "warning", "code": "UNAVAILABLE"}),
        json.dumps({"event": "etcd cannot be reached", "level": "warning", "exception": "T\nE"}),
        json.dumps(fault),
        json.dumps(fault)[:-5],
    ]
    (tmp_path / "live-1.log").write_text("\n".join(lines))
    (tmp_path / "etcd-1.log").write_text("panic: no JSON\n")
    assert faults_in(tmp_path) == ["live-1 broke: a write broke: KeyError: 1"]
