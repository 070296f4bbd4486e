"""The lexicon's matcher: any script, longest first, times kept, thousands of terms at once."""

from __future__ import annotations

import random
import re
import time
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_assets.errors import Invalid
from transcription.entries import MAX_REPLACEMENT, MAX_TERM, Entry, checked
from transcription.replacing import Replacer
from transcription.scripts import cuts_letter, cuts_word
from transcription.words import Segment, Transcript, Word


def replaced(text: str, *entries: Entry | tuple[str, str], language: str | None = None) -> str:
    made = [entry if isinstance(entry, Entry) else Entry(*entry) for entry in entries]
    return Replacer(made, language).replaced(text)


def free(term: str, replacement: str, *, match_case: bool = False) -> Entry:
    """An entry that is found inside words, too."""
    return Entry(term, replacement, match_case=match_case, whole_word=False)


def cased(term: str, replacement: str) -> Entry:
    return Entry(term, replacement, match_case=True)


def pattern(term: str, replacement: str, *, whole_word: bool = False) -> Entry:
    return Entry(term, replacement, whole_word=whole_word, regex=True)


# ------------------------------------------------------------------- what is found


@pytest.mark.parametrize(
    ("text", "entry", "expected"),
    [
        ("jon and JON and Jonas", ("jon", "John"), "John and John and Jonas"),
        ("Jon's, (jon) jon-jon.", ("jon", "John"), "John's, (John) John-John."),
        ("l’anna dell'anna", ("anna", "Anna"), "l’Anna dell'Anna"),
        ("don't say don", ("don", "Don"), "don't say Don"),
        ("I saw jon.", ("i", "X"), "X saw jon."),
        ("version 3.14 of 3", ("3", "three"), "version 3.14 of three"),
        ("c++ and c", ("c++", "C plus plus"), "C plus plus and c"),
        ("e-mail an email", ("e-mail", "email"), "email an email"),
        ("new york", ("new york", "New York"), "New York"),
        ("new\u00a0york new\nyork new   york", ("new york", "NYC"), "NYC NYC NYC"),
        ("new\n\nyork", ("new york", "NYC"), "new\n\nyork"),
        ("dont don’t don't", ("don't", "do not"), "dont do not do not"),
        ("t\u2011shirt t-shirt", ("t-shirt", "tee"), "tee tee"),
    ],
)
def test_words_in_latin_script(text: str, entry: tuple[str, str], expected: str) -> None:
    assert replaced(text, entry) == expected


@pytest.mark.parametrize(
    ("text", "entry", "expected"),
    [
        ("STRASSE Straße strasse", ("straße", "Str."), "Str. Str. Str."),
        ("Maße Masse", ("masse", "M"), "M M"),
        ("ΟΔΥΣΣΕΥΣ Οδυσσεύς", ("οδυσσευς", "Odysseus"), "Odysseus Οδυσσεύς"),
        ("İSTANBUL istanbul İstanbul", ("istanbul", "Ist"), "Ist Ist Ist"),
        ("ﬁnale", ("finale", "end"), "end"),
        ("ЁЛКА ёлка", ("ёлка", "Ёлка"), "Ёлка Ёлка"),
    ],
)
def test_case_is_folded_as_unicode_says(text: str, entry: tuple[str, str], expected: str) -> None:
    assert replaced(text, entry) == expected


def test_turkish_has_two_kinds_of_i() -> None:
    entry = ("ısparta", "X")
    assert (
        replaced("ISPARTA Isparta ısparta isparta İSPARTA", entry, language="tr")
        == "X X X isparta İSPARTA"
    )
    assert replaced("ISPARTA ısparta", entry, language="en") == "ISPARTA X"
    assert replaced("İZMİR izmir IZMIR", ("izmir", "X"), language="az") == "X X IZMIR"


def test_half_of_an_unfolded_letter_is_no_match() -> None:
    assert replaced("Maß", free("s", "X")) == "Maß"
    assert replaced("Maßs", free("s", "X")) == "MaßX"
    assert replaced("ßs", free("ss", "X")) == "Xs"
    assert replaced("i\u0307x ix", free("i", "Y")) == "Yx Yx"


