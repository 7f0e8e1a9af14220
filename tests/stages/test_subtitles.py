"""Subtitles: the rules that every cue keeps, the files that players read, and the report of what can't be kept."""

from __future__ import annotations

import html
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pysubs2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediabuild.errors import StageError
from mediabuild.media import formats
from mediabuild.media.ffmpeg import ffmpeg_path
from mediabuild.media.formats import Probe, Segment, Sentence, Transcript, Translation, VideoTrack, Word
from mediabuild.pipeline.loading import load_stage

STAGE = load_stage(Path(__file__).parents[2] / "stages" / "subtitles.py")
assert STAGE.run is not None
made: Any = sys.modules[STAGE.run.__module__]
RULES = made.Rules(
    max_line_chars=42, max_lines=2, min_ms=833, max_ms=7000, chars_per_second=20, gap_ms=83, max_pause_ms=1000
)
HARD = r"a <i>b</i> AT&T &lt; {x} {\an8}y \N \h 1 < n and m > 2 --> end <b"


def said(text: str, *, start_s: float = 0.5, word_s: float = 0.3, language: str = "en") -> Transcript:
    """A transcript of one segment, its words evenly spoken."""
    words = [
        Word(word, round(start_s + i * word_s, 3), round(start_s + (i + 0.9) * word_s, 3))
        for i, word in enumerate(text.split())
    ]
    segments = [Segment(0, words[0].start_s, words[-1].end_s, text, words=words)] if words else []
    return Transcript(language, "param", segments)


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def written(document: Any, name: str = "transcript.json") -> Path:
        formats.write(tmp_path / name, document)
        return tmp_path / name

    return written


@st.composite
def tokens(draw: st.DrawFn) -> list[Any]:
    """Words of any length with any times in order: touching, without duration, or far apart."""
    texts = draw(st.lists(st.text("abcdeé,.?", min_size=1, max_size=60), max_size=60))
    now_ms, drawn = 0, []
    for text in texts:
        now_ms += draw(st.sampled_from([0, 0, 10, 200, 900, 1000, 4000]))
        end_ms = now_ms + draw(st.integers(0, 1200))
        drawn.append(made.Token(text, now_ms, end_ms, draw(st.booleans())))
        now_ms = end_ms
    return drawn


@settings(max_examples=200, deadline=None)
@given(words=tokens(), lines=st.integers(1, 3), gap_ms=st.sampled_from([0, 67, 83]))
def test_cues_keep_the_rules_that_can_always_be_kept(words: list[Any], lines: int, gap_ms: int) -> None:
    """Whatever is spoken: each word once and in order, gaps between cues, lines and durations within limits."""
    rules = made.Rules(**{**vars(RULES), "max_lines": lines, "gap_ms": gap_ms})
    cues = made.build_cues(words, rules)
    assert " ".join(line for cue in cues for line in cue.lines).split() == [word.text for word in words]
    assert [index for cue in cues for index in range(cue.first, cue.last + 1)] == list(range(len(words)))
    for cue, following in pairwise(cues):
        assert following.start_ms >= cue.end_ms + gap_ms
    for cue in cues:
        assert cue.start_ms < cue.end_ms <= cue.start_ms + rules.max_ms
        assert cue.start_ms >= words[cue.first].start_ms
        assert len(cue.lines) <= lines
        assert all(len(line) <= 42 or " " not in line for line in cue.lines)


@settings(max_examples=100, deadline=None)
@given(words=tokens())
def test_the_report_names_exactly_the_broken_limits(words: list[Any]) -> None:
    """A cue that is too short, too fast or too wide is reported, and one that isn't is not."""
    cues = made.build_cues(words, RULES)
    reported = {(violation.cue, violation.rule) for violation in made.broken_rules("en", cues, RULES)}
    for number, cue in enumerate(cues, 1):
        time_ms = cue.end_ms - cue.start_ms
        assert ((number, "min_s") in reported) == (time_ms < 833)
        assert ((number, "line_chars") in reported) == any(len(line) > 42 for line in cue.lines)
        text = "\n".join(cue.lines)
        assert ((number, "chars_per_second") in reported) == (round(1000 * len(text) / time_ms, 2) > 20)
        assert (number, "max_s") not in reported


