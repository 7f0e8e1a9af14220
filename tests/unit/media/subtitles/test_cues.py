"""Cues: the rules that every one keeps, where lines and cues end, and the report of what can't be kept."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediabuild.media.formats import Probe, Sentence, VideoTrack
from mediabuild.media.subtitles.cue_rules import CueParams, Rules, rules_for
from mediabuild.media.subtitles.cues import Cue, build_cues
from mediabuild.media.subtitles.lines import Breaks
from mediabuild.media.subtitles.quality import broken_rules
from mediabuild.media.subtitles.spreading import spread
from mediabuild.media.subtitles.tokens import Token, cut_wide
from mediabuild.media.text.function_words import clinging
from mediabuild.media.text.words import columns, may_break, split_words

RULES = Rules(
    language="en",
    max_line_chars=42,
    max_lines=2,
    min_ms=833,
    max_ms=7000,
    chars_per_second=20,
    gap_ms=83,
    max_pause_ms=1000,
    max_shift_ms=500,
)
SPANISH = replace(RULES, language="es", chars_per_second=17)


def spoken(text: str, language: str = "en", *, word_ms: int = 300, start_ms: int = 500) -> list[Token]:
    """Words evenly spoken; `[1500]` in the text is a silence of so many ms, and `.`, `!`, `?` end a sentence."""
    tokens: list[Token] = []
    for piece in split_words(text, language):
        if silence := re.fullmatch(r"\[(\d+)\]", piece.text):
            start_ms += int(silence[1])
            continue
        ends = bool(re.search("[.!?。！？]$", piece.text)) and piece.text not in ("Mr.", "Dr.", "J.", "R.")
        tokens.append(Token(piece.text, start_ms, start_ms + word_ms * 9 // 10, ends, True, piece.space_after))
        start_ms += word_ms
    return tokens


def lines_of(text: str, language: str = "en", **timing: int) -> list[list[str]]:
    """The lines of each cue."""
    rules = rules_for(language, CueParams(), None)
    tokens = cut_wide(spoken(text, language, **timing), rules.line_columns)
    return [list(cue.lines) for cue in build_cues(tokens, rules)]


@st.composite
def tokens(draw: st.DrawFn) -> list[Token]:
    """Words of any length with any times in order: touching, without duration, or far apart."""
    texts = draw(
        st.lists(st.text("abcdeé,.?", min_size=1, max_size=60) | st.sampled_from(["the", "I", "Al"]), max_size=60)
    )
    now_ms, drawn = 0, []
    for text in texts:
        now_ms += draw(st.sampled_from([0, 0, 10, 200, 900, 1000, 4000]))
        end_ms = now_ms + draw(st.integers(0, 1200))
        drawn.append(Token(text, now_ms, end_ms, draw(st.booleans())))
        now_ms = end_ms
    return drawn


@settings(max_examples=200, deadline=None)
@given(words=tokens(), lines=st.integers(1, 3), gap_ms=st.sampled_from([0, 67, 83]))
def test_cues_keep_the_rules_that_can_always_be_kept(words: list[Token], lines: int, gap_ms: int) -> None:
    """Whatever is spoken: each word once and in order, gaps between cues, lines and durations within limits."""
    rules = replace(RULES, max_lines=lines, gap_ms=gap_ms)
    cues = build_cues(words, rules)
    assert " ".join(line for cue in cues for line in cue.lines).split() == [word.text for word in words]
    assert [index for cue in cues for index in range(cue.first, cue.last + 1)] == list(range(len(words)))
    for cue, following in pairwise(cues):
        assert following.start_ms >= cue.end_ms + gap_ms
    for cue in cues:
        assert cue.start_ms < cue.end_ms <= cue.start_ms + rules.max_ms
        assert cue.start_ms >= words[cue.first].start_ms - 500
        assert len(cue.lines) <= lines
        assert all(len(line) <= 42 or " " not in line for line in cue.lines)


@settings(max_examples=100, deadline=None)
@given(words=tokens())
def test_the_report_names_exactly_the_broken_limits(words: list[Token]) -> None:
    """A cue that is too short, too fast, too wide or alone is reported, and one that isn't is not."""
    cues = build_cues(words, RULES)
    reported = {(violation.cue, violation.rule) for violation in broken_rules(words, cues, RULES)}
    for number, cue in enumerate(cues, 1):
        time_ms = cue.end_ms - cue.start_ms
        assert ((number, "min_s") in reported) == (time_ms < 833)
        assert ((number, "line_chars") in reported) == any(columns(line) > 42 for line in cue.lines)
        text = " ".join(cue.lines)
        assert ((number, "chars_per_second") in reported) == (round(1000 * columns(text) / time_ms, 2) > 20)
        alone = cue.first == cue.last and not (words[cue.last].ends and (not cue.first or words[cue.first - 1].ends))
        assert ((number, "orphan") in reported) == alone
        assert not reported & {(number, "max_s"), (number, "gap_s"), (number, "overlap_s")}
        small = sum(line.split()[-1] == "the" for line in cue.lines[:-1])
        small += words[cue.last].text == "the" and not words[cue.last].ends and cue.last + 1 < len(words)
        assert ((number, "line_end") in reported) >= bool(small)