@pytest.mark.parametrize(
    ("text", "entry", "expected"),
    [
        ("東京タワーへ行く", ("東京", "Tōkyō"), "Tōkyōタワーへ行く"),
        ("アニメーション", ("アニメ", "X"), "アニメーション"),
        ("アニメが好き", ("アニメ", "X"), "Xが好き"),
        ("AIを使う", ("ai", "人工知能"), "人工知能を使う"),
        ("ดื่มกาแฟเย็น", ("กาแฟ", "โกปี้"), "ดื่มโกปี้เย็น"),
        ("กาแฟ", ("กา", "X"), "Xแฟ"),
        ("กำ", ("ก", "X"), "กำ"),
        ("서울에서 서울", ("서울", "Seoul"), "서울에서 Seoul"),
        ("שלום עולם", ("עולם", "תבל"), "שלום תבל"),
        ('צה"ל צה', ("צה", "X"), 'צה"ל X'),
        ("مرحبا يا علي", ("علي", "عليّ"), "مرحبا يا عليّ"),
        ("हिन्दी हिन्द", ("हिन्द", "X"), "हिन्दी X"),
        ("об'єкт об", ("об", "X"), "об'єкт X"),
        ("Привет, МИР", ("мир", "Mир"), "Привет, Mир"),
    ],
)
def test_words_in_other_scripts(text: str, entry: tuple[str, str], expected: str) -> None:
    assert replaced(text, entry) == expected


def test_no_match_tears_a_letter_from_its_marks_or_an_emoji_apart() -> None:
    assert replaced("x\u0323 x", free("x", "Y")) == "x\u0323 Y"
    assert replaced("👍🏽 👍", free("👍", "ok")) == "👍🏽 ok"
    assert replaced("👨‍👩‍👧 👩", free("👩", "woman")) == "👨‍👩‍👧 woman"
    assert replaced("🇫🇩🇪🇫 🇩🇪", free("🇩🇪", "DE")) == "🇫🇩🇪🇫 DE"


def test_composed_and_decomposed_letters_are_the_same() -> None:
    assert replaced("cafe\u0301 café", ("cafe\u0301", "Café")) == "Café Café"


def test_inside_words_only_where_asked() -> None:
    assert replaced("subkubernetes", ("kubernetes", "K8s")) == "subkubernetes"
    assert replaced("subkubernetes", free("kubernetes", "K8s")) == "subK8s"
    assert replaced("aXa axa", free("x", "y", match_case=True)) == "aXa aya"


def test_case_minded() -> None:
    assert replaced("Polish polish POLISH", cased("Polish", "X")) == "X polish POLISH"
    assert replaced("Straße Strasse", cased("Strasse", "X")) == "Straße X"
    assert replaced("new  York New York", cased("new York", "X")) == "X New York"


# ------------------------------------------------------------------- which one wins


def test_the_longest_term_wins() -> None:
    entries = [("new", "NEW"), ("new york", "NY"), ("new york city", "NYC")]
    assert replaced("new new york new york city new yorc", *entries) == "NEW NY NYC NEW yorc"


def test_the_first_place_wins_over_a_longer_term_that_begins_inside() -> None:
    assert replaced("a b c d", ("a b", "1"), ("b c d", "2")) == "1 c d"


def test_what_is_replaced_is_not_searched_again() -> None:
    assert replaced("a b", ("a", "b"), ("b", "a")) == "b a"


def test_minding_case_comes_before_not_minding_it() -> None:
    assert replaced("us US", Entry("us", "we"), cased("US", "United States")) == "we United States"


def test_of_equal_entries_the_first_counts() -> None:
    assert replaced("x", ("x", "1"), ("X", "2")) == "1"


def test_a_term_that_is_right_already_keeps_shorter_ones_away() -> None:
    lexicon = Replacer([Entry("New York Times", "New York Times"), Entry("new york", "NYC")])
    assert lexicon.replaced("New York Times of New York") == "New York Times of NYC"
    assert lexicon.apply(Transcript("New York Times")).replaced == 0


def test_taking_out_leaves_no_gap() -> None:
    assert replaced("so um, you know, um yes um", ("um", ""), ("you know,", "")) == "so, yes"


# ------------------------------------------------------------------- patterns


def test_patterns_take_part_in_the_same_contest() -> None:
    entries = [pattern(r"(\d+) euros?", r"\1 €"), Entry("5 euro cent", "5 ct")]
    assert replaced("12 euros and 5 euro cent", *entries) == "12 € and 5 ct"


