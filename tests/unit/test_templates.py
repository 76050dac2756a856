"""Templates: what a new session takes from one, and what title it gets."""

from __future__ import annotations

import pytest
from hypothesis import given

from sessiond.errors import Violations
from sessiond.session.changes import CreateSession
from sessiond.session.limits import DEFAULT_LIMITS
from sessiond.session.templates import (
    Template,
    check_template,
    check_template_name,
    overridden,
    titled,
)
from sessiond.store.templates import decode_template, encode_template
from tests.unit.asking import objects, texts
from tests.unit.stories import CHAT, MASTER

NOON_MS = 1_795_953_600_000  # 2026-11-29T12:00:00Z
PLAN = Template("chat", '{"market":"EU"}', "Plan {date}", {"team": "red", "kind": "plan"})


def filled(change: CreateSession, template: Template = PLAN) -> CreateSession:
    return overridden(change, template, CHAT, now_ms=NOON_MS, limits=DEFAULT_LIMITS)


def test_what_is_left_open_comes_from_the_template() -> None:
    """All of it, and the template itself is gone from the change."""
    assert filled(CreateSession(id="s-1", template="plan")) == CreateSession(
        workflow_id="chat",
        user_inputs='{"market":"EU"}',
        title="Plan 2026-11-29",
        metadata={"team": "red", "kind": "plan"},
        id="s-1",
    )


def test_what_is_given_stays() -> None:
    """Metadata key by key, all else as a whole; nothing given is a pattern, and "" is given."""
    change = CreateSession(
        "master-workflow-v2", '{"n":1}', "{date}", {"team": "blue", "x": "y"}, template="plan"
    )
    assert filled(change) == CreateSession(
        "master-workflow-v2", '{"n":1}', "{date}", {"team": "blue", "kind": "plan", "x": "y"}
    )
    assert filled(CreateSession(title="", user_inputs="{}")).title == ""
    assert filled(CreateSession(title="", user_inputs="{}")).user_inputs == "{}"


INPUTS = (
    '{"market":"EU","n":12345678901234567890,"half":0.5,"yes":true,"none":null,"deep":{"a":1},'
    '"list":[1],"lines":"a\\n\\tb\\u0085c","{date}":"odd","braces":"{date}","a.b":"dotted"}'
)


@pytest.mark.parametrize(
    ("pattern", "title"),
    [
        ("", ""),
        ("Plan", "Plan"),
        ("{date}", "2026-11-29"),
        ("{workflow}: {input.market}", "Chat: EU"),
        ("{input.n} {input.half} {input.yes}", "12345678901234567890 0.5 true"),
        ("{input.none} {input.deep} {input.list}", "{input.none} {input.deep} {input.list}"),
        ("{input.nothing} {input.} {input} {other}", "{input.nothing} {input.} {input} {other}"),
        ("{input.lines}", "a b c"),
        ("{input.a.b}", "dotted"),
        ("{input.braces}", "{date}"),
        ("{{date}}", "{2026-11-29}"),
        ("{input.{date}}", "{input.2026-11-29}"),
        ("{date", "{date"),
        ("{Date}", "{Date}"),
    ],
)
def test_a_pattern_gives_the_title(pattern: str, title: str) -> None:
    """What stands for nothing stays as it is, and what was put in is no pattern."""
    assert titled(pattern, CHAT, INPUTS, now_ms=NOON_MS) == title


def test_a_workflow_that_is_not_there_has_no_name() -> None:
    """The creation is refused for it; the title need not be."""
    assert titled("{workflow}", None, "{}", now_ms=NOON_MS) == "{workflow}"


def test_a_title_that_became_too_long_is_cut() -> None:
    """A long input is no reason to refuse a session."""
    template = Template("chat", '{"x":"%s"}' % ("é" * 500), "> {input.x}")
    title = filled(CreateSession(), template).title
    assert title == "> " + "é" * 198


@given(texts, objects)
def test_any_pattern_gives_a_title(pattern: str, inputs: str) -> None:
    """Whatever was saved, a session can be made of it."""
    found = Violations()
    template = Template("chat", inputs, pattern)
    check_template(template, CHAT, found, limits=DEFAULT_LIMITS)
    if not found.found:
        title = filled(CreateSession(), template).title
        check_template(Template("chat", inputs, title or ""), CHAT, found, limits=DEFAULT_LIMITS)
        assert found.found == []


@pytest.mark.parametrize(
    ("template", "fields"),
    [
        (Template("chat", "[]"), ["user_inputs"]),
        (Template("chat", '{"a":1,"a":2}'), ["user_inputs"]),
        (Template("chat", "{}", "x" * 201), ["title"]),
        (Template("chat", "{}", "a\nb"), ["title"]),
        (Template("chat", "{}", "", {"": "x"}), ["metadata"]),
        (Template("chat", "{", "\0", {"k": "x" * 3000}), ["user_inputs", "title", "metadata"]),
    ],
)
def test_every_bad_field_of_a_template_is_named(template: Template, fields: list[str]) -> None:
    """As those of a session are."""
    found = Violations()
    check_template(template, MASTER, found, limits=DEFAULT_LIMITS)
    assert [each.field for each in found.found] == fields


def test_a_template_names_a_workflow_that_is_there() -> None:
    """What could not be followed is not saved."""
    found = Violations()
    check_template(Template("nope"), None, found, limits=DEFAULT_LIMITS)
    assert [each.field for each in found.found] == ["workflow_id"]


@pytest.mark.parametrize("name", ["", "a/b", "a b", "é", "a" * 65, "a\n", ".\0"])
def test_a_name_needs_no_escaping(name: str) -> None:
    """It stands in paths."""
    found = Violations()
    check_template_name(name, "name", found)
    assert [each.field for each in found.found] == ["name"]


@pytest.mark.parametrize(
    "template", [PLAN, Template("chat"), Template("é", "{}", "ü {", {"\n": "你"}, 7)]
)
def test_a_stored_template_is_read_as_it_was(template: Template) -> None:
    """To the letter."""
    assert decode_template(encode_template(template)) == template


def test_bytes_of_something_else_are_no_template() -> None:
    """They are refused."""
    with pytest.raises(ValueError):
        decode_template(b"\xff\xff\xff")
