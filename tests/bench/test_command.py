"""The command line."""

from __future__ import annotations

import pytest

from bench.command import main
from bench.groups import GROUPS


def test_the_groups_are_named_with_what_they_do(capsys: pytest.CaptureFixture[str]) -> None:
    """A line each, in the order in which they run."""
    assert main(["--list"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(GROUPS)
    assert all("Measure" in line for line in lines)


def test_an_unknown_group_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The message names those that there are."""
    with pytest.raises(SystemExit) as ended:
        main(["--only", "apends"])

    assert ended.value.code == 2
    assert "'open_loop'" in capsys.readouterr().err
