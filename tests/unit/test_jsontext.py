"""Free-form JSON objects: what is let in, and how a merge patch changes them."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.errors import Violations
from sessiond.session.jsontext import check_object, deeper_than, merge_patch, same_object


def wrong(text: str, *, limit: int = 1 << 20, depth: int = 64) -> list[str]:
    found = Violations()
    check_object(text, "user_inputs", found, limit=limit, depth=depth)
    assert all(violation.field == "user_inputs" for violation in found.found)
    return [violation.message for violation in found.found]


def nested(levels: int) -> str:
    return '{"a":' * (levels - 1) + "{}" + "}" * (levels - 1)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        ' {"a": [1, 2.5e3, "x", null, true]}\n',
        '{"n": 123456789012345678901234567890}',
        '{"smile": "\\ud83d\\ude00", "plain": "😀"}',
        '{"backslash": "\\\\ud800"}',
        '{"brackets": "[[[[{{{{\\"[["}',
        '{"": {"": ""}}',
        '{"i": ' + "9" * 4300 + "}",
        '{"tiny": 1e-400}',
    ],
)
def test_a_good_object_is_let_in(text: str) -> None:
    """Objects of any members, integers of any reasonable length, and whatever stands in strings."""
    assert wrong(text) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "must be JSON"),
        ("nonsense", "must be JSON"),
        ("{", "must be JSON"),
        ('{"a":1}x', "must be JSON"),
        ("{'a':1}", "must be JSON"),
        ('{"a":1,}', "must be JSON"),
        ('{"a":"\n"}', "must be JSON"),
        ('{"a":"\0"}', "must be JSON"),
        ("\ufeff{}", "must be JSON"),
        ('{"a":01}', "must be JSON"),
        ('"open \\', "must be JSON"),
        ("[]", "must be a JSON object"),
        ("null", "must be a JSON object"),
        ('"{}"', "must be a JSON object"),
        ("12", "must be a JSON object"),
        ('{"a":1,"a":1}', "same key twice"),
        ('{"x":{"a":1,"\\u0061":2}}', "same key twice"),
        ('{"a":NaN}', "NaN"),
        ('{"a":Infinity}', "NaN"),
        ('{"a":-Infinity}', "NaN"),
        ('{"a":1e400}', "range of a double"),
        ('{"a":-1e400}', "range of a double"),
        ('{"a":' + "9" * 4301 + "}", "4300 digits"),
        ('{"a":"\\ud800"}', "surrogate"),
        ('{"\\udfff":1}', "surrogate"),
        ('{"a":"\\ude00\\ud83d"}', "surrogate"),
        ('{"a":"\ud800"}', "UTF-8"),
    ],
)
def test_a_hostile_text_is_refused_in_words(text: str, told: str) -> None:
    """Whatever is no plain JSON object is named for what it is, and nothing else is raised."""
    assert any(told in message for message in wrong(text))


@pytest.mark.parametrize(("levels", "good"), [(63, True), (64, True), (65, False), (5000, False)])
def test_depth_is_bounded(levels: int, good: bool) -> None:
    """64 levels, the object itself the first; arrays count as objects do."""
    assert (wrong(nested(levels)) == []) is good
    arrays = '{"a":' + "[" * (levels - 1) + "]" * (levels - 1) + "}"
    assert (wrong(arrays) == []) is good


@pytest.mark.parametrize(("size", "good"), [(99, True), (100, True), (101, False)])
def test_size_is_bounded_in_bytes(size: int, good: bool) -> None:
    """Bytes of UTF-8, not characters."""
    frame = '{"a":""}'
    letters = '{"a":"' + "x" * (size - len(frame)) + '"}'
    assert (wrong(letters, limit=100) == []) is good
    two_bytes = '{"a":"' + "ж" * ((size - len(frame)) // 2) + "x" * ((size - len(frame)) % 2) + '"}'
    assert len(two_bytes) < 100
    assert (wrong(two_bytes, limit=100) == []) is good


@pytest.mark.parametrize(
    "text",
    [
        "[" * 500_000,
        '{"a":' * 100_000,
        '"' + '\\"' * 250_000,
        '"\\' * 250_000,
        "[]" * 250_000,
        "\\" * 500_000,
    ],
    ids=["arrays", "objects", "open-string", "strings", "pairs", "backslashes"],
)
def test_a_bomb_is_refused_in_linear_time(text: str) -> None:
    """Eight times the text takes nowhere near sixty-four times the time."""

    def seconds(part: str) -> float:
        took = []
        for _ in range(3):
            start = time.perf_counter()
            assert wrong(part) != []
            took.append(time.perf_counter() - start)
        return min(took)

    small = seconds(text[: len(text) // 8])
    assert seconds(text) < 40 * small + 0.05


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(alphabet='[]{}"\\a', max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(alphabet='[]{}"\\b', max_size=4), inner, max_size=3)
        ),
        max_leaves=20,
    )
)
def test_the_depth_scan_agrees_with_the_parsed_value(value: object) -> None:
    """Brackets in strings are no levels."""

    def depth(part: object) -> int:
        if isinstance(part, dict):
            return 1 + max(map(depth, part.values()), default=0)
        if isinstance(part, list):
            return 1 + max(map(depth, part), default=0)
        return 0

    text = json.dumps(value)
    assert not deeper_than(text, depth(value))
    assert depth(value) == 0 or deeper_than(text, depth(value) - 1)


# RFC 7396, appendix A, as far as both sides are objects: nothing else reaches a session.
@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ('{"a":"b"}', '{"a":"c"}', '{"a":"c"}'),
        ('{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'),
        ('{"a":"b"}', '{"a":null}', "{}"),
        ('{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'),
        ('{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'),
        ('{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'),
        ('{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'),
        ('{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'),
        ('{"e":null}', '{"a":1}', '{"e":null,"a":1}'),
        ("{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'),
        ('{"a":"foo"}', '{"a":{"b":null,"c":1}}', '{"a":{"c":1}}'),
        ('{"a":[1,2]}', '{"a":{"0":null}}', '{"a":{}}'),
    ],
)
def test_a_merge_patch_does_what_the_rfc_shows(target: str, patch: str, result: str) -> None:
    """Members are set, merged or, with null, removed; arrays are replaced whole."""
    assert merge_patch(target, patch) == result


def test_the_example_of_the_rfc_comes_out_as_printed() -> None:
    """RFC 7396, section 3."""
    target = """{"title": "Goodbye!", "author": {"givenName": "John", "familyName": "Doe"},
        "tags": ["example", "sample"], "content": "This will be unchanged"}"""
    patch = """{"title": "Hello!", "phoneNumber": "+01-123-456-7890",
        "author": {"familyName": null}, "tags": ["example"]}"""
    assert json.loads(merge_patch(target, patch)) == {
        "title": "Hello!",
        "author": {"givenName": "John"},
        "tags": ["example"],
        "content": "This will be unchanged",
        "phoneNumber": "+01-123-456-7890",
    }


@pytest.mark.parametrize("patch", ["{}", '{"a":1}', '{"gone":null}', '{"b":{"x":[1, 2]}}'])
def test_a_patch_that_changes_nothing_gives_the_very_same_text(patch: str) -> None:
    """White space and all."""
    target = '{ "a" : 1, "b": {"x": [1,2]} }'
    assert merge_patch(target, patch) is target


@pytest.mark.parametrize("patch", ['{"a":1.0}', '{"a":true}', '{"a":"1"}', '{"b":[true]}'])
def test_numbers_and_booleans_that_python_takes_for_equal_are_changes(patch: str) -> None:
    """1, 1.0 and true are three different things."""
    assert merge_patch('{"a":1,"b":[1]}', patch) != '{"a":1,"b":[1]}'


def test_a_merge_keeps_integers_and_letters_as_they_are() -> None:
    """No integer becomes a float, and no letter an escape."""
    target = '{"n":12345678901234567890123,"name":"Жанна"}'
    assert merge_patch(target, '{"x":-0.5}') == target[:-1] + ',"x":-0.5}'


def test_objects_are_the_same_whatever_their_white_space_and_order() -> None:
    """But not when a value differs."""
    assert same_object('{"a":1,"b":2}', '{ "b": 2, "a": 1 }')
    assert not same_object('{"a":1}', '{"a":1.0}')
    assert not same_object('{"a":[1]}', '{"a":[1,1]}')
