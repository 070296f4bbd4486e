"""Regular expressions from people: what is refused with which words, and what one may cost."""

from __future__ import annotations

import time

import pytest

from media_assets.errors import Invalid
from transcription.patterns import check_pattern, compile_pattern, expanded, find_within, template


def refusal(pattern: str, replacement: str = "") -> Invalid:
    with pytest.raises(Invalid) as caught:
        check_pattern(pattern, replacement, match_case=False)
    return caught.value


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"(\d+)\s?(?:euros?|eur)", r"\1 €"),
        (r"\b[A-Z]\w+ (?:Inc|Ltd)\.?", ""),
        (r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})", r"\g<month>/\g<day>"),
        (r"[\w.]+@[\w.]+\.\w+", "@"),
        (r"(?:\d+\.)+\d+", "v"),
        (r"(\w+)\s+\1", r"\1"),
        (r"(?>a+)+b", ""),
        (r"(?:a++)+b", ""),
        (r"[[:alpha:]]+x", ""),
        (r"[]a]+", ""),
        (r"\p{Han}{2,4}市", ""),
        (r"colou?r|Straße", r"back\\slash\n"),
        (r"(?i:abc)d", ""),
        (r"a{2,}?b", ""),
        (r"(?<=a )b(?! c)", ""),
        (r"\N{LATIN SMALL LETTER A}\x41\u00e9", ""),
    ],
)  # fmt: skip
def test_sound_patterns_pass(pattern: str, replacement: str) -> None:
    check_pattern(pattern, replacement, match_case=False)
    check_pattern(pattern, replacement, match_case=True)


@pytest.mark.parametrize(
    ("pattern", "position"),
    [
        ("(a", 2), ("a)", 1), ("[a", 0), ("a**", 2), ("*a", 0), (r"\p{Foo}", 7), ("[b-a]", 4), ("a{3,1}", 2),
        ("colou?r{e<=2}", 7), ("(?R)a", 0), ("(?1)(a)", 0), ("(?&x)", 0), (r"\L<names>", 0), (r"a\Kb", 1),
        ("(?(1)a|b)", 0), ("(?x)a b", 0), ("(?V1)a", 0), ("(?b)a", 0), ("abc\\", 3),
    ],
)  # fmt: skip
def test_a_broken_pattern_is_refused_with_its_place(pattern: str, position: int) -> None:
    error = refusal(pattern)
    assert error.details == {"field": "term", "position": position}
    assert f"at character {position + 1}" in error.message


@pytest.mark.parametrize(
    "pattern", [r"(a+)+$", r"(\w*)*x", r"(?:[^x]+)+x", r"((a+))+", r"(a{2,})*", r"(?:(a+)){3,}"]
)
def test_what_repeats_the_repeated_is_refused_unseen(pattern: str) -> None:
    assert "repeated without end again" in refusal(pattern).message


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a|aa)+$",
        r"(x+x+)+y",
        r"(?:a|b|ab)*c",
        r"(?:(?:\w|\d)+\s*)+[q]",
        r"(?:\s*\w+\s*)+!",
        r"\w*\w*\w*\w*\w*!",
    ],
)
def test_what_runs_away_is_refused_quickly(pattern: str) -> None:
    began = time.thread_time()
    assert "too slow" in refusal(pattern).message
    assert time.thread_time() - began < 2.5


@pytest.mark.parametrize("pattern", ["a*", "a?", r"\b", "(?=a)", "^", "$", "a{,3}", "()", "x|"])
def test_what_matches_nothing_everywhere_is_refused(pattern: str) -> None:
    assert "empty text" in refusal(pattern).message


@pytest.mark.parametrize(
    "pattern",
    [
        "a{99999999}",
        "(((((((((a{9}){9}){9}){9}){9}){9}){9}){9}){9}",
        "(?:(?:ab){1000}){1000}",
        "(" * 25 + "a" + ")" * 25,
        "(a)" * 31,
        "a" * 301,
        "",
    ],
)
def test_what_would_eat_the_memory_is_never_compiled(pattern: str) -> None:
    refusal(pattern)


@pytest.mark.parametrize(
    "replacement", [r"\2", r"\g<nobody>", r"\q", "\\", r"\g<", r"\99", r"\g<1", r"a\ b"]
)
def test_a_replacement_names_only_groups_that_are_there(replacement: str) -> None:
    assert refusal("(a)", replacement).details["field"] == "replacement"


def test_templates_put_groups_in_their_places() -> None:
    compiled = compile_pattern(r"(a)(?P<n>b)?(c)", match_case=False)
    parts = template(r"<\1|\g<n>|\g<3>\\\t>", compiled)
    found = compiled.search("xAC")
    assert found is not None
    assert expanded(parts, found) == "<A||C\\\t>"


def test_case_is_minded_only_where_asked() -> None:
    assert compile_pattern("straße", match_case=False).search("STRAßE")
    assert not compile_pattern("straße", match_case=True).search("STRAßE")


def test_full_case_folding_is_not_used_for_it_can_hang() -> None:
    """With it `regex` needs exponential time here: 6 s at 30 letters."""
    began = time.thread_time()
    check_pattern(r"[\w ]+foo", "", match_case=False)
    assert time.thread_time() - began < 2


def test_a_running_pattern_is_stopped_in_time() -> None:
    compiled = compile_pattern(r"(a|aa)+$", match_case=True)
    began = time.thread_time()
    with pytest.raises(TimeoutError):
        find_within(compiled, "a" * 60 + "!", 0.2)
    assert time.thread_time() - began < 1.5


def test_matches_are_found_and_empty_ones_left_out() -> None:
    found = find_within(compile_pattern("a*", match_case=False), "baab", 1)
    assert [match.span() for match in found] == [(1, 3)]
