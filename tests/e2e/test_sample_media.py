"""What `media/sample.mp4` is: facts about the file, its reference transcript and the script that makes both."""

from __future__ import annotations

import csv
import importlib.util
import itertools
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest

from mediabuild.media.ffmpeg import ffmpeg_path

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "media/sample.mp4"
REFERENCE = ROOT / "media/sample.txt"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """`scripts/make_sample.py` as a module."""
    spec = importlib.util.spec_from_file_location("make_sample", ROOT / "scripts/make_sample.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_sample"] = module  # its dataclass looks itself up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def stems(script: ModuleType) -> Any:
    """Voice and music, made anew."""
    return script.record()


def rms(sound: Any) -> float:
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))


def test_the_sample_is_a_short_small_film() -> None:
    """30 to 60 s, under 3 MB, one H.264 picture of 640×360 and one AAC track tagged English."""
    assert SAMPLE.stat().st_size < 3_000_000
    with av.open(str(SAMPLE)) as film:
        assert film.duration is not None and 30 <= film.duration / av.time_base <= 60
        (picture,), (sound,) = film.streams.video, film.streams.audio
        assert (picture.codec_context.name, picture.width, picture.height) == ("h264", 640, 360)
        assert (sound.codec_context.name, sound.metadata["language"]) == ("aac", "eng")


def test_the_picture_moves() -> None:
    """Frames two seconds apart differ: the beam turns."""
    with av.open(str(SAMPLE)) as film:
        first_200 = itertools.islice(film.decode(video=0), 200)
        frames = [frame.to_ndarray(format="gray").astype(int) for frame in first_200][::50]
    assert all(np.abs(one - other).mean() > 1 for one, other in itertools.pairwise(frames))


def test_the_reference_is_what_the_script_says(script: ModuleType) -> None:
    """`sample.txt` is the script's text, long enough for word errors to be counted, and holds what the reader says."""
    text = REFERENCE.read_text(encoding="utf-8")
    assert text == script.reference()
    assert len(text.split()) >= 80
    read = script.READING.with_suffix(".txt").read_text(encoding="utf-8").split()
    assert script.READ.lower().replace("mr.", "mister").rstrip(".").split() == read


def test_the_reference_holds_the_glossarys_terms() -> None:
    """All terms of the sample's glossary but one are said, and that one is there to change nothing."""
    text = REFERENCE.read_text(encoding="utf-8").lower()
    with (ROOT / "glossary/terms.csv").open(encoding="utf-8", newline="") as file:
        terms = [row["term"] for row in csv.DictReader(file)]
    assert [term for term in terms if term.lower() not in text] == ["foghorn"]


def test_the_music_is_far_below_the_voice(script: ModuleType, stems: Any) -> None:
    """The music's loudest second is at least 10 dB below the quietest two seconds of speech, pauses left out."""
    second_samples, frame_samples = script.RATE_HZ, script.RATE_HZ // 50
    starts = range(0, len(stems.music) - second_samples, second_samples // 4)
    music = max(rms(stems.music[start : start + second_samples]) for start in starts)
    frames = stems.voice[: len(stems.voice) // frame_samples * frame_samples].reshape(-1, frame_samples)
    spoken = frames[np.sqrt((frames**2).mean(axis=1)) > 0.02]
    quietest = min(rms(stretch) for stretch in np.array_split(spoken, len(spoken) // 100))
    assert 20 * np.log10(quietest / music) >= 10


def test_nothing_clips(stems: Any) -> None:
    """Voice and music together stay below full scale."""
    assert np.abs(stems.mix).max() < 0.9


def test_the_film_sounds_like_the_stems(stems: Any, script: ModuleType) -> None:
    """The carried file is the script's: its sound, decoded, is voice plus music, but for what AAC loses."""
    command = [
        ffmpeg_path(),
        "-nostdin",
        "-v",
        "error",
        "-i",
        str(SAMPLE),
        "-f",
        "f32le",
        "-ar",
        str(script.RATE_HZ),
        "-",
    ]
    decoded = subprocess.run(command, check=True, capture_output=True).stdout
    heard = np.frombuffer(decoded, np.float32).reshape(-1, 2)[: len(stems.voice)]
    assert abs(len(heard) - len(stems.voice)) < 0.05 * script.RATE_HZ
    expected = stems.mix[: len(heard)]
    assert 20 * np.log10(rms(expected) / rms(heard - expected)) > 10
