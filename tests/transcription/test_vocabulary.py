"""What providers are told to listen for: the useful first, within what they take."""

from __future__ import annotations

from transcription.entries import Entry
from transcription.vocabulary import (
    AWS_BYTES,
    DEEPGRAM_TERMS,
    DEEPGRAM_TOKENS,
    WHISPER_TOKENS,
    aws_phrases,
    estimated_tokens,
    keyterms,
    ranked,
    whisper_prompt,
)

ENTRIES = [
    Entry("cuban eddies", "Kubernetes"),
    Entry("open ai", "OpenAI"),
    Entry("teh", "the"),
    Entry("mueller", "Müller"),
    Entry("gp t four", "GPT-4"),
    Entry("gpt 4", "GPT-4"),
    Entry(r"(\d+) euro", r"\1 €", regex=True),
    Entry("um", ""),
    Entry("x", "…"),
    Entry("long", "a whole sentence of many more words than five"),
]


def test_the_useful_come_first_and_each_once() -> None:
    assert ranked(ENTRIES) == ["OpenAI", "GPT-4", "Kubernetes", "Müller", "the"]


def test_what_was_wished_comes_before_all_and_what_was_used_before_the_rest() -> None:
    found = ranked(
        ENTRIES, wished=["  Anna \n Bell ", "", "müller"], used={"the": 9, "Kubernetes": 3}
    )
    assert found == ["Anna Bell", "müller", "the", "Kubernetes", "OpenAI", "GPT-4"]


def test_a_prompt_has_the_most_useful_last_and_no_word_of_ours() -> None:
    assert whisper_prompt(["OpenAI", "Müller"]) == "Müller, OpenAI."
    assert (
        whisper_prompt(["OpenAI"], context="A talk\nabout clouds.")
        == "A talk about clouds. OpenAI."
    )
    assert whisper_prompt([]) == ""


def test_a_prompt_never_passes_what_whisper_reads() -> None:
    many = [f"Produktname{n} Größe" for n in range(500)]
    found = whisper_prompt(many, context="word " * 2000)
    assert 100 < estimated_tokens(found) <= WHISPER_TOKENS
    assert found.endswith("Produktname0 Größe.")
    assert estimated_tokens(whisper_prompt(["東京" * 10] * 200)) <= WHISPER_TOKENS


def test_key_terms_keep_deepgrams_limits() -> None:
    assert len(keyterms([f"a{n}" for n in range(500)])) == DEEPGRAM_TERMS
    long = keyterms([f"Antidisestablishment{n}" for n in range(500)])
    assert sum(map(estimated_tokens, long)) <= DEEPGRAM_TOKENS
    assert keyterms(["b", "a"]) == ["b", "a"]


def test_phrases_for_aws_hold_only_what_it_takes() -> None:
    terms = ["New York", "Anna-Maria Müller", "CLI tool", "GPT-4", "C++", "O'Brien", "New York"]
    assert aws_phrases(terms) == ["New-York", "Anna-Maria-Müller", "C.L.I.-tool", "O'Brien"]
    many = aws_phrases(["Begriff" * 30 + "abcdefghij"[n % 10] * (n // 10) for n in range(400)])
    assert sum(len(phrase.encode()) + 1 for phrase in many) <= AWS_BYTES


def test_tokens_are_estimated_rather_too_high() -> None:
    assert estimated_tokens("") == 0
    assert estimated_tokens("Kubernetes") == 4  # two or three letters to a piece
    assert estimated_tokens("東京") == 4  # bytes of a letter are seldom one token
    assert estimated_tokens("a" * 50) == 20