@settings(max_examples=100, deadline=None)
@given(words=tokens(), texts=st.lists(st.text("abc", min_size=1, max_size=12), min_size=1, max_size=40))
def test_a_translation_is_shown_while_its_sentence_is_spoken(words: list[Any], texts: list[str]) -> None:
    """A translation's words get times inside the talk, in order, and none in a long pause."""
    if not words:
        return
    spoken = [Word(word.text, word.start_ms / 1000, word.end_ms / 1000) for word in words]
    spread = made.spread([Sentence(0, "", " ".join(texts), 0, len(words) - 1)], spoken, 1.0)
    assert [token.text for token in spread] == texts
    talk = made._talk(words, 1000)
    assert all(any(a <= token.start_ms <= token.end_ms <= b for a, b in talk) for token in spread)
    assert all(one.start_ms <= other.start_ms for one, other in pairwise(spread))


def test_lines_break_where_the_sense_allows(run_stage: Any, write: Any) -> None:
    """A line ends at a comma rather than after an article, and a title is not torn from its name."""
    text = "When the winter came to the county at last, the family of Mr. Dashwood had gone to the far end of it."
    out = run_stage("subtitles", {"transcript": write(said(text, word_s=0.4))}).out
    cues = pysubs2.load(str(out / "subtitles.en.srt"))
    lines = [line for cue in cues for line in cue.plaintext.split("\n")]
    assert lines[0] == "When the winter came"
    assert lines[1] == "to the county at last,"
    assert not any(line.endswith((" the", "Mr.", " of")) for line in lines)


def test_a_long_pause_inside_a_sentence_ends_the_cue(run_stage: Any, write: Any) -> None:
    """Nothing is on the screen in the middle of a silence of two and a half seconds, in either language."""
    words = said("He was not an").segments[0].words + said("ill disposed young man.", start_s=4.2).segments[0].words
    transcript = Transcript("en", "param", [Segment(0, 0.5, 5.4, "", words=words)])
    spanish = Translation("es", [Sentence(0, "", "Él no era un joven mal dispuesto.", 0, 7)])
    inputs = {"transcript": write(transcript), "translations": {"es": write(spanish, "es.json")}}
    out = run_stage("subtitles", inputs).out
    for language in ("en", "es"):
        cues = pysubs2.load(str(out / f"subtitles.{language}.srt"))
        assert len(cues) == 2
        assert not any(cue.start < 3500 < cue.end for cue in cues)


def test_markup_in_the_text_is_shown_as_text(run_stage: Any, write: Any) -> None:
    """What looks like a tag, an entity or an override survives, as read by pysubs2 and through ffmpeg's decoders."""
    out = run_stage("subtitles", {"transcript": write(said(HARD, word_s=0.5))}, max_line_chars=100).out

    def shown(text: str) -> str:
        return " ".join(text.replace("\u2060", "").translate(str.maketrans("❴❵", "{}")).split())

    srt = pysubs2.load(str(out / "subtitles.en.srt"))
    assert shown(" ".join(cue.plaintext for cue in srt)) == HARD
    ass = pysubs2.load(str(out / "subtitles.en.ass"))
    assert shown(" ".join(cue.plaintext for cue in ass)) == HARD
    vtt = (out / "subtitles.en.vtt").read_text(encoding="utf-8")
    payload = [line for line in vtt.split("\n")[1:] if "-->" not in line]
    assert shown(html.unescape(" ".join(payload))) == HARD
    assert not set("<>") & set("".join(payload))
    for name in ("subtitles.en.srt", "subtitles.en.ass"):
        video = out.parent / "shown.mp4"
        command = [ffmpeg_path(), "-v", "error", "-y", "-i", out / name, "-c:s", "mov_text", video]
        subprocess.run(command, check=True)
        subprocess.run([ffmpeg_path(), "-v", "error", "-y", "-i", video, out.parent / "back.srt"], check=True)
        lines = (out.parent / "back.srt").read_text(encoding="utf-8").split("\n")
        kept = " ".join(line for line in lines if "-->" not in line or "end" in line)
        assert all(word in shown(kept) for word in ("<i>b</i>", "AT&T", "&lt;", "{x}", r"{\an8}y", r"\N", "-->"))


