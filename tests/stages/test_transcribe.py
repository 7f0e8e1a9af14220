"""transcribe: the words are right, nothing is invented, and a language that the model can't hear is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import jiwer
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from mediabuild.errors import StageError
from mediabuild.media import formats
from mediabuild.media.formats import Probe, Speech, Transcript
from mediabuild.stage import Context, Lookup


def plain(text: str) -> str:
    """Lower-case words only, titles spelt out: what word errors are counted on."""
    text = text.lower().replace("mr.", "mister").replace("harbour", "harbor")
    return " ".join(re.findall(r"[a-z0-9']+", text))


def transcript(done: Context) -> Transcript:
    """What the stage wrote."""
    return formats.read(done.output("transcript"), Transcript)


def warnings(done: Context) -> str:
    """All that the user was warned of."""
    return "\n".join(fields["message"] for kind, fields in done.messages if kind == "warning")  # type: ignore[attr-defined]


def speech(path: Path, *segments: tuple[float, float]) -> Path:
    """A segments.json."""
    formats.write(path, Speech(list(segments)))
    return path


def probe(path: Path, language: str | None) -> Path:
    """A probe.json of a track with a language tag."""
    formats.write(path, Probe("mp4", 60.0, 0.0, 60.0, 0, language, [], []))
    return path


@pytest.fixture
def heard(run_stage: Callable[..., Context], reading: Any) -> dict[str, Path]:
    """The inputs of `transcribe` for the reading: its sound, and its detected speech."""
    detected = run_stage("detect_speech", {"audio": reading.path})
    return {"audio": reading.path, "speech": detected.output("segments")}


def test_librivox_is_understood(run_stage: Callable[..., Context], librivox: Path) -> None:
    """Three real readings through detection and tiny.en: at most 15 % word errors in all."""
    said, found = [], []
    for sound in sorted(librivox.glob("*.wav")):
        segments = run_stage("detect_speech", {"audio": sound}).output("segments")
        done = run_stage("transcribe", {"audio": sound, "speech": segments}, language="en")
        said.append(plain(sound.with_suffix(".txt").read_text()))
        found.append(plain(" ".join(part.text for part in transcript(done).segments)))
    assert jiwer.wer(said, found) <= 0.15


def test_a_reading_is_understood_where_it_is_spoken(
    run_stage: Callable[..., Context], reading: Any, heard: dict[str, Path]
) -> None:
    """At most 6 % word errors; segments in order, inside the detected speech, sentences within 0.5 s of their times."""
    found = transcript(run_stage("transcribe", heard)).segments
    spoken = [text for _, _, text in reading.sentences]
    assert jiwer.wer(plain(" ".join(spoken)), plain(" ".join(part.text for part in found))) <= 0.06
    assert all(before.end_s <= after.start_s for before, after in pairwise(found))
    detected = formats.read(heard["speech"], Speech).segments
    for part in found:
        assert any(start_s <= part.start_s < part.end_s <= end_s for start_s, end_s in detected)
        assert part.avg_logprob is not None and part.avg_logprob > -1 and not part.flags and not part.words
    starts = [part.start_s for part in found]
    assert all(min(abs(start_s - begin_s) for begin_s in starts) < 0.5 for start_s, _, _ in reading.sentences)


def test_transcribing_twice_gives_the_same_bytes(run_stage: Callable[..., Context], heard: dict[str, Path]) -> None:
    """Equal inputs are equal outputs: no temperature, no memory of the window before."""
    first, second = (run_stage("transcribe", heard) for _ in range(2))
    for name in ("transcript", "hotwords"):
        assert first.output(name).read_bytes() == second.output(name).read_bytes()


def test_a_window_doesnt_depend_on_the_others(
    run_stage: Callable[..., Context], heard: dict[str, Path], tmp_path: Path
) -> None:
    """The last window alone gives the segments that it gives after all the others."""
    whole = transcript(run_stage("transcribe", heard, max_window_s=12.0)).segments
    last = formats.read(heard["speech"], Speech).segments[-1]
    alone = run_stage("transcribe", heard | {"speech": speech(tmp_path / "last.json", last)}, max_window_s=12.0)
    found = [(part.start_s, part.end_s, part.text, part.avg_logprob) for part in transcript(alone).segments]
    assert found
    assert found == [(p.start_s, p.end_s, p.text, p.avg_logprob) for p in whole[-len(found) :]]


@pytest.mark.parametrize("level", [0.0, 0.001, 0.1])
def test_silence_and_noise_have_no_words(run_stage: Callable[..., Context], tmp_path: Path, level: float) -> None:
    """Whisper alone hears "You" in silence; after speech detection the transcript of silence and noise is empty."""
    noise = np.random.default_rng(0).standard_normal(160_000) * level
    soundfile.write(tmp_path / "noise.wav", noise, 16_000)
    segments = run_stage("detect_speech", {"audio": tmp_path / "noise.wav"}).output("segments")
    done = run_stage("transcribe", {"audio": tmp_path / "noise.wav", "speech": segments})
    assert transcript(done) == Transcript("und", "assumed", [])


def test_where_the_language_is_known_from(
    run_stage: Callable[..., Context], heard: dict[str, Path], tmp_path: Path
) -> None:
    """A param, a track's tag with its region, or an assumption that is warned of: the transcript says which."""
    short = heard | {"speech": speech(tmp_path / "segments.json", (0.6, 3.4))}
    tagged = short | {"probe": probe(tmp_path / "probe.json", "en-GB")}
    for inputs, params, expected in (
        (short, {"language": "en"}, ("en", "param")),
        (tagged, {}, ("en-GB", "track")),
        (tagged, {"language": "en"}, ("en", "param")),
        (short, {}, ("en", "assumed")),
    ):
        done = run_stage("transcribe", inputs, **params)
        assert (transcript(done).language, transcript(done).language_source) == expected
        assert ("language isn't known" in warnings(done)) == (expected[1] == "assumed")


