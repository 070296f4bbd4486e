"""Subtitles within the usual rules, and files that players read as we meant them."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transcription.subtitle_reader import read_srt, read_vtt
from transcription.scripts import width
from transcription.subtitles import (
    FORMATS,
    Cue,
    Rules,
    as_json,
    as_srt,
    as_txt,
    as_vtt,
    cues,
    download_name,
    rules_for,
)
from transcription.words import Segment, Transcript, Word, tidied

TALK = (
    "Good morning, everybody. Today we are going to talk about how the new media library keeps every file "
    "safe. It is not hard, but there are three things you should know: where the files are, who may see "
    "them, and what happens when something goes wrong! Are there any questions so far? No? Then we begin "
    "with the first chapter, which is about storage, buckets, disks and all the rest of it."
)


def said(text: str, *, letters_a_second: float = 14, start: float = 0.0) -> tuple[Word, ...]:
    """The words of a text at a speaker's pace, with a pause after each sentence."""
    words, at = [], start
    for one in text.split():
        lasts = (len(one) + 1) / letters_a_second
        words.append(Word(at, at + lasts * 0.9, one.strip(".,!?:").lower()))
        at += lasts + (0.6 if one[-1] in ".!?" else 0)
    return tuple(words)


def talk(text: str = TALK, *, language: str = "en", letters_a_second: float = 14) -> Transcript:
    words = said(text, letters_a_second=letters_a_second)
    end = words[-1].end
    return Transcript(text, language, end + 1, (Segment(0, end, None, text),), words)


def shown(found: list[Cue]) -> str:
    return " ".join(line for cue in found for line in cue.lines)


# ------------------------------------------------------------------- the rules


def test_a_talk_at_an_ordinary_pace_keeps_every_rule() -> None:
    found = cues(talk())
    assert shown(found) == TALK
    for cue in found:
        assert 1 <= len(cue.lines) <= 2
        assert all(width(line) <= 42 for line in cue.lines)
        assert 5 / 6 <= cue.end - cue.start <= 7.0
        assert len(cue.text) / (cue.end - cue.start) <= 20
    assert all(a.end <= b.start for a, b in pairwise(found))


def test_cues_end_where_sentences_do() -> None:
    found = cues(talk())
    assert sum(cue.lines[-1].endswith((".", "!", "?")) for cue in found) >= 4
    assert found[0].lines[-1].endswith(".") or len(found[0].text) > 42


def test_words_are_shown_while_they_are_said() -> None:
    source = talk()
    for cue in cues(source):
        first = cue.lines[0].split()[0].strip(".,!?:").lower()
        starts = [word.start for word in source.words if word.word == first]
        assert min(abs(cue.start - start) for start in starts) < 0.01


def test_a_short_cue_stays_as_long_as_the_next_one_lets_it() -> None:
    source = Transcript("Yes. No.", "en", 9, (), (Word(0, 0.2, "Yes."), Word(4, 4.1, "No.")))
    found = cues(source)
    assert [(cue.start, cue.end) for cue in found] == [(0, 0.833), (4, 4.833)]
    close = Transcript(
        "Yes. No.", "en", 9, (Segment(0, 0.2, "A", "Yes."), Segment(0.5, 0.7, "B", "No."))
    )
    assert cues(close)[0].end == pytest.approx(0.5 - Rules().gap, abs=1e-3)


def test_dense_text_is_given_the_pause_behind_it() -> None:
    text = "Internationalisation standards committee"
    source = Transcript(text, "en", 20, (Segment(0, 1, None, text), Segment(8, 9, None, "End.")))
    assert cues(source)[0].end == pytest.approx(len(text) / 17, abs=0.01)


def test_a_long_silence_under_a_short_text_is_cut_off() -> None:
    assert cues(Transcript("Hello.", "en", 30, (Segment(0, 30, None, "Hello."),)))[0].end == 7.0


def test_two_speakers_never_share_a_cue_and_a_pause_ends_one() -> None:
    segments = (
        Segment(0, 1, "A", "Hi."),
        Segment(1.05, 2, "B", "Hi you."),
        Segment(9, 10, "B", "So then."),
    )
    found = cues(Transcript("Hi. Hi you. So then.", "en", 10, segments))
    assert [(cue.speaker, cue.text, cue.turn) for cue in found] == [
        ("A", "Hi.", True), ("B", "Hi you.", True), ("B", "So then.", False),
    ]  # fmt: skip


