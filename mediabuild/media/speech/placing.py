"""Times for all words of a text, when some of them are known: in order, in bounds, and where somebody speaks.

Not here: how the known ones were found (`forcing`).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

SLIVER_S = 0.02  # what a sign that nobody speaks (a dash) takes from its neighbour, where there is no room between two

Stretch = tuple[float, float]


def place(known: Sequence[Stretch | None], lengths: Sequence[int], start_s: float, end_s: float) -> list[Stretch]:
    """Times for all words: ordered, not overlapping, between `start_s` and `end_s`.

    Args:
        known: the times of the words that could be aligned, None for the others.
        lengths: each word's length, in letters; neighbours without times share their room by it.
        start_s, end_s: the segment's bounds; known times are clipped to them.

    Returns:
        One `(start_s, end_s)` a word, rounded to ms.
    """
    placed: list[Stretch] = []
    run = 0  # words without times that wait for the next one with
    previous_s = start_s
    for index, time in enumerate([*known, (end_s, end_s)]):
        if time is None:
            run += 1
            continue
        low_s = min(max(time[0], previous_s), max(end_s, start_s))
        high_s = min(max(time[1], low_s), max(end_s, start_s))
        if run:
            need_s = run * SLIVER_S
            if low_s - previous_s < need_s and placed:
                previous_s = max(sum(placed[-1]) / 2, min(placed[-1][1], low_s - need_s))
                placed[-1] = (placed[-1][0], previous_s)
            elif low_s - previous_s < need_s:
                low_s = min((low_s + high_s) / 2, previous_s + need_s)
            placed += shared(lengths[index - run : index], [(previous_s, low_s)])
            run = 0
        placed.append((low_s, high_s))
        previous_s = high_s
    return [(round(first_s, 3), round(last_s, 3)) for first_s, last_s in placed[: len(known)]]


def shared(lengths: Sequence[int], parts: Sequence[Stretch]) -> list[Stretch]:
    """Stretches divided among words in proportion to their lengths; no word reaches from one stretch into another.

    Args:
        parts: at least one; ordered, not overlapping.
    """
    total, total_s = sum(lengths) or 1, sum(end_s - start_s for start_s, end_s in parts)
    ends_s = [0.0, *itertools.accumulate(end_s - start_s for start_s, end_s in parts)]  # of the parts, one by one
    found: list[Stretch] = []
    done = 0
    for length in lengths:
        low_s, high_s = total_s * done / total, total_s * (done + length) / total
        done += length
        # The part that holds most of the word.
        overlaps = [min(high_s, ends_s[index + 1]) - max(low_s, ends_s[index]) for index in range(len(parts))]
        index = overlaps.index(max(overlaps))
        offset_s = parts[index][0] - ends_s[index]
        low_s, high_s = max(low_s, ends_s[index]) + offset_s, min(high_s, ends_s[index + 1]) + offset_s
        low_s = max(low_s, found[-1][1]) if found else low_s
        found.append((low_s, max(low_s, high_s)))
    return found


def in_speech(time: Stretch, speech: Sequence[Stretch]) -> Stretch:
    """A time without the silence at its ends; as it is where no speech was detected."""
    inside = [part for part in speech if part[0] < time[1] and part[1] > time[0]]
    return (max(time[0], inside[0][0]), min(time[1], inside[-1][1])) if inside else time


def spoken_parts(time: Stretch, speech: Sequence[Stretch]) -> list[Stretch]:
    """The stretches of speech inside a time; the whole of it where there are none."""
    inside = [(max(time[0], part[0]), min(time[1], part[1])) for part in speech]
    return [part for part in inside if part[0] < part[1]] or [time]
