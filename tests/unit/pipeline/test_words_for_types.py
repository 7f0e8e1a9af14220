"""What is said of a value of the wrong type: in words, with no names of Python's types."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest

from mediabuild.pipeline.typed import hint_for, sentence

Positive = Annotated[float, msgspec.Meta(gt=0)]


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (float | None, "1:30", "expected a number, got a string"),
        (Positive | None, "x", "expected a number, got a string"),
        (Positive, -1, "expected a number > 0.0"),
        (int | float | None, True, "expected a number, got a boolean"),
        (int | str | None, 1.5, "expected an integer or a string, got a float"),
        (bool, "yes", "expected true or false, got a string"),
        (list[float], [1, "x"], "expected a number, got a string at [1]"),
        (dict[str, int], [1], "expected a table, got a list"),
        (str, {}, "expected a string, got a table"),
    ],
)
def test_words_for_types(kind: Any, value: object, said: str) -> None:
    """Python's `float | null` is a number."""
    with pytest.raises(msgspec.ValidationError) as raised:
        msgspec.convert(value, kind)
    assert sentence(raised.value) == said


@pytest.mark.parametrize(
    ("where", "value", "hint"),
    [
        ("clip_end_s", "1:30", "seconds; --clip-end 1:30 takes minutes"),
        ("stages.demux.params.clip_start_s", "x", "seconds; --clip-start 1:30 takes minutes"),
        ("timeout_s", "5 min", "seconds"),
        ("clip_end_s", -1, ""),
        ("beam_size", "x", ""),
    ],
)
def test_hints_for_times(where: str, value: object, hint: str) -> None:
    """A time is a number of seconds; a clip's may be typed as on a clock."""
    assert hint_for(float | None, value, where) == hint
