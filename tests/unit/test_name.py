import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineshaft.core.errors import ConfigError, NotFound
from lineshaft.core.name import (
    check_name,
    did_you_mean,
    matches,
    place_of,
    select,
    subject_for,
    subject_of,
)

SEGMENT = st.from_regex(r"[\w-]{1,8}", fullmatch=True)
NAME = st.lists(SEGMENT, min_size=2, max_size=8).map("/".join)


@given(NAME)
def test_a_name_of_word_characters_is_a_name_in_any_script(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "speed",
        "a//b",
        "/a/b",
        "a/b/",
        "a/b c",
        "a/b.c",
        "a/*",
        "a/>",
        "a/#",
        "a/$x",
    ],
)
def test_what_has_a_meaning_on_a_road_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        check_name(text)


def test_the_refusal_shows_a_segment_that_would_do() -> None:
    with pytest.raises(ConfigError, match="for example 'oil_temp_C'"):
        check_name("acme/osaka/oil temp.C")


@pytest.mark.parametrize(
    ("pattern", "name", "meant"),
    [
        ("acme/*/press/**", "acme/osaka/press/speed", True),
        ("acme/*/press/**", "acme/osaka/press/1/speed", True),
        ("acme/*/press/**", "acme/osaka/oven/speed", False),
        ("acme/*/press/**", "acme/press/speed", False),
        ("**", "acme/speed", True),
        ("**/speed", "acme/osaka/speed", True),
        ("**/speed", "acme/osaka/overspeed", False),
        ("acme/**/speed", "acme/speed", True),
        ("acme/press*/speed", "acme/press12/speed", True),
        ("acme/osaka/**", "acme/osaka", False),
        ("工場/**", "工場/プレス/速度", True),
    ],
)
def test_patterns_mean_what_the_words_say(pattern: str, name: str, meant: bool) -> None:
    assert matches(pattern, name) is meant


def test_text_that_can_never_match_a_name_is_said_to() -> None:
    with pytest.raises(NotFound, match="is not a pattern"):
        select("acme/a b", ["acme/ab"])


@given(NAME, st.data())
def test_the_subject_for_a_pattern_carries_all_that_it_means(
    name: str, data: st.DataObject
) -> None:
    segments = name.split("/")
    for position in range(len(segments)):
        if data.draw(st.booleans()):
            segments[position] = data.draw(st.sampled_from(["*", "**"]))
    pattern = "/".join(segments)
    if matches(pattern, name):
        subject = subject_of(place_of(name)).split(".")
        assert _carried(subject_for(pattern).split("."), subject)


def _carried(filter_tokens: list[str], subject: list[str]) -> bool:
    """What NATS does: `*` is one token, `>` at the end one or more."""
    for position, token in enumerate(filter_tokens):
        if token == ">":
            return len(subject) > position
        if position >= len(subject) or token not in ("*", subject[position]):
            return False
    return len(filter_tokens) == len(subject)


def test_a_near_spelling_is_offered_and_a_far_one_is_not() -> None:
    assert did_you_mean("presure", ["pressure", "flow"]) == "; did you mean 'pressure'?"
    assert did_you_mean("xyz", ["pressure", "flow"]) == ""
