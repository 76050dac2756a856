"""A session in Markdown, for people: front matter with the facts, then what was said and made.

Everything that somebody wrote stands in a quotation, as they wrote it, so that it can pass for
nothing but itself; only what would be HTML or an image is kept from being one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import orjson

from sessiond.export.story import Made, Said, Story
from sessiond.mapping.showing import to_json
from sessiond.session.state import OutputStatus

_ACTIVE = re.compile(r"([\\`*_\[\]<>&~|$#])")
# A space without width says nothing to a reader, in running text as in code, and no parser takes
# what follows it for a tag or an image. To escape it would need one that knows code from text.
_TAG_OR_IMAGE = re.compile(r"<(?=[A-Za-z/!?])|!(?=\[)")
# JSON may hold these as they are, YAML may not; and not all who show Markdown know front matter.
_ESCAPED = re.compile(
    "[<\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]|!(?=\\[)"
)

_DECIDED = {OutputStatus.APPROVED: "Approved", OutputStatus.REJECTED: "Rejected"}


def markdown(story: Story) -> Iterator[str]:
    """Yield the document, part by part."""
    yield _front_matter(story) + f"\n# {_inline(story.title)}\n"
    if story.steps:
        yield "\n## Progress\n\n" + "".join(
            f"{place}. {'Done' if done else 'Open'}: {_inline(step.name)}"
            f" ({_inline(step.agent)}, {_inline(step.stage)}, {step.minutes} minutes)\n"
            for place, (step, done) in enumerate(story.steps, 1)
        )
    yield "\n## Conversation\n"
    for said in story.messages():
        yield _message(said)
    heading = "\n## Outputs\n"
    for made in story.outputs():
        yield heading + _output(made)
        heading = ""


def _front_matter(story: Story) -> str:
    # YAML holds JSON: each fact is spelled as REST spells it.
    facts = orjson.loads(to_json(story.session))
    spelled = (f"{name}: {json.dumps(fact, ensure_ascii=False)}" for name, fact in facts.items())
    lines = "\n".join(_ESCAPED.sub(lambda bad: f"\\u{ord(bad[0]):04x}", each) for each in spelled)
    return f"---\n{lines}\n---\n"


def _message(said: Said) -> str:
    note = f" ({said.note})" if said.note else ""
    return f"\n### {_inline(said.who)}, {said.when}{note}\n\n{_quoted(said.text)}"


def _output(made: Made) -> str:
    told = f"\n### {_inline(made.step)}: {made.status.value}\n\n"
    told += f"`{made.id}` by {_inline(made.agent)}, {made.when}\n\n{_quoted(made.text)}"
    if made.by:
        word = _DECIDED.get(made.status, "Decided")
        told += f"\n{word} by {_inline(made.by)}, {made.decided}\n"
    if made.feedback:
        told += f"\n{_quoted(made.feedback)}"
    return told


def _inline(text: str) -> str:
    return _ACTIVE.sub(r"\\\1", text)


def _quoted(text: str) -> str:
    kept = _TAG_OR_IMAGE.sub("\\g<0>\u200b", text)
    return "".join(f"> {line}\n" if line else ">\n" for line in kept.split("\n"))