def test_each_rule_is_reported_where_it_is_broken() -> None:
    """Cues as no builder of ours makes them."""
    words = spoken("We saw the house of Mary Ann. Then")
    words += spoken("彼は「行く」と", "ja", start_ms=9000)
    cues = [
        Cue(500, 1400, ("We saw the",), 0, 2),
        Cue(1300, 2200, ("house of", "Mary"), 3, 5),
        Cue(2240, 3200, ("Ann.", "Then"), 6, 7),
        Cue(9000, 9900, ("彼は「", "行く」と"), 8, len(words) - 1),
    ]
    found = {(violation.cue, violation.rule, violation.value) for violation in broken_rules(words, cues, RULES)}
    assert {(1, "line_end", 1), (2, "line_end", 1), (2, "name", 1), (4, "break", 1)} <= found
    assert {(2, "overlap_s", 0.1), (2, "gap_s", 0.0), (3, "gap_s", 0.04)} <= found
    late = [Cue(500, 9000, ("We saw the house",), 0, 3), Cue(9100, 9200, ("of",), 4, 4)]
    found = {(violation.cue, violation.rule, violation.value) for violation in broken_rules(words, late, RULES)}
    assert {(1, "max_s", 8.5), (2, "orphan", 1), (2, "min_s", 0.1)} <= found


@settings(max_examples=100, deadline=None)
@given(words=tokens(), texts=st.lists(st.text("abc", min_size=1, max_size=12), min_size=1, max_size=40))
def test_a_translation_is_shown_while_its_sentence_is_spoken(words: list[Token], texts: list[str]) -> None:
    """A translation's words get times inside the talk, in order, and none in a long pause."""
    if not words:
        return
    found = spread([Sentence(0, "", " ".join(texts), 0, len(words) - 1)], words, "es", 1000)
    assert [token.text for token in found] == texts
    pauses = [(a.end_ms, b.start_ms) for a, b in pairwise(words) if b.start_ms - a.end_ms >= 1000]
    for token in found:
        assert words[0].start_ms <= token.start_ms <= token.end_ms <= max(word.end_ms for word in words)
        assert not any(a < token.start_ms < b or a < token.end_ms < b for a, b in pauses)
    assert all(one.start_ms <= other.start_ms for one, other in pairwise(found))


ENGLISH_LINES = [
    "When the winter came to the county at last, the family of Mr. Dashwood had gone to the far end of it.",
    "I have been told that we should not have gone there with the others before the end of the war.",
    "She couldn't have been happier about the letter that her sister had written to the old man of the house.",
    "They were going to the theatre with Mary Ann Evans and Doctor John Smith from New York on that evening.",
]
SPANISH_LINES = [
    "Cuando por fin llegó el invierno al condado, la familia del señor García se había ido al otro extremo.",
    "No me lo había dicho nunca y yo no se lo quise preguntar a su hermana en la casa de los abuelos.",
    "Las personas que viven en las ciudades de la costa no han visto jamás una montaña con la nieve de verdad.",
    "Ayer vimos a Juan de la Cruz y a María del Carmen López en el teatro de la ciudad de Buenos Aires.",
]


