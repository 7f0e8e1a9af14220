"""In which of a recording's sounds somebody speaks: the first one may be silent, or music alone.

Silero's model is asked, as `detect_speech` does; where it isn't installed, a track that sounds at all is taken.

Not here: where exactly somebody speaks (the `detect_speech` stage).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mediabuild.media.recordings.channels import SILENT, as_float, mixed
from mediabuild.media.recordings.decoding import Damage, pieces
from mediabuild.media.recordings.sound import SPEECH_HZ

if TYPE_CHECKING:
    import numpy as np

BLOCK_S = 30.0
# So much of a block is speech where somebody speaks; now and then music is taken for a word.
SPEECH_SHARE = 0.05
SPEAKS, SOUNDS, IS_SILENT = 2, 1, 0


def first_that_speaks(media: Path, indexes: Sequence[int], clip_s: tuple[float, float], hint: str) -> int:
    """The first of some audio tracks in which somebody speaks; or the first that sounds; or the first.

    Each is heard from the clip's start until somebody speaks in it.

    Args:
        indexes: audio tracks, counted from 0, the most likely one first.
        clip_s: where the clip starts and ends, in seconds on the source's clock.
    """
    found: dict[int, int] = {}
    for index in indexes:
        found[index] = _kind(media, index, clip_s, hint)
        if found[index] == SPEAKS:
            return index
    return max(indexes, key=lambda index: found[index])  # the first of those that are equal


def _kind(media: Path, index: int, clip_s: tuple[float, float], hint: str) -> int:
    kind = IS_SILENT
    for block in _blocks(media, index, clip_s, hint):
        if abs(block).max() >= SILENT:
            kind = SOUNDS
            if _speaks(block):
                return SPEAKS
    return kind


def _blocks(media: Path, index: int, clip_s: tuple[float, float], hint: str) -> Iterator[np.ndarray]:
    """A track's sound in the clip as Silero hears it: `SPEECH_HZ`, mono, float32; blocks of a few seconds or more."""
    import numpy as np
    import soxr

    held: list[np.ndarray] = []
    for piece in pieces(media, index, hint, Damage()):
        if piece.start_s is not None and piece.start_s >= clip_s[1]:
            break
        if piece.start_s is not None and piece.start_s + len(piece.sound) / piece.rate_hz <= clip_s[0]:
            continue
        mono = as_float(mixed(piece.sound, piece.names, 1)[0])
        held.append(soxr.resample(mono[:, 0], piece.rate_hz, SPEECH_HZ).astype(np.float32))
        if sum(map(len, held)) >= BLOCK_S * SPEECH_HZ:
            yield np.concatenate(held)
            held = []
    if held:
        yield np.concatenate(held)


def _speaks(block: np.ndarray) -> bool:
    if importlib.util.find_spec("faster_whisper") is None:
        return True
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    spoken = get_speech_timestamps(block, VadOptions(speech_pad_ms=0))
    return bool(sum(part["end"] - part["start"] for part in spoken) >= SPEECH_SHARE * len(block))
