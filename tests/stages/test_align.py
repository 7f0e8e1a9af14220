"""align: every word gets a time, none is lost, and what couldn't be aligned is marked."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from mediabuild.errors import StageError
from mediabuild.media import formats
from mediabuild.media.formats import Segment, Speech, Transcript
from mediabuild.stage import Context


def words_of(done: Context) -> list[formats.Word]:
    """All words that the stage wrote, after a look at their order."""
    words = [word for part in formats.read(done.output("transcript"), Transcript).segments for word in part.words]
    assert all(word.start_s <= word.end_s for word in words)
    assert all(before.end_s <= after.start_s for before, after in pairwise(words))
    return words


def transcript(path: Path, *parts: tuple[float, float, str], language: str = "en") -> Path:
    """A transcript.json as `transcribe` writes it."""
    segments = [Segment(index, *part, avg_logprob=-0.2) for index, part in enumerate(parts)]
    formats.write(path, Transcript(language, "param", segments))
    return path


@pytest.fixture
def read_aloud(run_stage: Callable[..., Context], reading: Any, tmp_path: Path) -> dict[str, Path]:
    """The reading, its speech and its text, each segment 0.2 s off its sentence."""
    parts = [(start_s + 0.2, end_s + 0.2, text) for start_s, end_s, text in reading.sentences]
    detected = run_stage("detect_speech", {"audio": reading.path})
    return {
        "audio": reading.path,
        "speech": detected.output("segments"),
        "transcript": transcript(tmp_path / "transcript.json", *parts),
    }


def test_librivox_words_begin_and_end_with_the_speech(
    run_stage: Callable[..., Context], librivox: Path, tmp_path: Path
) -> None:
    """Real readings, told only the recording's length: the first word within 0.1 s of the label, the last 0.3 s."""
    for sound in sorted(librivox.glob("*.wav")):
        text = sound.with_suffix(".txt").read_text().strip()
        told = transcript(tmp_path / "t.json", (0.0, soundfile.info(sound).duration, text))
        words = words_of(run_stage("align", {"audio": sound, "transcript": told}))
        speech_s, silence_s = (float(line.split()[0]) for line in sound.with_suffix(".lab").read_text().splitlines())
        assert " ".join(word.text for word in words) == text
        assert all(word.aligned for word in words)
        assert abs(words[0].start_s - speech_s) < 0.1
        assert abs(words[-1].end_s - silence_s) < 0.3


def test_sentences_are_found_where_they_are(
    run_stage: Callable[..., Context], reading: Any, read_aloud: dict[str, Path]
) -> None:
    """Segments that were 0.2 s late come back to their sentences, punctuation kept."""
    done = run_stage("align", read_aloud)
    assert all(word.aligned for word in words_of(done))
    for part, (start_s, end_s, text) in zip(
        formats.read(done.output("transcript"), Transcript).segments, reading.sentences, strict=True
    ):
        assert [word.text for word in part.words] == text.split()
        assert start_s - 0.05 <= part.start_s <= start_s + 0.35
        assert end_s - 0.6 <= part.end_s <= end_s + 0.05
        assert (part.start_s, part.end_s) == (part.words[0].start_s, part.words[-1].end_s)


def test_a_segment_doesnt_depend_on_the_others(
    run_stage: Callable[..., Context], reading: Any, read_aloud: dict[str, Path], tmp_path: Path
) -> None:
    """pocketsphinx adapts to what it heard before; a sentence alone still gets the very times it gets among others."""
    whole = words_of(run_stage("align", read_aloud))
    start_s, end_s, text = reading.sentences[-1]
    told = transcript(tmp_path / "last.json", (start_s + 0.2, end_s + 0.2, text))
    alone = words_of(run_stage("align", read_aloud | {"transcript": told}))
    assert alone == whole[-len(alone) :]


def test_an_edited_segment_aligns_alone(
    run_stage: Callable[..., Context], read_aloud: dict[str, Path], tmp_path: Path
) -> None:
    """A segment is a unit: one changed word aligns its segment again, with the bytes of a build without units."""
    units = tmp_path / "state" / "units" / "align"
    (tmp_path / "state" / "tmp").mkdir(parents=True)
    count = run_stage("align", read_aloud, units=units).kept.made
    told = formats.read(read_aloud["transcript"], Transcript)
    told.segments[2].text = told.segments[2].text.replace("lighthouse", "house")
    formats.write(read_aloud["transcript"], told)
    again = run_stage("align", read_aloud, units=units)
    assert (again.kept.made, again.kept.reused) == (1, count - 1)
    assert again.output("transcript").read_bytes() == run_stage("align", read_aloud).output("transcript").read_bytes()


