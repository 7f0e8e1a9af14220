"""Where sentences end: as a reader says, in any script, and where the speaker falls silent."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediabuild.media.formats import Word
from mediabuild.media.text.sentences import sentence_spans
from mediabuild.media.text.words import split_words, text_of

SPEECH = Path(__file__).parents[3] / "speech"


def sentences_of(*segments: str, pause_s: float = 0.5, language: str = "en") -> list[str]:
    """The sentences that segments are taken for whose words take 0.3 s each, with a pause after each segment."""
    words: list[Word] = []
    now_s = 0.0
    for text in segments:
        for piece in split_words(text, language):
            words.append(Word(piece.text, round(now_s, 3), round(now_s + 0.25, 3), True, piece.space_after))
            now_s += 0.3
        now_s += pause_s
    return [text_of(words[a : b + 1]) for a, b in sentence_spans(words, language)]


def test_sentences_end_where_a_reader_says_so() -> None:
    """Titles, initials, decimals and quotes inside a sentence don't end it; a segment's end doesn't either."""
    assert sentences_of(
        "Mr. and Mrs. J. Dashwood paid $3.50, i.e. no", "more than No. 5. No. Yes!", '"Why?" he said.'
    ) == [
        "Mr. and Mrs. J. Dashwood paid $3.50, i.e. no more than No. 5.",
        "No.",
        "Yes!",
        '"Why?" he said.',
    ]


def test_a_long_silence_ends_a_sentence() -> None:
    """Without punctuation, three seconds of silence do."""
    assert sentences_of("he was not", "an ill disposed man", pause_s=3.5) == ["he was not", "an ill disposed man"]


def test_speech_without_punctuation_is_cut_at_its_pauses() -> None:
    """A reading without a full stop becomes sentences of at most 60 words, none lost, cut between its segments."""
    texts = [path.read_text().strip() for path in sorted(SPEECH.glob("*.txt"))] * 3
    sentences = sentences_of(*texts, pause_s=0.8)
    assert " ".join(sentences) == " ".join(texts)
    assert len(sentences) > 1
    assert all(len(sentence.split()) <= 60 for sentence in sentences)
    assert all(any(sentence.endswith(text) for text in texts) for sentence in sentences)


@settings(max_examples=100, deadline=None)
@given(
    words=st.lists(st.sampled_from(["a", "Dr.", "So", "end.", "why?", "x,", "I.", '"Oh!"', "..."]), max_size=80),
    limit=st.integers(10, 70),
)
def test_every_word_is_in_exactly_one_sentence(words: list[str], limit: int) -> None:
    """Sentences follow on each other without gaps, and none is longer than the limit."""
    spoken = [Word(word, float(i), i + 0.5) for i, word in enumerate(words)]
    spans = sentence_spans(spoken, "en", max_words=limit)
    assert [index for first, last in spans for index in range(first, last + 1)] == list(range(len(words)))
    assert all(last - first < limit for first, last in spans)


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        ("ar", "كيف حالك؟ | أنا بخير. | شكرا لك! | ماذا تفعل؟"),
        ("ur", "آپ کیسے ہیں؟ | میں ٹھیک ہوں۔ | شکریہ۔"),
        ("hi", "आप कैसे हैं? | मैं ठीक हूँ। | धन्यवाद। | यह अच्छा है॥ | फिर मिलेंगे।"),
        ("hy", "Ինչպե՞ս եք։ | Ես լավ եմ։"),
        ("am", "ሰላም። | እንዴት ነህ፧ | ደህና።"),
        ("my", "မင်္ဂလာပါ။ | နေကောင်းလား။"),
        ("km", "សួស្តី។ | សុខសប្បាយទេ?"),
        ("zh", "今天天气很好。|我们去散步吧！|你觉得怎么样？|他说：“我不知道。”|然后走了。"),
        ("ja", "彼は「行こう。」と言った。|そして出かけた！"),
        ("el", "Τι κάνεις; | Καλά."),
        ("en", "Dr. No is here. | At 5 p.m. we left. | It is the U.S. Army. | He said... nothing. | It is 42. | Yes."),
        ("en", "'Twas good. | Then it ended. | The dogs' bone. | She is 5' tall. | \"Never.\" | 1 < 2. | Yes <p>."),
        ("es", "¿Qué pasó? | El Sr. García llegó. | «Hola», dijo. | Sra. López. | EE. UU. es grande."),
        ("fr", "M. Dupont est là. | Bonjour !"),
        ("de", "Am 3. Mai kam Dr. Müller. | Das ist z.B. gut. | Er ging."),
    ],
)
def test_sentences_of_many_scripts(language: str, sentences: str) -> None:
    """Each script's own marks, titles before names, ordinals, and apostrophes that open nothing."""
    assert sentences_of(sentences.replace("|", ""), language=language) == [
        part.strip() for part in sentences.split("|")
    ]


def test_what_an_edit_changes_is_near() -> None:
    """A word more in the middle of a long text moves no other sentence's end."""
    text = ["It was late.", "He went home (at last).", 'She said "no.', "Nobody knew."] * 10
    before = sentences_of(" ".join(text))
    text[18] = "She said absolutely nothing."
    assert len(set(sentences_of(" ".join(text))) ^ set(before)) <= 1