@pytest.mark.parametrize(("language", "texts"), [("en", ENGLISH_LINES), ("es", SPANISH_LINES)])
@pytest.mark.parametrize("pauses", ["", " [1200]"])
def test_no_line_ends_on_a_word_that_clings_to_the_next(language: str, texts: list[str], pauses: str) -> None:
    """Articles, prepositions, auxiliaries, negations, clitics, titles: in the middle of a cue, at its end, and where
    the speaker stops to think behind one."""
    for text in texts:
        words = text.split()
        for at in range(3, len(words) - 3) if pauses else [0]:
            halting = " ".join(words[:at]) + pauses + " " + " ".join(words[at:])
            for line in [line for cue in lines_of(halting, language) for line in cue]:
                last = line.split()[-1].lower()
                assert last.rstrip(".") not in clinging(language) or last == words[-1].lower(), (halting, line)


def test_names_stay_together() -> None:
    """First and last names, initials, particles, places; a name that a small word begins is none."""
    for text in [
        ENGLISH_LINES[3],
        *(
            f"It is said that {'very ' * n}old J. R. Smith of New York has met Ludwig van "
            "Beethoven in Los Angeles and in San Francisco."
            for n in range(5)
        ),
    ]:
        inside = [line for cue in lines_of(text) for line in cue]
        for name in (
            "Mary Ann Evans",
            "John Smith",
            "J. R. Smith",
            "New York",
            "Ludwig van Beethoven",
            "San Francisco",
        ):
            assert (name in text) == any(name in line for line in inside), (name, inside)
    tokens = spoken("In London I'm Mr. Smith and Peter saw Paris, Rome and Oslo.")
    assert "name" not in Breaks(tokens, "en").faults
    tokens = spoken("¿El Servicio de habitaciones? Mándenme una. Ya vino Juan de la Cruz. Y Ana del Río.", "es")
    faults = [token.text for token, fault in zip(tokens, Breaks(tokens, "es").faults, strict=True) if fault == "name"]
    assert faults == ["Juan", "Ana"]


def test_capitals_tell_no_name_where_most_words_have_them() -> None:
    """A headline, and German."""
    for text, language in (("THE OLD MAN AND THE SEA IS A BOOK", "en"), ("Der Hund sah das Haus und den Garten", "de")):
        words = spoken(text, language)
        assert "name" not in Breaks(words, language).faults


@pytest.mark.parametrize(
    "text", ["He went [1500] home.", "Yes [1200] we can do it.", "We [1100] can [1100] do it now."]
)
def test_no_word_is_shown_alone(text: str) -> None:
    """A pause before the last word, behind the first, or around one."""
    assert all(len(" ".join(cue).split()) > 1 for cue in lines_of(text))


def test_a_sentence_of_one_word_may_stand_alone_in_silence() -> None:
    """And joins its neighbours where it doesn't."""
    assert lines_of("No. [2000] I won't go.") == [["No."], ["I won't go."]]
    assert lines_of("No. I won't go.") == [["No. I won't go."]]


def test_a_cue_uses_time_that_its_neighbours_do_not_need() -> None:
    """Fast words between slow ones: too fast where they are spoken, not too fast as they are shown."""
    slow, fast = "Bueno, pues ya veremos.", "Extraordinariamente interesantísimas conversaciones internacionales."
    words = spoken(slow, "es", word_ms=900)
    words += spoken(fast, "es", word_ms=800, start_ms=words[-1].end_ms + 200)
    words += spoken(slow, "es", word_ms=900, start_ms=words[-1].end_ms + 100)
    still = build_cues(words, replace(SPANISH, max_shift_ms=0))
    moved = build_cues(words, SPANISH)
    assert "chars_per_second" in {v.rule for v in broken_rules(words, still, replace(SPANISH, max_shift_ms=0))}
    assert [v.rule for v in broken_rules(words, moved, SPANISH)] == []
    assert all(abs(cue.start_ms - words[cue.first].start_ms) <= 500 for cue in moved)


