"""benchmarks/accuracy.py and what it uses: words are compared fairly, cues by the rules, recordings stay the same."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).parents[2]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """``benchmark("scoring")``: a module as the benchmarks import it."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("It cost $4.2 million.", "it cost four point two million dollars"),
        ("In 1905, 12% of 2,500", "in nineteen oh-five twelve per cent of two thousand five hundred"),
        ("Dr. Smith’s 21st — at 10:30", "Doctor Smith's twenty-first at ten thirty"),
        ("two hundred and ten", "210"),
    ],
)
def test_writing_makes_no_errors(benchmark: Callable[[str], ModuleType], written: str, spoken: str) -> None:
    """Numbers, signs, case and punctuation are one word each way, whoever writes them out."""
    scoring = benchmark("scoring")
    assert scoring.word_errors(written, spoken) == (0, len(scoring.words(spoken)))


def test_word_errors_are_counted(benchmark: Callable[[str], ModuleType]) -> None:
    """Another word, a lost one and an invented one are an error each; nothing heard is all of it lost."""
    scoring = benchmark("scoring")
    assert scoring.word_errors("the old clock in the hall", "the cold clock in a the") == (3, 6)
    assert scoring.word_errors("the old clock", " ") == (3, 3)


def test_cues_are_judged_by_the_rules(benchmark: Callable[[str], ModuleType]) -> None:
    """Each rule counts the cues that break it; a sentence of one word, and a small word with a full stop, are fine."""
    cues = [
        (0.0, 1.0, "Yes."),
        (1.0, 2.0, "Twenty-five characters, and"),
        (2.0, 9.0, "this line is longer than forty-two characters are"),
        (9.0, 11.0, "meant to be in\na cue, come in."),
        (11.0, 13.0, "All of it went\nto the"),
        (13.0, 14.0, "dogs."),
    ]
    found = benchmark("scoring").broken_rules(cues)
    assert found == {
        "cues": 6,
        "faster than 20 characters a second": 1,
        "a line over 42 characters": 1,
        "a line ends on a small word": 3,
        "one word that is no sentence": 1,
    }


def test_a_recording_is_made_once_and_the_same_again(
    benchmark: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A voice in noise: the same samples in another folder; what lies there isn't made again; its words have times."""
    made = benchmark("recordings")
    monkeypatch.setattr(made, "READINGS", [("noise", ["hibari"], 1.0, (0.2, 1.5), made.noisy)])
    monkeypatch.setattr(made, "TEXTS", tmp_path)
    monkeypatch.setattr(made, "installed", lambda voice: voice == "hibari")
    (tmp_path / "tuning.txt").write_text("one: The clock stopped. Nobody knew why.\n")
    (tmp_path / "timed-tuning.txt").write_text("It cost {$5|five dollars} {—|} once.\n")
    first, second = (made.recordings("tuning", tmp_path / name) for name in ("a", "b"))
    noise, times = first[-2:]
    assert [one.path.name for one in first[-2:]] == ["noise.wav", "times-hibari.wav"]
    assert noise.text == "The clock stopped. Nobody knew why. The clock stopped. Nobody knew why."
    assert all(a.path.read_bytes() == b.path.read_bytes() for a, b in zip(first, second, strict=True))
    written = noise.path.stat().st_mtime_ns
    assert made.recordings("tuning", tmp_path / "a") == first
    assert noise.path.stat().st_mtime_ns == written
    assert times.text == "It cost $5 — once."
    assert [start_s is None for start_s in times.starts_s] == [False, False, False, True, False]
    sound, rate_hz = soundfile.read(times.path)
    for start_s in filter(None, times.starts_s):
        at = round(start_s * rate_hz)
        assert np.abs(sound[at : at + 80]).max() > 5 * np.abs(sound[at - 400 : at - 80]).max()