def test_every_format_in_every_language(run_stage: Any, write: Any) -> None:
    """One file per language and format, readable, with the words of both languages and the times of their cues."""
    transcript = said("Good morning, everybody. We start at once.")
    spanish = Translation(
        "es",
        [
            Sentence(0, "", "Buenos días a todos.", 0, 2),
            Sentence(1, "", "Empezamos enseguida, ¿no?", 3, 6),
        ],
    )
    inputs = {"transcript": write(transcript), "translations": {"es": write(spanish, "es.json")}}
    out = run_stage("subtitles", inputs).out
    suffixes = ("srt", "vtt", "ass", "txt", "words.json")
    expected = {f"subtitles.{language}.{suffix}" for language in ("en", "es") for suffix in suffixes}
    assert {path.name for path in out.iterdir()} == {*expected, "subtitles.qc.json"}
    srt = pysubs2.load(str(out / "subtitles.es.srt"))
    for suffix in ("vtt", "ass"):
        same = pysubs2.load(str(out / f"subtitles.es.{suffix}"))
        assert [cue.plaintext for cue in same] == [cue.plaintext for cue in srt]
        assert all(abs(a.start - b.start) < 10 and abs(a.end - b.end) < 10 for a, b in zip(same, srt, strict=True))
    assert (out / "subtitles.es.txt").read_text() == "Buenos días a todos.\nEmpezamos enseguida, ¿no?\n"
    words = json.loads((out / "subtitles.en.words.json").read_text())["words"]
    assert [word["text"] for word in words] == transcript.segments[0].text.split()
    assert words[3]["start_s"] == transcript.segments[0].words[3].start_s
    quality = json.loads((out / "subtitles.qc.json").read_text())
    assert [(line["language"], line["words"]) for line in quality["summary"]] == [("en", 7), ("es", 7)]


def test_the_gap_is_two_frames_of_the_recording(run_stage: Any, write: Any) -> None:
    """At 10 frames a second the gap is 200 ms; where the rate varies, 83 ms."""
    text = "One two three four five six seven. " * 8
    for varying, gap_ms in ((False, 200), (True, 83)):
        video = VideoTrack(0, "h264", 640, 360, 0.0, 10.0, varying)
        probe = Probe("mp4", 30.0, 0.0, 30.0, 0, None, [], [video])
        inputs = {"transcript": write(said(text)), "probe": write(probe, "probe.json")}
        cues = pysubs2.load(str(run_stage("subtitles", inputs).out / "subtitles.en.srt"))
        assert {b.start - a.end for a, b in pairwise(cues)} == {gap_ms}


def test_no_cue_outlasts_the_recording(run_stage: Any, write: Any) -> None:
    """The last cue ends with the clip although it is too short to be read then, and the report says so."""
    probe = Probe("wav", 60.0, 10.0, 11.0, 0, None, [], [])
    inputs = {"transcript": write(said("Enough.")), "probe": write(probe, "probe.json")}
    out = run_stage("subtitles", inputs).out
    assert pysubs2.load(str(out / "subtitles.en.srt"))[-1].end == 1000
    quality = json.loads((out / "subtitles.qc.json").read_text())
    assert [violation["rule"] for violation in quality["violations"]] == ["min_s"]


def test_nothing_said_gives_valid_empty_files(run_stage: Any, write: Any) -> None:
    """A silent recording has subtitles without cues, in every format."""
    inputs = {"transcript": write(said("")), "translations": {"es": write(Translation("es", []), "es.json")}}
    out = run_stage("subtitles", inputs).out
    assert (out / "subtitles.es.srt").read_bytes() == b""
    assert (out / "subtitles.en.vtt").read_text() == "WEBVTT\n"
    assert len(pysubs2.load(str(out / "subtitles.en.ass"))) == 0
    assert json.loads((out / "subtitles.en.words.json").read_text())["words"] == []


def test_words_without_times_are_an_error_that_names_align(run_stage: Any, write: Any) -> None:
    """A transcript that hasn't been aligned can't become cues."""
    bare = Transcript("en", "param", [Segment(0, 0.0, 2.0, "Hello there.")])
    with pytest.raises(StageError, match="no word times") as caught:
        run_stage("subtitles", {"transcript": write(bare)})
    assert "align.transcript" in caught.value.hint


def test_the_same_inputs_give_the_same_bytes(run_stage: Any, write: Any) -> None:
    """Two runs differ in nothing."""
    path = write(said("When the winter came, nobody was ill disposed. " * 20))
    one, other = (run_stage("subtitles", {"transcript": path}).out for _ in range(2))
    assert {p.name: p.read_bytes() for p in one.iterdir()} == {p.name: p.read_bytes() for p in other.iterdir()}
