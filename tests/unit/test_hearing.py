"""A second hearing: what Whisper wasn't sure of is heard once more, and the better text is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mediabuild.media.recordings.sound import Sound
from mediabuild.media.speech.hearing import Heard, hear
from mediabuild.media.speech.passages import passages

SPEECH = [(1.0, 5.0), (6.0, 10.0), (11.0, 15.0)]
SURE, UNSURE = -0.2, -1.1


class Script:
    """A Whisper that says what it is told to, hearing by hearing, and remembers how much it heard, in seconds."""

    def __init__(self, *hearings: Sequence[Heard]) -> None:
        self.hearings = list(hearings)
        self.heard_s: list[float] = []

    def __call__(self, sound: np.ndarray) -> Iterator[Heard]:
        self.heard_s.append(len(sound) / 16_000)
        yield from self.hearings.pop(0)


def said(start: float, end: float, text: str, logprob: float = SURE, ratio: float = 1.2) -> Heard:
    """A segment of what is heard."""
    return Heard(start, end, text, logprob, ratio)


@pytest.fixture
def sound(tmp_path: Path) -> Iterator[Sound]:
    """Sixteen seconds, in which the script decides what is said."""
    soundfile.write(tmp_path / "a.wav", np.zeros(16 * 16_000), 16_000)
    with Sound(tmp_path / "a.wav") as opened:
        yield opened


FIRST = "The quick brown fox jumps over a lazy dog."
LAST = "And nobody in the harbour town was awake."


def texts(script: Script, sound: Sound, longest_s: float = 28.0) -> list[str]:
    """What `hear` makes of the script."""
    (passage,) = passages(SPEECH, 0.0, sound.duration_s)
    return [part.text for part in hear(script, sound, passage, longest_s)]


def middle(text: str, logprob: float = SURE, ratio: float = 1.2) -> list[Heard]:
    """A first hearing (which begins 0.8 s into the clip) in which the middle is in question."""
    found = [said(0.2, 4.2, FIRST), said(5.2, 9.2, text, logprob, ratio), said(10.2, 14.2, LAST)]
    return found if text else [found[0], found[2]]


def test_what_is_sure_is_heard_once(sound: Sound) -> None:
    """All of the passage at once, and the times are the clip's."""
    (passage,) = passages(SPEECH, 0.0, sound.duration_s)
    script = Script(middle("She counted all the steps to the pier."))
    found = list(hear(script, sound, passage, 28.0))
    assert [(round(part.start, 3), round(part.end, 3)) for part in found] == [(1.0, 5.0), (6.0, 10.0), (11.0, 15.0)]
    assert script.heard_s == [pytest.approx(16.0 - 0.8)]


@pytest.mark.parametrize(
    ("first", "again", "kept"),
    [
        ([], [said(0.2, 4.2, "She counted all the steps.")], "She counted all the steps."),  # a lost sentence
        (middle("the steps", UNSURE), [said(0.2, 4, "She counted the steps.", SURE)], "She counted the steps."),
        (middle("She counted the steps.", UNSURE), [said(0, 4, "the steps", SURE)], "She counted the steps."),
        (middle("She counted the steps.", UNSURE), [], "She counted the steps."),
        (middle("la " * 40, SURE, 9.0), [said(0, 4, "La la land.", UNSURE)], "La la land."),  # a loop
        (middle("She counted.", UNSURE), [said(0, 4, "She " * 90, SURE, 20.0)], "She counted."),
    ],
)
def test_the_better_of_two_hearings_is_kept(sound: Sound, first: list[Heard], again: list[Heard], kept: str) -> None:
    """A doubtful sentence between two sure ones is heard alone, with 0.2 s around it; the others stay as they were."""
    script = Script(first or middle(""), again)
    assert texts(script, sound) == [FIRST, kept, LAST]
    assert script.heard_s[1] == pytest.approx(4.4, abs=0.01)


@pytest.mark.parametrize(
    ("first", "again", "kept"),
    [
        ("the steps", "dog. She counted the steps. And", "She counted the steps."),
        ("the steps", "A lazy dog! She counted the steps.", "She counted the steps."),
        ("dog, the steps", "Dog, dog! She counted the steps.", "Dog, dog! She counted the steps."),
        ("the steps", "dog. And", None),
    ],
)
def test_a_word_at_the_border_is_heard_once(sound: Sound, first: str, again: str, kept: str | None) -> None:
    """What the neighbours have already isn't said again; what the first hearing has twice is."""
    script = Script(middle(first, UNSURE), [said(0.2, 4, again, SURE)])
    assert texts(script, sound) == [FIRST, *([kept] if kept else []), LAST]


def test_a_second_hearing_is_in_windows(sound: Sound) -> None:
    """Where everything is in doubt, it is cut at silences into windows of at most so many seconds."""
    guess = [said(0.2, 4.2, "guess", UNSURE), said(5.2, 9.2, "guess", UNSURE), said(10.2, 14.2, "guess", UNSURE)]
    script = Script(guess, [said(0, 4, FIRST), said(5, 9, FIRST)], [said(0, 4, LAST)])
    assert texts(script, sound, longest_s=10.0) == [FIRST, FIRST, LAST]
    assert script.heard_s[1:] == pytest.approx([9.4, 4.4], abs=0.1)


def test_nothing_heard_twice_is_nothing(sound: Sound) -> None:
    """A passage without any text is heard again, and may stay without."""
    script = Script([], [])
    assert texts(script, sound) == []
    assert len(script.heard_s) == 2
