from __future__ import annotations

from pathlib import Path

import pytest

from services.serving.sockets import StartFailed
from services.store.workflows import load_workflows
from sessiond.session.limits import DEFAULT_LIMITS
from tests.store.conftest import WORKFLOWS


def test_the_shipped_workflows_are_read() -> None:
    """A conversation without steps, and the default of eight steps."""
    workflows = load_workflows(WORKFLOWS, "master-workflow-v2", DEFAULT_LIMITS)
    chat, master = workflows.find("chat"), workflows.find(None)
    assert chat is not None and (chat.agent, chat.steps) == ("assistant", ())
    assert master is not None and master.id == "master-workflow-v2"
    assert [step.minutes for step in master.steps] == [30, 25, 30, 35, 40, 35, 40, 45]
    assert workflows.find("other") is None
    assert workflows.all() == [master, chat]


def test_the_default_comes_first_and_the_others_by_id(tmp_path: Path) -> None:
    """Whatever their files are called."""
    for file, workflow_id in (("1", "c"), ("2", "a"), ("3", "d"), ("4", "b")):
        text = f"id: {workflow_id}\nname: {workflow_id}\nagent: a\n"
        (tmp_path / f"{file}.yaml").write_text(text)
    workflows = load_workflows(tmp_path, "c", DEFAULT_LIMITS)
    assert [workflow.id for workflow in workflows.all()] == ["c", "a", "b", "d"]


def test_one_error_names_every_bad_file(tmp_path: Path) -> None:
    """Whoever starts Store hears of all of them at once."""
    files = {
        "good.yaml": "id: good\nname: Good\nagent: a\n",
        "list.yaml": "- 1\n",
        "broken.yaml": "id: [\n",
        "nameless.yaml": "id: nameless\nagent: a\n",
        "twice.yaml": "id: good\nname: Again\nagent: a\n",
        "code.yaml": "!!python/object/apply:os.system [exit]\n",
        "notes.txt": "not a workflow",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(StartFailed) as failed:
        load_workflows(tmp_path, "good", DEFAULT_LIMITS)
    told = str(failed.value)
    for name in ("list.yaml", "broken.yaml", "nameless.yaml", "twice.yaml", "code.yaml"):
        assert str(tmp_path / name) in told
    assert "notes.txt" not in told


def test_the_default_workflow_must_be_there(tmp_path: Path) -> None:
    """A Store that could create no session does not start."""
    with pytest.raises(StartFailed, match="default workflow"):
        load_workflows(tmp_path, "master-workflow-v2", DEFAULT_LIMITS)