@pytest.mark.parametrize("rate", [0.0015, 0.5, 1.0, 5.0, 10.0, 23.976, 60.0])
def test_the_gap_is_two_frames_and_never_long(rate: float) -> None:
    """One picture for ten minutes, slides, a film: at most a tenth of a second, so that there is time for the text."""
    video = VideoTrack(0, "h264", 640, 360, 0.0, rate, False)
    probe = Probe("mp4", 30.0, 0.0, 30.0, 0, None, [], [video])
    rules = rules_for("en", CueParams(), probe)
    assert rules.gap_ms == (100 if rate <= 20 else {23.976: 84, 60.0: 34}[rate])
    words = spoken("One two three four five six seven. " * 12)
    cues = build_cues(words, rules)
    assert {b.start_ms - a.end_ms for a, b in pairwise(cues)} == {rules.gap_ms}
    assert not [v for v in broken_rules(words, cues, rules) if v.rule in ("min_s", "end_s")]


@settings(max_examples=100, deadline=None)
@given(words=tokens(), end_ms=st.integers(1000, 60_000))
def test_no_cue_starts_at_the_recordings_end_or_behind_it(words: list[Token], end_ms: int) -> None:
    """Even of a text that is longer than the recording."""
    rules = replace(RULES, end_ms=end_ms, gap_ms=0)
    cues = build_cues(words, rules)
    assert all(0 <= cue.start_ms < end_ms for cue in cues) or len(cues) > end_ms / 2


CJK = {
    "ja": "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗い所でニャーニャー泣いていた。",
    "zh": "从前有一座山，山里有一座庙，庙里有一个老和尚正在给小和尚讲故事。他说：“很久很久以前，这里什么都没有。”",
    "th": "กาลครั้งหนึ่งนานมาแล้วมีชายคนหนึ่งอาศัยอยู่ในหมู่บ้านเล็กๆใกล้ภูเขา เขามีลูกสาวสามคนซึ่งทุกคนรักเขามาก",
}


@pytest.mark.parametrize("language", CJK)
def test_scripts_without_spaces_break_where_it_is_legal(language: str) -> None:
    """Lines as short as their readers are used to, no punctuation mark or small kana at a beginning, and the text
    itself neither gains nor loses a space."""
    shown = lines_of(CJK[language], language, word_ms=500)
    limit = {"ja": 26, "zh": 32, "th": 35}[language]
    assert len(shown) > 1
    for cue in shown:
        assert len(cue) <= 2
        assert all(columns(line.rstrip()) <= limit for line in cue)
        assert all(may_break(upper, lower) for upper, lower in pairwise(cue))
        assert not any(re.match("[、。，！？」”っゃゅょーๆะา]", line) for line in cue)
    assert "".join("".join(cue) for cue in shown).replace(" ", "") == CJK[language].replace(" ", "")


@pytest.mark.parametrize(
    ("language", "chars"), [("ja", 13), ("zh-TW", 16), ("ko", 16), ("th", 35), ("en", 42), ("ar", 42)]
)
def test_a_line_is_as_long_as_its_language_allows(language: str, chars: int) -> None:
    """A param wins."""
    assert rules_for(language, CueParams(), None).max_line_chars == chars
    assert rules_for(language, CueParams(max_line_chars=20), None).max_line_chars == 20


@pytest.mark.parametrize(
    ("shape", "chars"),
    [((1920, 1080), 42), ((640, 360), 42), ((1080, 1920), 33), ((1080, 1080), 33), ((2560, 1080), 42)],
)
def test_a_line_is_as_long_as_the_picture_allows(shape: tuple[int, int], chars: int) -> None:
    """An upright picture has room for fewer letters."""
    video = VideoTrack(0, "h264", 640, 360, 0.0, 25.0, shown_width_px=shape[0], shown_height_px=shape[1])
    probe = Probe("mp4", 30.0, 0.0, 30.0, 0, None, [], [video])
    assert rules_for("en", CueParams(), probe).max_line_chars == chars