def test_aligning_twice_gives_the_same_bytes(run_stage: Callable[..., Context], read_aloud: dict[str, Path]) -> None:
    """Equal inputs are equal outputs."""
    first, second = (run_stage("align", read_aloud) for _ in range(2))
    assert first.output("transcript").read_bytes() == second.output("transcript").read_bytes()


def test_words_that_no_dictionary_has_are_kept(run_stage: Callable[..., Context], reading: Any, tmp_path: Path) -> None:
    """Names, numbers and dashes get the time between their neighbours and are marked; hyphens are no trouble."""
    start_s, end_s, _ = reading.sentences[0]
    text = "The little harbour-town — $20 1845 woke Zzyzx’s slowly that morning. Qwxy"
    told = transcript(tmp_path / "t.json", (start_s, end_s, text))
    words = words_of(run_stage("align", {"audio": reading.path, "transcript": told}))
    assert " ".join(word.text for word in words) == text
    assert [word.text for word in words if not word.aligned] == ["—", "$20", "1845", "Zzyzx’s", "Qwxy"]
    assert all(word.end_s > word.start_s for word in words)


def test_text_that_doesnt_fit_falls_back_to_the_speech(run_stage: Callable[..., Context], tmp_path: Path) -> None:
    """Far more words than the sound can hold: times are shared over the detected speech, and it says so."""
    noise = np.random.default_rng(0).standard_normal(32_000) * 0.01
    soundfile.write(tmp_path / "noise.wav", noise, 16_000)
    formats.write(tmp_path / "speech.json", Speech([(0.5, 1.5)]))
    text = "extraordinary circumstances notwithstanding " * 20
    told = transcript(tmp_path / "t.json", (0.2, 1.9, text), (1.95, 2.0, "?!"))
    inputs = {"audio": tmp_path / "noise.wav", "transcript": told, "speech": tmp_path / "speech.json"}
    done = run_stage("align", inputs)
    words = words_of(done)
    assert not any(word.aligned for word in words)
    assert (words[0].start_s, words[59].end_s, len(words)) == (0.5, 1.5, 61)
    assert all("unaligned" in part.flags for part in formats.read(done.output("transcript"), Transcript).segments)


def test_other_languages_share_their_segments_time(
    run_stage: Callable[..., Context], reading: Any, tmp_path: Path
) -> None:
    """Spanish isn't forced onto an English model: longer words get more of the time, all are marked."""
    told = transcript(tmp_path / "t.json", (1.0, 3.0, "El extraordinario mar."), language="es")
    done = run_stage("align", {"audio": reading.path, "transcript": told})
    words = words_of(done)
    assert [(word.text, word.aligned) for word in words] == [("El", False), ("extraordinario", False), ("mar.", False)]
    assert (words[0].start_s, words[-1].end_s) == (1.0, 3.0)
    assert words[1].end_s - words[1].start_s == pytest.approx(2.0 * 14 / 20, abs=0.002)
    assert any("only English" in fields.get("message", "") for _, fields in done.messages)  # type: ignore[attr-defined]


def test_nothing_said_is_nothing_aligned(run_stage: Callable[..., Context], tmp_path: Path) -> None:
    """An empty transcript of an empty recording passes through."""
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16_000)
    done = run_stage("align", {"audio": tmp_path / "empty.wav", "transcript": transcript(tmp_path / "t.json")})
    assert words_of(done) == []


CORRECTIONS = {
    "sample.json": '{"segments": [{"start_s": 4.0, "end_s": 9, "text": "Fishing boats\\n drifted back & forth."},'
    ' {"start_s": 0.5, "id": 7, "end_s": 3.6, "text": "The little harbour town"},'
    ' {"start_s": 9, "end_s": 9.5, "text": " "}]}',
    "sample.srt": "\ufeff1\r\n00:00:00,500 --> 00:00:03,600\r\n<i>The little</i> harbour town\r\n\r\n"
    "2\r\n00:00:04,000 --> 00:00:09,000 X1:40\r\n{\\an8}Fishing boats\r\ndrifted back & forth.\r\n",
    "sample.vtt": "WEBVTT - a title\n\nNOTE by Ann\n\nfirst\n00:00.500 --> 00:03.600 align:start\n<v Ann>The little "
    "harbour town</v>\n\n00:04.000 --> 00:00:09.000\nFishing boats\ndrifted back &amp; forth.\n",
}