def test_too_short_cues_of_one_speaker_are_joined() -> None:
    segments = tuple(Segment(n * 0.3, n * 0.3 + 0.25, "A", f"No {n}.") for n in range(3))
    assert [cue.text for cue in cues(Transcript("", "en", 3, segments))] == ["No 0. No 1. No 2."]


def test_japanese_lines_are_shorter_and_break_between_letters() -> None:
    text = "今日は良い天気ですね。メディアライブラリーはすべてのファイルを保管します。質問はありますか？"
    found = cues(Transcript(text, "ja", 20, (Segment(0, 20, None, text),)))
    assert "".join(line for cue in found for line in cue.lines) == text
    assert all(width(line) <= 26 for cue in found for line in cue.lines)
    assert not any(line[0] in "、。？」ー" for cue in found for line in cue.lines)
    assert rules_for("zh-TW").columns == 32


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("ar", "مرحبا بكم في مكتبة الوسائط الجديدة، حيث نحفظ كل الملفات بأمان تام لكل المستخدمين في الفريق."),
        ("he", "שלום לכולם, היום נדבר על ספריית המדיה החדשה ועל כל הדברים שצריך לדעת כדי להשתמש בה היטב."),
        ("hi", "नमस्ते, आज हम नई मीडिया लाइब्रेरी के बारे में बात करेंगे जो हर फ़ाइल को सुरक्षित रखती है।"),
        ("th", "สวัสดีครับวันนี้เราจะพูดถึงคลังสื่อใหม่ที่เก็บไฟล์ทุกไฟล์ไว้อย่างปลอดภัย"),
        ("fr", "Bonjour\u202f! Aujourd’hui, la médiathèque\u00a0: où sont-ils\u202f? Partout, dit-il."),
    ],
)  # fmt: skip
def test_every_script_keeps_its_text_and_its_lines(language: str, text: str) -> None:
    found = cues(Transcript(text, language, 12, (Segment(0, 12, None, text),)))
    glue = "" if language == "th" else " "
    assert glue.join(line for cue in found for line in cue.lines) == text
    assert all(width(line) <= 42 and len(cue.lines) <= 2 for cue in found for line in cue.lines)


def test_a_word_wider_than_the_screen_is_cut_between_letters() -> None:
    text = "e\u0301" * 100 + " end"
    found = cues(Transcript(text, "en", 5, (Segment(0, 5, None, text),)))
    assert "".join(line.replace(" ", "") for cue in found for line in cue.lines) == text.replace(
        " ", ""
    )
    assert all(width(line) <= 42 and line[0] != "\u0301" for cue in found for line in cue.lines)


# ------------------------------------------------------------------- files


def test_srt_names_a_speaker_where_it_changes() -> None:
    segments = (
        Segment(0, 2, "Anna", "Hello there."),
        Segment(4, 6, "Anna", "Still me."),
        Segment(8, 9, "Bo", "Hi."),
    )
    found = read_srt(as_srt(Transcript("Hello there. Still me. Hi.", "en", 9, segments)))
    assert [cue.lines for cue in found] == [["Anna: Hello there."], ["Still me."], ["Bo: Hi."]]


def test_a_long_name_does_not_break_the_lines() -> None:
    segments = (
        Segment(
            0,
            5,
            "Professor Doctor Maximilian von und zu Hohenstein",
            "One two three four five six seven.",
        ),
    )
    found = read_srt(as_srt(Transcript("", "en", 5, segments)))
    assert all(len(line) <= 42 for cue in found for line in cue.lines)
    assert found[0].lines[0].startswith("Professor Doctor M…: One")


def test_vtt_names_the_speaker_of_every_cue() -> None:
    segments = (Segment(0, 2, "Anna", "Hello."), Segment(2, 4, None, "Hi."))
    found = read_vtt(as_vtt(Transcript("Hello. Hi.", "en", 4, segments)))
    assert [(cue.speaker, cue.lines) for cue in found] == [("Anna", ["Hello."]), (None, ["Hi."])]


HOSTILE = "<script>alert(1)</script> a --> b & &amp; {\\an8} 1 < 2 <i>x</i>"