def test_a_pattern_may_be_held_to_whole_words() -> None:
    assert replaced("cat concat", pattern("c.t", "dog", whole_word=True)) == "dog concat"
    assert replaced("cat concat", pattern("c.t", "dog")) == "dog condog"


def test_a_pattern_that_runs_away_is_left_out_and_the_rest_is_done() -> None:
    lexicon = Replacer([pattern(r"(a|aa)+$", "X"), Entry("b", "B")])
    found = lexicon.apply(Transcript("b " + "a" * 80 + "!"))
    assert found.transcript.text.startswith("B aaa")
    assert len(found.problems) == 1
    assert "(a|aa)+$" in found.problems[0]


def test_a_broken_pattern_is_left_out_and_named() -> None:
    found = Replacer([pattern("(", "X"), pattern("a", r"\3"), Entry("b", "B")]).apply(
        Transcript("a b")
    )
    assert found.transcript.text == "a B"
    assert len(found.problems) == 2


# ------------------------------------------------------------------- entries


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        (Entry("", "x"), "term"),
        (Entry("  \n", "x"), "term"),
        (Entry("a\x00", "x"), "term"),
        (Entry("\u202e", "x"), "term"),
        (Entry("\u0301", "x"), "term"),
        (Entry("\u200d", "x"), "term"),
        (Entry("a" * (MAX_TERM + 1), "x"), "term"),
        (Entry("a", "x" * (MAX_REPLACEMENT + 1)), "replacement"),
        (Entry("a", "x\x00"), "replacement"),
        (Entry("(", "x", regex=True), "term"),
        (Entry("(a|aa)+$", "x", regex=True), "term"),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused_by_field(entry: Entry, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        checked(entry)
    assert caught.value.details["field"] == field


def test_an_entry_gets_its_regular_form() -> None:
    assert checked(Entry(" cafe\u0301 \n bar ", "  x  y ")) == Entry("café bar", "x y")
    assert checked(Entry("a +", " x ", regex=True)) == Entry("a +", " x ", regex=True)
    assert checked(Entry("&", "and")) == Entry("&", "and")
    assert Entry("a", "b").as_json() == {
        "term": "a", "replacement": "b", "match_case": False, "whole_word": True, "regex": False,
    }  # fmt: skip


# ------------------------------------------------------------------- whole transcripts


def transcript(text: str, *cuts: str, speakers: str = "") -> Transcript:
    """A word a second; segments as the cuts say, with a speaker each."""
    texts = cuts or (text,)
    segments, at = [], 0.0
    for n, one in enumerate(texts):
        end = at + max(1, len(one.split()))
        segments.append(Segment(at, end, speakers[n] if speakers else None, one))
        at = end
    words = tuple(Word(n, n + 1, w) for n, w in enumerate(text.split()))
    return Transcript(text, "en", at, tuple(segments), words)


def test_text_segments_and_words_change_alike() -> None:
    found = Replacer(
        [Entry("new york", "NYC"), Entry("kay eights", "K8s"), Entry("ok", "all right")]
    ).apply(transcript("In new york, kay eights is ok.", "In new york,", "kay eights is ok."))
    after = found.transcript
    assert after.text == "In NYC, K8s is all right."
    assert [s.text for s in after.segments] == ["In NYC,", "K8s is all right."]
    assert [(w.start, round(w.end, 3), w.word) for w in after.words] == [
        (0, 1, "In"),
        (1, 3, "NYC,"),
        (3, 5, "K8s"),
        (5, 6, "is"),
        (6, 6.333, "all"),
        (6 + 1 / 3, 7, "right."),
    ]
    assert found.counts == {0: 1, 1: 1, 2: 1}


def test_a_term_over_two_segments_of_one_speaker_is_found() -> None:
    found = Replacer([Entry("new york", "NYC")]).apply(
        transcript("in new york today", "in new", "york today", speakers="AA")
    )
    assert [s.text for s in found.transcript.segments] == ["in NYC", "today"]
    assert [w.word for w in found.transcript.words] == ["in", "NYC", "today"]


def test_two_speakers_do_not_say_one_term() -> None:
    lexicon = Replacer([Entry("new york", "NYC"), Entry("new", "NEW"), pattern("w y", "-")])
    found = lexicon.apply(transcript("in new york today", "in new", "york today", speakers="AB"))
    assert found.transcript.text == "in NEW york today"
    assert [s.text for s in found.transcript.segments] == ["in NEW", "york today"]


def test_words_that_lack_the_texts_punctuation_change_all_the_same() -> None:
    source = Transcript(
        "Hello, Jon!",
        "en",
        2,
        (Segment(0, 2, None, "Hello, Jon!"),),
        (Word(0, 1, "hello"), Word(1, 2, "jon")),
    )
    found = Replacer([Entry("jon", "John")]).apply(source).transcript
    assert [w.word for w in found.words] == ["hello", "John"]
    assert found.segments[0].text == "Hello, John!"


def test_words_that_have_nothing_to_do_with_the_text_are_searched_by_themselves() -> None:
    source = Transcript("完全に別のテキスト", "en", 2, (), (Word(0, 1, "new"), Word(1, 2, "york")))
    found = Replacer([Entry("new york", "NYC")]).apply(source)
    assert found.transcript.words == (Word(0, 2, "NYC"),)
    assert found.transcript.text == source.text


def test_segments_alone_and_nothing_at_all() -> None:
    lexicon = Replacer([Entry("jon", "John")])
    assert lexicon.apply(Transcript()).transcript == Transcript()
    only = Transcript("", None, None, (Segment(0, 1, None, "jon"),))
    assert lexicon.apply(only).transcript.segments[0].text == "John"


def test_an_empty_lexicon_changes_nothing() -> None:
    source = transcript("as it was")
    assert Replacer([]).apply(source).transcript == source


def test_japanese_words_merge_without_spaces() -> None:
    source = Transcript(
        "東京都庁へ", "ja", 4, (Segment(0, 4, None, "東京都庁へ"),),
        (Word(0, 1, "東京"), Word(1, 2, "都"), Word(2, 3, "庁"), Word(3, 4, "へ")),
    )  # fmt: skip
    found = Replacer([Entry("東京都庁", "都庁舎")], "ja").apply(source).transcript
    assert found.words == (Word(0, 3, "都庁舎"), Word(3, 4, "へ"))
    assert found.text == found.segments[0].text == "都庁舎へ"


def test_a_flooding_lexicon_is_refused() -> None:
    with pytest.raises(Invalid, match="several times as long"):
        Replacer([free("a", "x" * 300)]).apply(Transcript("a" * 10_000))


def test_preview_shows_each_change_in_its_surroundings() -> None:
    found = Replacer([Entry("jon", "John")]).preview("Here is jon. And jon's dog.", around=5)
    assert [(p.before, p.old, p.new, p.after) for p in found] == [
        ("e is ", "jon", "John", ". And"), (" And ", "jon", "John", "'s do"),
    ]  # fmt: skip
    assert (found[0].start, found[0].end, found[0].entry) == (8, 11, 0)
    assert len(Replacer([Entry("a", "b")]).preview("a " * 50, limit=3)) == 3


# ------------------------------------------------------------------- properties and speed

ALPHABET = "abAB ßsSıİiI'’.-東京กาé\u0301\u00a0\n"
TERMS = st.text(st.sampled_from(ALPHABET), min_size=1, max_size=4)


@given(
    st.lists(st.tuples(TERMS, st.booleans(), st.booleans()), max_size=8),
    st.text(st.sampled_from(ALPHABET), max_size=40),
)
def test_every_edit_is_a_true_match_and_edits_never_overlap(
    terms: list[tuple[str, bool, bool]], text: str
) -> None:
    text = unicodedata.normalize("NFC", text)
    entries = [Entry(term, "#", match_case=case, whole_word=whole) for term, case, whole in terms]
    edits, problems = Replacer(entries).find(text)
    assert not problems
    at = 0
    for edit in edits:
        assert at <= edit.start < edit.end <= len(text)
        at = edit.end
        entry = entries[edit.source]
        if entry.match_case:
            assert level(text[edit.start : edit.end]) == level(entry.term)
        else:
            assert fold(text[edit.start : edit.end]) == fold(entry.term)


def naive(entries: list[Entry], text: str) -> list[tuple[int, int, int]]:
    """Every term tried at every place: leftmost, longest, minding case, first."""
    found = []
    for start in range(len(text)):
        for end in range(start + 1, len(text) + 1):
            part = text[start:end]
            if part != part.strip():
                continue
            for at, entry in enumerate(entries):
                same = level if entry.match_case else fold
                cuts = cuts_word if entry.whole_word else cuts_letter
                if (
                    same(part) == same(entry.term) != ""
                    and not cuts(text, start)
                    and not cuts(text, end)
                ):
                    found.append((start, -end, not entry.match_case, at))
    chosen, done = [], 0
    for start, end, _, at in sorted(found):
        if start >= done:
            chosen.append((start, -end, at))
            done = -end
    return chosen


@given(
    st.lists(st.tuples(TERMS, st.booleans(), st.booleans()), max_size=6),
    st.text(st.sampled_from(ALPHABET.replace("\n", "")), max_size=24),
)
def test_nothing_is_missed(terms: list[tuple[str, bool, bool]], text: str) -> None:
    text = unicodedata.normalize("NFC", text)
    entries = [Entry(term, "#", match_case=case, whole_word=whole) for term, case, whole in terms]
    edits, _ = Replacer(entries).find(text)
    assert [(edit.start, edit.end, edit.source) for edit in edits] == naive(entries, text)


def level(text: str) -> str:
    text = unicodedata.normalize("NFC", text).replace("’", "'")
    return re.sub(r"\s+", " ", text).strip()


def fold(text: str) -> str:
    return level(text).replace("İ", "i").casefold().replace("i\u0307", "i")


@given(
    st.lists(st.sampled_from(["ab", "cd", "ab,", "Cd.", "ef"]), min_size=1, max_size=15), st.data()
)
def test_replacing_keeps_times_in_order_and_all_levels_agree(
    texts: list[str], data: st.DataObject
) -> None:
    starts = sorted(data.draw(st.lists(st.floats(0, 99), min_size=len(texts), max_size=len(texts))))
    words = tuple(
        Word(a, b, w) for a, b, w in zip(starts, [*starts[1:], 100.0], texts, strict=True)
    )
    cut = data.draw(st.integers(0, len(texts)))
    halves = [part for part in (texts[:cut], texts[cut:]) if part]
    text = " ".join(texts)
    segments = tuple(Segment(0, 1, None, " ".join(part)) for part in halves)
    entries = [Entry("ab cd", "X"), Entry("cd", "one two three"), Entry("ef", ""), Entry("ab", "Y")]
    found = Replacer(entries).apply(Transcript(text, "en", 100, segments, words)).transcript
    assert all(w.start <= w.end for w in found.words)
    assert all(a.start <= b.start for a, b in pairwise(found.words))
    assert [w.word for w in found.words] == found.text.split()
    assert " ".join(s.text for s in found.segments).split() == found.text.split()


def test_the_matcher_agrees_with_trying_every_term_everywhere() -> None:
    """Against the slow and plain way, on text and terms drawn so that they meet often."""
    dice = random.Random(7)
    for _ in range(150):
        vocabulary = ["".join(dice.choices("abc", k=dice.randint(1, 3))) for _ in range(6)]
        text = " ".join(dice.choices(vocabulary, k=30))
        terms = list(
            dict.fromkeys(
                " ".join(dice.choices(vocabulary, k=dice.randint(1, 3))) for _ in range(8)
            )
        )
        longest_first = sorted(terms, key=len, reverse=True)
        parts = re.split(r"\b(" + "|".join(longest_first) + r")\b", text)
        expected = "".join(f"<{terms.index(p)}>" if n % 2 else p for n, p in enumerate(parts))
        assert replaced(text, *((term, f"<{n}>") for n, term in enumerate(terms))) == expected


def test_five_thousand_entries_are_quick_to_apply() -> None:
    """The full measurement is in bench/lexicon.py; this one has room for a busy machine."""
    dice = random.Random(1)
    vocabulary = [
        "".join(dice.choices("abcdefghijklmnop", k=dice.randint(3, 9))) for _ in range(20_000)
    ]
    lexicon = Replacer([Entry(" ".join(dice.choices(vocabulary, k=2)), "X") for _ in range(5_000)])
    text = " ".join(dice.choices(vocabulary, k=20_000))
    began = time.thread_time()
    lexicon.find(text)
    assert time.thread_time() - began < 1
