"""Segments of a sound separated in batches: what demucs calls a pool, for a GPU that one segment leaves idle.

demucs cuts a sound into segments, hands each to a pool, and adds up what comes back. This pool separates as many
segments at once as it is told to, of one sound alone: so a sound's result doesn't depend on what else is separated.

Not here: cutting a recording into such sounds (`grid`), and which device it is (the `separate` stage).
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from demucs.apply import TensorChunk

if TYPE_CHECKING:
    import torch


class Batches:
    """As much of an executor as `demucs.apply.apply_model` uses of its `pool`.

    Args:
        size: how many segments are separated at once.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._waiting: deque[Segment] = deque()

    def submit(self, separate: Callable[..., Any], model: Any, chunk: TensorChunk, **settings: Any) -> Segment:
        """Take in a segment; all that wait together are of one sound, and settled alike."""
        segment = Segment(self, lambda chunks: separate(model, chunks, **settings), chunk)
        self._waiting.append(segment)
        return segment

    def shutdown(self, **_: Any) -> None:
        """Forget what waits."""
        self._waiting.clear()

    def separate_next(self) -> None:
        """Separate the next batch: segments that are equally long."""
        first = self._waiting[0]
        alike = itertools.takewhile(lambda segment: segment.chunk.length == first.chunk.length, self._waiting)
        batch = list(itertools.islice(alike, self.size))
        found = first.separate(_Together([segment.chunk for segment in batch]))
        for segment, part in zip(batch, found.split(len(found) // len(batch)), strict=True):
            segment.found = part
            self._waiting.popleft()


class Segment:
    """A segment that is going to be separated: what demucs calls a future."""

    def __init__(self, batches: Batches, separate: Callable[[TensorChunk], Any], chunk: TensorChunk) -> None:
        self.batches = batches
        self.separate = separate
        self.chunk = chunk
        self.found: torch.Tensor | None = None

    def result(self) -> torch.Tensor:
        """Its sources, float32 [sounds, sources, channels, samples]; what was submitted before it comes first."""
        while self.found is None:
            self.batches.separate_next()
        found, self.found = self.found, None
        return found


class _Together(TensorChunk):  # type: ignore[misc]
    """Several chunks of one length, as one: their sounds stand one below the other."""

    def __init__(self, chunks: Sequence[TensorChunk]) -> None:
        super().__init__(chunks[0])
        self.chunks = chunks

    @property
    def shape(self) -> list[int]:
        sounds, *rest = self.chunks[0].shape
        return [len(self.chunks) * sounds, *rest]

    def padded(self, target_length: int) -> Any:
        """All of them with the sound around them, so that each is so long."""
        import torch

        return torch.cat([chunk.padded(target_length) for chunk in self.chunks])