def test_nothing_said_is_taken_for_markup() -> None:
    source = Transcript(HOSTILE, "en", 9, (Segment(0, 9, "<v>&\n-->", HOSTILE),))
    vtt = as_vtt(source)
    found = read_vtt(vtt)
    assert "<script" not in vtt
    assert " ".join(line for cue in found for line in cue.lines) == HOSTILE
    assert found[0].speaker == "<v>& -->"
    srt = as_srt(source)
    read_srt(srt)
    assert "<script" not in srt
    assert "{\\" not in srt


def test_plain_text_has_a_paragraph_for_every_turn() -> None:
    segments = (
        Segment(0, 1, "A", "One."),
        Segment(1, 2, "A", "Two."),
        Segment(2, 3, "B", "Three."),
        Segment(3, 4, None, "Four."),
    )
    assert (
        as_txt(Transcript("One. Two. Three. Four.", "en", 4, segments))
        == "A: One. Two.\n\nB: Three.\n\nFour.\n"
    )
    assert as_txt(Transcript("One.\n\nTwo.", "en")) == "One.\n\nTwo.\n"


def test_json_is_read_back() -> None:
    assert Transcript.from_json(json.loads(as_json(talk()))).text == TALK


def test_an_empty_transcript_makes_empty_files() -> None:
    assert as_txt(Transcript()) == ""
    assert as_srt(Transcript()) == ""
    assert as_vtt(Transcript()) == "WEBVTT\n"


def test_text_without_any_time_still_makes_subtitles() -> None:
    found = read_srt(as_srt(Transcript(TALK)))
    assert " ".join(line for cue in found for line in cue.lines) == TALK


def test_past_a_hundred_hours_the_clock_grows() -> None:
    found = read_srt(as_srt(Transcript("x", "en", None, (Segment(360_001, 360_002, None, "x"),))))
    assert found[0].start == 360_001


@pytest.mark.parametrize("form", FORMATS)
def test_download_names_tell_players_the_language(form: str) -> None:
    expected = f"talk.en.{form}" if form in {"srt", "vtt"} else f"talk.{form}"
    assert download_name("talk", "en", form) == expected
    assert download_name("", None, form) == f"transcript.{form}"


# ------------------------------------------------------------------- whatever comes

TIMES = st.one_of(st.floats(-5, 50), st.sampled_from([0.0, math.nan, math.inf, -1.0, 1e9]))
TEXTS = st.text(st.sampled_from("ab <>&-.!?{\\}東京、กé\u0301👨‍👩\u202f\n:1"), max_size=50)


@given(
    st.lists(st.tuples(TIMES, TIMES, st.sampled_from([None, "A", "B<"]), TEXTS), max_size=8),
    st.lists(st.tuples(TIMES, TIMES, st.sampled_from(["ab", "東", "b.", ""])), max_size=8),
    st.sampled_from(["en", "ja", None]),
)
def test_whatever_comes_the_files_are_well_formed_and_no_letter_is_lost(
    segments: list[tuple[float, float, str | None, str]],
    words: list[tuple[float, float, str]],
    language: str | None,
) -> None:
    source = tidied(
        Transcript(
            "",
            language,
            None,
            tuple(Segment(*each) for each in segments),
            tuple(Word(*each) for each in words),
        )
    )
    for found in (read_srt(as_srt(source)), read_vtt(as_vtt(source))):
        for cue in found:
            assert cue.start < cue.end
            assert len(cue.lines) <= 2
            assert all(line.strip() for line in cue.lines)
        assert all(a.end <= b.start for a, b in pairwise(found))
    letters = "".join(segment.text for segment in source.segments)
    spoken = "".join(line for cue in read_vtt(as_vtt(source)) for line in cue.lines)
    assert sorted(c for c in spoken if c.isalnum()) == sorted(c for c in letters if c.isalnum())


@given(
    st.lists(
        st.sampled_from("Well yes. no, indeed! perhaps tomorrow: (maybe) so".split()),
        min_size=1,
        max_size=60,
    ),
    st.floats(5, 40),
)
def test_what_was_written_is_read_back(texts: list[str], pace: float) -> None:
    text = " ".join(texts)
    source = talk(text, letters_a_second=pace)
    for found in (read_srt(as_srt(source)), read_vtt(as_vtt(source))):
        assert " ".join(line for cue in found for line in cue.lines) == text
        expected = cues(source)
        assert [(cue.start, cue.end) for cue in found] == [(c.start, c.end) for c in expected]
        assert all(width(line) <= 42 for cue in found for line in cue.lines)
