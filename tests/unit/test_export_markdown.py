"""A session in Markdown: what people read, and what nobody can pass off as something else."""

from __future__ import annotations

import json
import re

import yaml

from sessiond.export.rendering import Format
from sessiond.mapping.showing import to_json
from sessiond.session.changes import (
    AppendMessage,
    ApproveOutput,
    EndTurn,
    SubmitOutput,
    UpdateSession,
)
from sessiond.session.conversation import Run
from sessiond.session.events import SessionUpdated
from sessiond.session.standing import Rewound
from sessiond.session.state import Decision, LastWord, OutputRow, OutputStatus, Status
from tests.unit.stories import CONSULTANT, SERVICE, Story
from tests.unit.telling import HOSTILE, exported, happened, said, summary_of


async def markdown(story: Story) -> str:
    return (await exported(story, Format.MARKDOWN)).decode()


def unquoted(text: str) -> list[str]:
    """The lines that are ours."""
    return [line for line in text.split("\n") if not line.startswith(">")]


async def test_the_front_matter_is_yaml_and_holds_the_facts() -> None:
    """Each as REST spells it, whatever stands in it."""
    story = Story()
    title = '--- "x": ü\x7f # שלום <b> ![x](y)'
    happened(story, SessionUpdated(title, True, {"a: b": "\u2028\x85 yes"}))
    text = await markdown(story)
    _, front, _ = re.split(r"^---$", text, maxsplit=2, flags=re.MULTILINE)
    summary = summary_of(story.session)
    assert yaml.safe_load(front) == json.loads(to_json(summary))
    assert yaml.safe_load(front)["title"] == story.session.title


async def test_what_was_said_and_made_is_told_with_who_and_when() -> None:
    """Speakers, times, steps, outputs and who decided them."""
    story = Story()
    story.make(AppendMessage("What is the plan?\n\nTwo lines."))
    turn = story.begin(text="An answer.")
    story.make(EndTurn(turn, len("An answer.")), CONSULTANT)
    story.make(SubmitOutput("first", "o-1"), CONSULTANT)
    story.make(ApproveOutput(decision=Decision.REJECTED, feedback="shorter"))
    story.make(SubmitOutput("second", "o-2"), CONSULTANT)
    story.make(ApproveOutput(feedback="good"), SERVICE)
    lines = (await markdown(story)).split("\n")
    told = "\n".join(lines)
    assert "### alice, 2023-11-14 22:13:21 UTC\n\n> What is the plan?\n>\n> Two lines.\n" in told
    assert "### gtm-consultant, 2023-11-14 22:13:23 UTC\n\n> An answer.\n" in told
    assert "1. Done: Go-to-market foundation (gtm-consultant, foundation, 30 minutes)" in lines
    assert "2. Open: Persona development (persona-strategist, foundation, 25 minutes)" in lines
    assert "### Go-to-market foundation: rejected" in lines
    assert "Rejected by alice, 2023-11-14 22:13:25 UTC\n\n> shorter\n" in told
    assert "`o-2` by gtm-consultant, 2023-11-14 22:13:26 UTC\n\n> second\n" in told
    assert "Approved by alice, 2023-11-14 22:13:27 UTC\n\n> good\n" in told


async def test_a_hostile_text_is_a_quotation_and_nothing_else() -> None:
    """Ten thousand times: it forges no heading, ends no quotation, makes no tag or image."""
    story = Story()
    story.make(UpdateSession(title="<b>[x](y)</b> *z*"))
    harmless = unquoted(await markdown(story))
    said(story, *[HOSTILE] * 10_000)
    story.make(SubmitOutput(HOSTILE, "o-1"), CONSULTANT)
    text = await markdown(story)
    ours = unquoted(text)
    assert "# \\<b\\>\\[x\\](y)\\</b\\> \\*z\\*" in ours
    headings = [line for line in ours if line.startswith("#")]
    assert len(headings) == len([line for line in harmless if line.startswith("#")]) + 10_002
    assert not re.search(r"(?<!\\)<[A-Za-z/!?]", text)
    assert not re.search(r"!\[", text)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", text)
    # A reader sees what was written.
    assert "> <script>alert(1)</script>" in text.replace("\u200b", "")


async def test_a_rewound_session_is_told_as_it_is() -> None:
    """Without what was taken back: messages, and the decisions of outputs."""
    story = Story()
    said(story, "kept")
    story.make(SubmitOutput("plan", "o-1"), CONSULTANT)
    story.make(ApproveOutput(feedback="taken back"))
    said(story, "gone")
    rewound = Rewound(
        3, Status.ACTIVE, 0, "", False, {}, 1, (OutputRow("o-1", OutputStatus.PENDING, 3, 0),),
        1, 2, LastWord.OTHER, (Run(1, 3),),
    )  # fmt: skip
    happened(story, rewound)
    said(story, "after")
    text = await markdown(story)
    assert [line for line in text.split("\n") if line.startswith("> ")] == [
        "> kept",
        "> after",
        "> plan",
    ]
    assert "### Go-to-market foundation: pending" in text


async def test_a_long_session_comes_in_pieces() -> None:
    """None of them much longer than the longest message."""
    from sessiond.export.rendering import chunks
    from tests.unit.telling import history

    story = Story()
    said(story, *("word " * 2000 for _ in range(60)))
    pieces = [piece async for piece in chunks(history(story), Format.MARKDOWN)]
    assert len(pieces) > 5
    assert max(map(len, pieces)) < 100_000
