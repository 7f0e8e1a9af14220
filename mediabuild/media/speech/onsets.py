"""Where a word begins after a pause: when its sound rises out of the silence.

An aligner likes to begin a word 20 to 150 ms early there, since it knows no silence shorter than some frames, and
silence may be the closed lips of a "p". Inside running speech it is right, closed lips included, and is left alone.

Not here: the alignment itself (`forcing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

STEP_S = 0.005
STEP_SAMPLES = 80
# Measured on 1,500 words of flite and espeak-ng, which tell their times, of words read one by one, and of a person.
LOUD = 0.03  # of the speech's level: more is sound
CLEAN = 0.5  # of that: where the background is louder, nobody can tell
PAUSE_S = 0.1  # lips are closed for less
BEFORE_S = 0.005  # a word begins this long before it is loud
FARTHEST_S = 0.3
TAIL_S = 0.08  # of the word before, taken for this one's beginning

Stretch = tuple[float, float]


def out_of_silence(times: Sequence[Stretch | None], heard: np.ndarray) -> list[Stretch | None]:
    """Times of words, without the silence at their beginnings where it goes on from a pause before them.

    Args:
        times: in seconds from the sound's start, each None for a word without one. heard: int16 [samples] at 16 kHz.
    """
    import numpy as np

    steps: np.ndarray = heard[: len(heard) // STEP_SAMPLES * STEP_SAMPLES].reshape(-1, STEP_SAMPLES).astype(np.float32)
    if not len(steps):
        return list(times)
    levels = np.sqrt((steps**2).mean(axis=1))
    background, speech = np.percentile(levels, [5, 95])
    if background > CLEAN * LOUD * speech:
        return list(times)
    loud = levels > LOUD * speech
    loud[:-1] &= loud[1:]  # a click isn't sound
    edges = np.flatnonzero(np.diff(loud, prepend=True, append=True)).tolist()
    quiet = [(first * STEP_S, last * STEP_S) for first, last in zip(edges[::2], edges[1::2], strict=True)]
    pauses = [(start_s, end_s) for start_s, end_s in quiet if end_s - start_s >= PAUSE_S]
    return _begun(times, pauses)


def _begun(times: Sequence[Stretch | None], pauses: Sequence[Stretch]) -> list[Stretch | None]:
    """Each word begins after the pause at its beginning; what it took of the word before that goes back there."""
    found = list(times)
    before = None  # the word before
    for index, time in enumerate(times):
        if time is None:
            continue
        pause = next((pause for pause in pauses if time[0] < pause[1] < min(time[1], time[0] + FARTHEST_S)), None)
        if pause and pause[0] <= time[0] + TAIL_S:
            found[index] = (max(time[0], pause[1] - BEFORE_S), time[1])
            earlier = found[before] if before is not None else None
            if earlier and earlier[1] == time[0] < pause[0]:
                found[before] = (earlier[0], pause[0])
        before = index
    return found