def test_spanish_under_an_english_model_is_refused(
    run_stage: Callable[..., Context], heard: dict[str, Path], tmp_path: Path
) -> None:
    """faster-whisper would write English nonsense; the error names the tag, and a model to set."""
    with pytest.raises(StageError, match=r"track's tag says es.*tiny\.en knows English only") as error:
        run_stage("transcribe", heard | {"probe": probe(tmp_path / "probe.json", "es")})
    assert "doit transcribe.model=tiny " in error.value.hint
    with pytest.raises(StageError, match=r"params\.language says es-419"):
        run_stage("transcribe", heard, language="es-419")


def test_hotwords_in_any_encoding(stage_module: Callable[[str], ModuleType], tmp_path: Path) -> None:
    """UTF-8 and UTF-16 with their marks are read; another encoding is an error with a command that mends it."""
    words = tmp_path / "hotwords.txt"
    read_hotwords = stage_module("transcribe").read_hotwords
    for encoding in ("utf-8-sig", "utf-16"):
        words.write_bytes("# names\r\nSeñora Núñez\r\n".encode(encoding))
        assert read_hotwords([words]) == ["Señora Núñez"]
    words.write_bytes("Señora Núñez\n".encode("cp1252"))
    with pytest.raises(StageError, match=r"^hotwords\.txt:1: not UTF-8") as caught:
        read_hotwords([words])
    assert caught.value.hint.startswith("iconv -f CP1252")


