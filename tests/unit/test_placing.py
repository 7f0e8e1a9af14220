"""Placing: times for words that couldn't be aligned."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediabuild.media.speech.placing import in_speech, place, shared, spoken_parts

LENGTHS = st.lists(st.integers(1, 15), min_size=1, max_size=30)
PARTS = st.lists(st.integers(0, 10_000), min_size=2, max_size=12, unique=True).map(
    lambda edges: [(a / 1000, b / 1000) for a, b in list(pairwise(sorted(edges)))[::2]]
)


@given(lengths=LENGTHS, parts=PARTS)
def test_shared_words_are_ordered_and_never_in_silence(lengths: list[int], parts: list[tuple[float, float]]) -> None:
    """Each word lies in one stretch of speech, one after the other."""
    found = shared(lengths, parts)
    assert len(found) == len(lengths)
    assert all(before[1] <= after[0] + 1e-9 for before, after in pairwise(found))
    assert all(start <= end for start, end in found)
    assert all(any(a - 1e-9 <= start and end <= b + 1e-9 for a, b in parts) for start, end in found)


def test_longer_words_get_more_of_the_time() -> None:
    """In proportion to their letters, over all of the speech."""
    assert shared([1, 3], [(2.0, 4.0)]) == [(2.0, 2.5), (2.5, 4.0)]
    assert shared([1, 1, 2], [(0.0, 1.0), (5.0, 6.0)]) == [(0.0, 0.5), (0.5, 1.0), (5.0, 6.0)]


@pytest.mark.parametrize(
    ("known", "dash"),
    [
        ([(1.0, 1.5), None, (1.5, 2.0)], (1.48, 1.5)),  # no room: a sliver of the word before
        ([(1.0, 1.5), None, (1.9, 2.0)], (1.5, 1.9)),  # the room between two words
        ([None, (1.0, 1.5)], (1.0, 1.02)),
        ([(1.0, 2.0), None], (1.98, 2.0)),
    ],
)
def test_a_dash_takes_little(known: list[tuple[float, float] | None], dash: tuple[float, float]) -> None:
    """A sign that nobody speaks never takes half of its neighbour."""
    found = place(known, [3] * len(known), 1.0, 2.0)
    assert found[known.index(None)] == pytest.approx(dash)


def test_only_speech_inside_a_time_counts() -> None:
    """Its stretches are clipped to it; where nobody speaks, all of it is taken."""
    speech = [(0.0, 1.0), (2.0, 3.0), (4.0, 9.0)]
    assert spoken_parts((0.5, 5.0), speech) == [(0.5, 1.0), (2.0, 3.0), (4.0, 5.0)]
    assert spoken_parts((3.2, 3.8), speech) == [(3.2, 3.8)]
    assert in_speech((1.5, 3.5), speech) == (2.0, 3.0)


KNOWN = st.lists(
    st.one_of(st.none(), st.tuples(st.floats(-1, 12), st.floats(-1, 12)).map(lambda pair: (min(pair), max(pair)))),
    max_size=30,
)


@given(known=KNOWN, start_s=st.floats(0, 5), length_s=st.floats(0, 6), letters=st.randoms(use_true_random=False))
def test_placed_words_are_ordered_and_in_bounds(
    known: list[tuple[float, float] | None],
    start_s: float,
    length_s: float,
    letters: Any,
) -> None:
    """Whatever the aligner says: one time a word, in order, not overlapping, inside the segment to the ms."""
    lengths = [letters.randint(1, 12) for _ in known]
    placed = place(known, lengths, start_s, start_s + length_s)
    assert len(placed) == len(known)
    edges = [edge for time in placed for edge in time]
    assert edges == sorted(edges)
    assert all(start_s - 0.0006 <= edge <= start_s + length_s + 0.0006 for edge in edges)


@given(starts=st.lists(st.integers(0, 200), min_size=1, unique=True).map(sorted))
def test_aligned_words_keep_their_times(starts: list[int]) -> None:
    """Where every word is aligned and in order, no time is changed."""
    known = [(start / 10, start / 10 + 0.08) for start in starts]
    placed = place(known, [3] * len(known), 0.0, 30.0)
    assert placed == [(round(a, 3), round(b, 3)) for a, b in known]
