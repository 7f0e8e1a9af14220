"""align: every word gets a time, none is lost, and what couldn't be aligned is marked."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from mediabuild.errors import StageError
from mediabuild.media import formats
from mediabuild.media.formats import Segment, Speech, Transcript
from mediabuild.media.speech.pronunciations import installed
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


def test_words_that_nobody_says_are_kept(run_stage: Callable[..., Context], reading: Any, tmp_path: Path) -> None:
    """Numbers and names that aren't in the sound get the time between their neighbours, and only they are marked."""
    start_s, end_s, _ = reading.sentences[0]
    text = "The little harbour-town — $20 1845 woke Zzyzx’s slowly that morning. Qwxy"
    told = transcript(tmp_path / "t.json", (start_s, end_s, text))
    words = words_of(run_stage("align", {"audio": reading.path, "transcript": told}))
    assert " ".join(word.text for word in words) == text
    assert [word.text for word in words if not word.aligned] == ["—", "$20", "1845", "Zzyzx’s", "Qwxy"]
    assert all(word.end_s > word.start_s for word in words)


# As it is written, and as it is spoken; a dash isn't.
PIECES = [
    ("In", "In"), ("1905", "nineteen oh five"), ("Dr.", "Doctor"), ("Zyxwenko", "Zixwenko"),
    ("paid", "paid"), ("$37.50", "thirty seven dollars and fifty cents"), ("—", ""), ("12%", "twelve percent"),
    ("more", "more"), ("than", "than"), ("on", "on"), ("the", "the"), ("21st,", "twenty first"), ("at", "at"),
    ("10:30", "ten thirty"), ("a.m.,", "ay em"), ("for", "for"), ("2,500", "two thousand five hundred"),
    ("well-known", "well known"), ("books.", "books"),
]  # fmt: skip


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[float]]:
    """A voice that says PIECES, each by itself after a short silence: 16 kHz; and when the sound of each begins."""
    import soxr
    from hibari import SAMPLE_RATE, Hibari

    voice = Hibari()
    hiss = np.random.default_rng(0)
    sounds, starts_s = [np.zeros(8000)], []
    for _, spoken in PIECES:
        starts_s.append(sum(map(len, sounds)) / 16_000)
        if spoken:
            sound = soxr.resample(voice(spoken, seed=0), SAMPLE_RATE, 16_000)
            loud = np.flatnonzero(np.abs(sound) > 0.02 * np.abs(sound).max())
            sounds += [0.5 * sound[loud[0] : loud[-1]] / np.abs(sound).max(), np.zeros(1600)]
    sounds.append(np.zeros(8000))
    path = tmp_path_factory.mktemp("pieces") / "pieces.wav"
    whole = np.concatenate(sounds)
    soundfile.write(path, whole + hiss.standard_normal(len(whole)) * 3e-4, 16_000)
    return path, starts_s


def test_numbers_and_names_are_found_as_they_are_spoken(
    run_stage: Callable[..., Context], pieces: tuple[Path, list[float]], tmp_path: Path
) -> None:
    """Years, money, percentages, ordinals, times, abbreviations, unknown names: each within 0.1 s of its sound."""
    path, starts_s = pieces
    text = " ".join(written for written, _ in PIECES)
    told = transcript(tmp_path / "t.json", (0.3, soundfile.info(path).duration - 0.3, text))
    words = words_of(run_stage("align", {"audio": path, "transcript": told}))
    assert [word.text for word in words if not word.aligned] == ["—"]
    errors = [abs(word.start_s - start_s) for word, start_s in zip(words, starts_s, strict=True) if word.aligned]
    assert max(errors) < 0.1
    assert np.median(errors) < 0.05


def test_without_espeak_unknown_words_are_spelt(
    run_stage: Callable[..., Context],
    pieces: tuple[Path, list[float]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The program is optional: the letters are enough to find a name, and the transcript says so."""
    monkeypatch.setenv("PATH", str(tmp_path))
    path, starts_s = pieces
    text = " ".join(written for written, _ in PIECES)
    told = transcript(tmp_path / "t.json", (0.3, soundfile.info(path).duration - 0.3, text))
    done = run_stage("align", {"audio": path, "transcript": told})
    name = next(word for word in words_of(done) if word.text == "Zyxwenko")
    assert abs(name.start_s - starts_s[3]) < 0.1
    assert str(formats.read(done.output("transcript"), Transcript).alignment).endswith("en-us, letters")


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


def test_without_espeak_other_languages_share_their_segments_time(
    run_stage: Callable[..., Context], reading: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing here knows how Spanish sounds: longer words get more of the time, all are marked."""
    monkeypatch.setenv("PATH", str(tmp_path))
    told = transcript(tmp_path / "t.json", (1.0, 3.0, "El extraordinario mar."), language="es")
    done = run_stage("align", {"audio": reading.path, "transcript": told})
    words = words_of(done)
    assert [(word.text, word.aligned) for word in words] == [("El", False), ("extraordinario", False), ("mar.", False)]
    assert (words[0].start_s, words[-1].end_s) == (1.0, 3.0)
    assert words[1].end_s - words[1].start_s == pytest.approx(2.0 * 14 / 20, abs=0.002)
    assert any("apt-get install espeak-ng" in fields.get("hint", "") for _, fields in done.messages)  # type: ignore[attr-defined]
    assert formats.read(done.output("transcript"), Transcript).alignment is None


@pytest.mark.skipif(not installed(), reason="espeak-ng isn't installed")
@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        ("es", ("El pequeño puerto despertó despacio.", "En 1998 vivían aquí 250 personas.")),
        ("fr", ("Le petit port se réveilla lentement.", "En 1998 il y avait 250 personnes.")),
    ],
)
def test_other_languages_are_aligned_by_their_sound(
    run_stage: Callable[..., Context], tmp_path: Path, language: str, sentences: tuple[str, ...]
) -> None:
    """espeak-ng's own voice reads two sentences: all words are found, each sentence where it begins."""
    sounds, parts = [np.zeros(8000)], []
    for index, sentence in enumerate(sentences):
        spoken = tmp_path / f"{index}.wav"
        subprocess.run(["espeak-ng", "-v", language, "-w", str(spoken), sentence], check=True)
        sound, rate_hz = soundfile.read(spoken)
        loud = np.flatnonzero(np.abs(sound) > 0.01)
        start_s, end_s = (float(sum(map(len, sounds)) + edge) / rate_hz for edge in (loud[0], loud[-1]))
        parts.append((start_s + 0.1, end_s - 0.1, sentence))
        sounds += [sound, np.zeros(11_025)]
    soundfile.write(tmp_path / "voice.wav", np.concatenate(sounds), rate_hz)
    told = transcript(tmp_path / "t.json", *parts, language=language)
    done = run_stage("align", {"audio": tmp_path / "voice.wav", "transcript": told})
    assert all(word.aligned for word in words_of(done))
    found = formats.read(done.output("transcript"), Transcript)
    assert str(found.alignment).startswith("pocketsphinx ")
    for part, (told_s, _, _) in zip(found.segments, parts, strict=True):
        assert abs(part.start_s - (told_s - 0.1)) < 0.1


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
    assert all(word.aligned for word in words_of(done))


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