def test_hotwords_are_recorded_and_warned_of(
    run_stage: Callable[..., Context], heard: dict[str, Path], tmp_path: Path
) -> None:
    """An empty file changes nothing; with a tiny model they are warned of; what didn't fit is on record."""
    words, short = tmp_path / "hotwords.txt", heard | {"speech": speech(tmp_path / "segments.json", (0.6, 3.4))}
    without = run_stage("transcribe", short)
    words.write_text("# words to expect, one a line\n\n")
    empty = run_stage("transcribe", short | {"hotwords": words})
    assert empty.output("transcript").read_bytes() == without.output("transcript").read_bytes()
    assert "hotwords" not in warnings(empty)

    names = [f"Harbourmaster Number {number}" for number in range(100)]
    words.write_text("\n".join(names))
    done = run_stage("transcribe", short | {"hotwords": words})
    record = formats.msgspec.json.decode(done.output("hotwords").read_bytes())
    assert record["used"] + record["left_out"] == names
    assert 20 < len(record["used"]) < 60
    assert f"left out from {record['left_out'][0]!r} on" in warnings(done)
    assert "make tiny.en worse" in warnings(done)


def test_suspicious_text_is_flagged(stage_module: Callable[[str], ModuleType], tmp_path: Path) -> None:
    """A loop and a guess are kept and marked; text without any speech near it is dropped, and said so."""
    messages: list[tuple[str, dict[str, Any]]] = []
    done = Context("transcribe", "a", tmp_path, {}, {}, report=lambda kind, fields: messages.append((kind, fields)))
    heard: list[formats.Segment] = []

    def add(start: float, text: str, *, ratio: float = 1.2, logprob: float = -0.3) -> None:
        whisper = SimpleNamespace(start=start, end=start + 2, text=text, compression_ratio=ratio, avg_logprob=logprob)
        stage_module("transcribe")._add(done, heard, whisper, [(10.0, 14.0), (26.0, 30.0)])

    add(0, " La la la la.", ratio=2.5)
    add(2, " Was it?", logprob=-1.2)
    add(8, " Thanks for watching!")
    add(16, " Goodbye.")
    assert [(part.text, part.flags) for part in heard] == [
        ("La la la la.", ["repetitive"]),
        ("Was it?", ["unsure"]),
        ("Goodbye.", []),
    ]
    assert [fields["message"] for _, fields in messages] == [
        "transcribe: dropped 'Thanks for watching!' at 18.0 s: nobody speaks there"
    ]


@pytest.mark.parametrize("make", ["nothing", "empty"])
def test_a_folder_that_is_no_model_is_explained(
    run_stage: Callable[..., Context], heard: dict[str, Path], tmp_path: Path, make: str
) -> None:
    """A folder that isn't there, or holds no model: one error, with its name."""
    folder = tmp_path / "whisper"
    if make == "empty":
        folder.mkdir()
    with pytest.raises(StageError, match=str(folder)):
        run_stage("transcribe", heard, model=str(folder))