@pytest.mark.parametrize("name", CORRECTIONS)
def test_a_persons_text_replaces_the_transcript(
    run_stage: Callable[..., Context], read_aloud: dict[str, Path], tmp_path: Path, name: str
) -> None:
    """The same correction as JSON, SRT and WebVTT: its words are aligned, in order of time, without markup."""
    (tmp_path / name).write_text(CORRECTIONS[name], newline="")
    done = run_stage("align", read_aloud | {"corrections": tmp_path / name})
    found = formats.read(done.output("transcript"), Transcript)
    assert [(part.id, part.text, part.avg_logprob) for part in found.segments] == [
        (0, "The little harbour town", None),
        (1, "Fishing boats drifted back & forth.", None),
    ]
    assert (found.language, found.language_source) == ("en", "param")
    assert [word.text for word in words_of(done) if not word.aligned] == ["&"]


def test_overlapping_cues_still_give_ordered_words(
    run_stage: Callable[..., Context], read_aloud: dict[str, Path], tmp_path: Path
) -> None:
    """A cue inside another, one that starts where the recording ended and one far behind: no crash, no word twice."""
    (tmp_path / "a.srt").write_text(
        "1\n00:00:04,000 --> 00:00:09,000\nFishing boats drifted back\n\n"
        "2\n00:00:05,000 --> 00:00:05,100\nwith silver\n\n3\n00:59:00,000 --> 00:59:01,000\nlate\n"
    )
    done = run_stage("align", read_aloud | {"corrections": tmp_path / "a.srt"})
    assert [word.text for word in words_of(done)] == ["Fishing", "boats", "drifted", "back", "with", "silver"]
    assert any("after the recording's end" in fields.get("message", "") for _, fields in done.messages)  # type: ignore[attr-defined]


def test_two_corrections_of_one_job_are_refused(
    run_stage: Callable[..., Context], read_aloud: dict[str, Path], tmp_path: Path
) -> None:
    """Which of them counts can't be guessed: both are named."""
    for name in ("sample.srt", "sample.vtt"):
        (tmp_path / name).write_text(CORRECTIONS[name])
    both = {f"corrections/{name}": tmp_path / name for name in ("sample.srt", "sample.vtt")}
    with pytest.raises(StageError, match=r"corrections/sample\.srt, corrections/sample\.vtt"):
        run_stage("align", read_aloud | {"corrections": both})


KNOWN = st.lists(
    st.one_of(st.none(), st.tuples(st.floats(-1, 12), st.floats(-1, 12)).map(lambda pair: (min(pair), max(pair)))),
    max_size=30,
)


@given(known=KNOWN, start_s=st.floats(0, 5), length_s=st.floats(0, 6), letters=st.randoms(use_true_random=False))
def test_placed_words_are_ordered_and_in_bounds(
    stage_module: Callable[[str], ModuleType],
    known: list[tuple[float, float] | None],
    start_s: float,
    length_s: float,
    letters: Any,
) -> None:
    """Whatever the aligner says: one time a word, in order, not overlapping, inside the segment to the ms."""
    lengths = [letters.randint(1, 12) for _ in known]
    placed = stage_module("align").place(known, lengths, start_s, start_s + length_s)
    assert len(placed) == len(known)
    edges = [edge for time in placed for edge in time]
    assert edges == sorted(edges)
    assert all(start_s - 0.0006 <= edge <= start_s + length_s + 0.0006 for edge in edges)


@given(starts=st.lists(st.integers(0, 200), min_size=1, unique=True).map(sorted))
def test_aligned_words_keep_their_times(stage_module: Callable[[str], ModuleType], starts: list[int]) -> None:
    """Where every word is aligned and in order, no time is changed."""
    known = [(start / 10, start / 10 + 0.08) for start in starts]
    placed = stage_module("align").place(known, [3] * len(known), 0.0, 30.0)
    assert placed == [(round(a, 3), round(b, 3)) for a, b in known]
