"""Outputs and decisions move a session through its workflow."""

from __future__ import annotations

import httpx
import pytest

from tests.e2e.answers import good, problem
from tests.e2e.talking import created, said

STEPS = [
    ("foundation_gtm", "gtm-consultant", "foundation", 30),
    ("persona_development", "persona-strategist", "foundation", 25),
    ("product_brand_development", "product-manager", "foundation", 30),
    ("growth_funnel_design", "growth-manager", "strategy", 35),
    ("acquisition_strategy", "head-of-acquisition", "strategy", 40),
    ("retention_strategy", "head-of-retention", "strategy", 35),
    ("viral_growth_strategy", "viral-growth-architect", "strategy", 40),
    ("experiment_design", "growth-hacker", "validation", 45),
]


STAGES = {"foundation": 3, "strategy": 4, "validation": 1}


async def test_eight_approvals_complete_the_workflow(alice: httpx.AsyncClient) -> None:
    """Every approval moves step, agent and progress at once; the last one completes."""
    session = await created(alice)
    chat = f"/api/chat/{session['id']}"
    for step, (step_id, agent, stage, minutes) in enumerate(STEPS):
        assert (session["currentStep"], session["currentAgent"]) == (step, agent)
        assert session["progress"]["currentStepId"] == step_id
        before = session["progress"]
        submitted = good(await alice.post(f"{chat}/outputs", json={"content": f"By {agent}"}), 201)
        assert submitted["output"]["status"] == "pending"
        assert (submitted["output"]["agentId"], submitted["output"]["stepId"]) == (agent, step_id)
        answer = await alice.put(f"{chat}/approve", json={"feedback": f"Good, {step}."})
        session = good(answer)
        assert answer.headers["etag"] == f'"{session["revision"]}"' == f'"{2 * step + 3}"'
        output = session["agentOutputs"][submitted["outputId"]]
        assert (output["status"], output["userFeedback"]) == ("approved", f"Good, {step}.")
        assert output["approvedBy"] == session["userId"]
        after = session["progress"]
        assert after["completedSteps"] == step + 1
        left = before["estimatedTimeRemaining"] - after["estimatedTimeRemaining"]
        assert left == minutes
        gained = after["stageProgress"][stage] - before["stageProgress"][stage]
        assert gained == pytest.approx(1 / STAGES[stage])
    assert (session["status"], session["currentAgent"]) == ("completed", "")
    assert session["currentStep"] == session["progress"]["totalSteps"] == 8
    assert session["progress"]["estimatedTimeRemaining"] == 0
    assert session["progress"]["currentStepId"] == ""
    assert session["progress"]["stageProgress"] == dict.fromkeys(STAGES, 1)
    assert good(await alice.get(f"/api/sessions/{session['id']}")) == session
    refused = await alice.post(f"{chat}/outputs", json={"content": "More"})
    problem(refused, 409, "SESSION_COMPLETED")
    problem(await alice.put(f"{chat}/approve"), 409, "SESSION_COMPLETED")
    problem(await alice.put(f"/api/sessions/{session['id']}/pause"), 409, "SESSION_COMPLETED")
    assert (await said(alice, session["id"], "Thanks!"))["seq"] == 18
    patched = await alice.patch(f"/api/sessions/{session['id']}", json={"title": "Done"})
    assert good(patched)["title"] == "Done"


async def test_rejecting_keeps_the_step(alice: httpx.AsyncClient) -> None:
    """The agent tries again under a new id; what was decided stays decided."""
    session = await created(alice)
    chat = f"/api/chat/{session['id']}"
    problem(await alice.put(f"{chat}/approve"), 409, "NOTHING_PENDING")
    first = {"content": "First try", "outputId": "try-1", "qualityScore": 0.5}
    good(await alice.post(f"{chat}/outputs", json=first), 201)
    pending = await alice.post(f"{chat}/outputs", json={"content": "Too early"})
    problem(pending, 409, "OUTPUT_PENDING")
    reject = {"decision": "rejected", "feedback": "Too vague.", "outputId": "try-1"}
    rejected = good(await alice.put(f"{chat}/approve", json=reject))
    assert rejected["currentStep"] == 0
    output = rejected["agentOutputs"]["try-1"]
    assert (output["status"], output["userFeedback"]) == ("rejected", "Too vague.")
    assert "approvedAt" not in output
    assert good(await alice.put(f"{chat}/approve", json=reject)) == rejected
    otherwise = await alice.put(f"{chat}/approve", json={"outputId": "try-1"})
    problem(otherwise, 409, "ALREADY_DECIDED")
    problem(await alice.put(f"{chat}/approve", json={"outputId": "x"}), 404, "OUTPUT_NOT_FOUND")
    problem(await alice.post(f"{chat}/outputs", json=first), 409, "ID_TAKEN")
    good(await alice.post(f"{chat}/outputs", json={"content": "Better", "outputId": "try-2"}), 201)
    moved = good(await alice.put(f"{chat}/approve"))
    assert (moved["currentStep"], moved["currentAgent"]) == (1, "persona-strategist")
    assert moved["conversationHistory"] == []


async def test_a_pending_output_can_be_edited(alice: httpx.AsyncClient) -> None:
    """What is absent stays; once decided, nothing changes any more."""
    session = await created(alice)
    chat = f"/api/chat/{session['id']}"
    draft = {"content": "Draft", "outputId": "draft", "metadata": {"version": 1}}
    good(await alice.post(f"{chat}/outputs", json=draft), 201)
    edited = good(await alice.put(f"{chat}/outputs/draft", json={"content": "Final"}))
    assert edited["outputId"] == "draft"
    assert (edited["output"]["content"], edited["output"]["metadata"]) == ("Final", {"version": 1})
    edited = good(await alice.put(f"{chat}/outputs/draft", json={"metadata": {"version": 2}}))
    assert (edited["output"]["content"], edited["output"]["metadata"]) == ("Final", {"version": 2})
    problem(await alice.put(f"{chat}/outputs/other", json={}), 404, "OUTPUT_NOT_FOUND")
    decided = good(await alice.put(f"{chat}/approve"))
    assert decided["agentOutputs"]["draft"]["content"] == "Final"
    late = await alice.put(f"{chat}/outputs/draft", json={"content": "Later"})
    problem(late, 409, "ALREADY_DECIDED")


async def test_a_paused_session_takes_messages_only(alice: httpx.AsyncClient) -> None:
    """Outputs and decisions wait for the resume; messages and patches do not."""
    session = await created(alice)
    path, chat = f"/api/sessions/{session['id']}", f"/api/chat/{session['id']}"
    good(await alice.post(f"{chat}/outputs", json={"content": "x"}), 201)
    assert good(await alice.put(f"{path}/pause"))["status"] == "paused"
    again = await alice.put(f"{path}/pause")
    assert (good(again)["revision"], again.headers["etag"]) == (3, '"3"')
    problem(await alice.post(f"{chat}/outputs", json={"content": "x"}), 409, "SESSION_PAUSED")
    problem(await alice.put(f"{chat}/approve"), 409, "SESSION_PAUSED")
    await said(alice, session["id"], "Still here.")
    good(await alice.patch(path, json={"title": "Paused"}))
    assert good(await alice.put(f"{path}/resume"))["status"] == "active"
    assert good(await alice.put(f"{chat}/approve"))["currentStep"] == 1