def test_a_downloaded_model_is_found_in_the_hubs_cache(
    stage_module: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes that a hub's name stands for can be digested without a network; half a download doesn't count."""
    module = stage_module("transcribe")
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    snapshot = tmp_path / "hub" / "models--Systran--faster-whisper-small" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("abc")
    lookup = Lookup(Path(), tmp_path)
    wanted = module.TranscribeParams(model="small")
    assert module.models(wanted, lookup)["whisper"].path is None
    (snapshot / "model.bin").touch()
    assert module.models(wanted, lookup)["whisper"].path == snapshot


TIMES = st.lists(st.tuples(st.integers(0, 9_000), st.integers(1, 40_000)), max_size=40)


def stretches(gaps: list[tuple[int, int]]) -> list[tuple[float, float]]:
    """Stretches of speech from pairs of a silence and a length, in ms."""
    found, at = [], 0
    for silence_ms, length_ms in gaps:
        found.append(((at + silence_ms) / 1000, (at + silence_ms + length_ms) / 1000))
        at += silence_ms + length_ms
    return found


@given(gaps=TIMES, clip_start_s=st.integers(0, 10_000), longest_s=st.sampled_from([10.0, 28.0]))
def test_windows_hold_all_speech_in_order_and_are_short(
    stage_module: Callable[[str], ModuleType], gaps: list[tuple[int, int]], clip_start_s: int, longest_s: float
) -> None:
    """Every stretch is in one window, in order; a window is too long only if a single stretch is."""
    speech = stretches(gaps)
    windows = stage_module("transcribe").pack(speech, float(clip_start_s), longest_s)
    assert [part for window in windows for part in window] == speech
    assert all(len(window) == 1 or window[-1][1] - window[0][0] <= longest_s for window in windows)


def test_a_moved_clip_hears_only_what_is_new(run_stage: Callable[..., Context], reading: Any, tmp_path: Path) -> None:
    """The clip's start moved by 0.37 s, off every grid, and its end by ten: the windows that lie in both come back."""
    units = tmp_path / "state" / "units" / "transcribe"
    (tmp_path / "state" / "tmp").mkdir(parents=True)
    sound, rate_hz = soundfile.read(reading.path, dtype="int16")
    end_s = len(sound) / rate_hz
    clips = ((0.0, end_s - 10), (0.0, end_s), (0.37, end_s))
    texts: list[str] = []
    for number, (start_s, stop_s) in enumerate(clips):
        wav, info = tmp_path / f"{number}.wav", tmp_path / f"{number}.json"
        soundfile.write(wav, sound[round(start_s * rate_hz) : round(stop_s * rate_hz)], rate_hz)
        formats.write(info, Probe("wav", end_s, start_s, stop_s, 0, "en", [], []))
        inputs = {"audio": wav, "probe": info}
        inputs["speech"] = run_stage("detect_speech", inputs).output("segments")
        done = run_stage("transcribe", inputs, units=units, max_window_s=10.0)
        clean = run_stage("transcribe", inputs, max_window_s=10.0)
        assert done.output("transcript").read_bytes() == clean.output("transcript").read_bytes()
        kept, windows = done.kept, clean.kept.made
        assert kept.made + kept.reused == windows
        assert kept.reused >= windows - (windows, 2, 1)[number]
        texts.append(" ".join(part.text for part in transcript(done).segments))
    assert texts[1] == texts[2]
    assert texts[1].startswith(texts[0][:60])


@given(gaps=TIMES, moved_ms=st.integers(1, 300_000))
def test_a_moved_clip_packs_the_same_windows_after_a_mark(
    stage_module: Callable[[str], ModuleType], gaps: list[tuple[int, int]], moved_ms: int
) -> None:
    """When the clip starts later, all windows from the next 2-minute mark on are the same on the source's clock."""
    pack = stage_module("transcribe").pack
    whole = pack(stretches(gaps), 0.0, 28.0)
    moved_s = moved_ms / 1000
    left = [(a - moved_s, b - moved_s) for a, b in stretches(gaps) if a >= moved_s]
    mark_s = -(-moved_ms // 120_000) * 120.0

    def after(windows: list[list[tuple[float, float]]], start_s: float) -> list[list[tuple[int, int]]]:
        on_source = [[(round(1000 * (a + start_s)), round(1000 * (b + start_s))) for a, b in part] for part in windows]
        return [window for window in on_source if window[0][0] >= 1000 * mark_s]

    assert after(pack(left, moved_s, 28.0), moved_s) == after(whole, 0.0)


@given(gaps=TIMES.filter(bool), start_ms=st.integers(0, 400_000), length_ms=st.integers(0, 30_000))
def test_times_are_clipped_to_speech(
    stage_module: Callable[[str], ModuleType], gaps: list[tuple[int, int]], start_ms: int, length_ms: int
) -> None:
    """A segment's times lie on speech, in order; only where the nearest is over 1 s away are there none."""
    speech = stretches(gaps)
    start_s, end_s = start_ms / 1000, (start_ms + length_ms) / 1000
    times = stage_module("transcribe").in_speech(start_s, end_s, speech)
    distance_s = min(max(a - end_s, start_s - b) for a, b in speech)
    assert (times is None) == (distance_s >= 1.0)
    if times:
        assert times[0] <= times[1]
        assert all(any(a <= time_s <= b for a, b in speech) or start_s < time_s < end_s for time_s in times)
