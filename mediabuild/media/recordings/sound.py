"""Pieces of a recording's sound, on the source's clock: what the stages that listen hear.

A clip is a part of its source. Places are rounded to frames that are counted from the source's zero, so the same
speech is the same samples wherever the clip starts, and what was kept of it is found again.

Not here: cutting the sound out of a recording (the `demux` stage), and writing sound.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mediabuild.media.recordings.channels import cancel, loudness

if TYPE_CHECKING:
    import numpy as np

SPEECH_HZ = 16_000  # what Silero, Whisper and pocketsphinx hear
STEREO = 2
GRAIN_FRAMES = 1 << 14  # a third of a second at 48 kHz: shorter than most words
BLOCK_S = 60  # what is in memory at a time where all of a recording is heard


class Sound:
    """A WAV, open for reading; use it in a `with`. Several threads may read of it.

    Args:
        path: the clip's sound.
        clip_start_s: where the clip starts, in seconds on the source's clock.

    Attributes:
        rate_hz, channels: of the WAV. frames, duration_s: how long the clip is.
        first_frame: how many frames the source has before the clip.
    """

    def __init__(self, path: Path, clip_start_s: float = 0.0) -> None:
        import soundfile

        self._file = soundfile.SoundFile(path)
        self._lock = threading.Lock()  # reading goes on where the file was sought
        self.rate_hz = int(self._file.samplerate)
        self.channels = int(self._file.channels)
        self.frames = int(self._file.frames)
        self.duration_s = self.frames / self.rate_hz
        self.first_frame = round(clip_start_s * self.rate_hz)

    def __enter__(self) -> Sound:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def read(self, start: int, stop: int) -> np.ndarray:
        """Frames of the clip from `start` up to `stop`; what the clip doesn't hold is silence.

        Returns:
            float32 [stop − start, channels], −1…1.
        """
        import numpy as np

        count = max(0, min(stop, self.frames) - max(start, 0))
        with self._lock:
            self._file.seek(min(max(start, 0), self.frames))
            found = self._file.read(count, dtype="float32", always_2d=True)
        before = min(max(0, -start), stop - start)
        padded: np.ndarray = np.pad(found, ((before, stop - start - before - len(found)), (0, 0)))
        return padded

    def between(self, start_s: float, end_s: float) -> np.ndarray:
        """What the clip holds between two times, in seconds from its start: float32 [frames, channels], −1…1."""
        return self.read(*self._between(start_s, end_s))

    def _between(self, start_s: float, end_s: float) -> tuple[int, int]:
        first = min(self._frame(start_s), self.frames)
        return first, min(max(first, self._frame(end_s)), self.frames)

    def _frame(self, time_s: float) -> int:
        """The frame at a time; a little up, since a half would go either way when the clip moves."""
        return max(0, math.floor(time_s * self.rate_hz + self.first_frame + 0.55) - self.first_frame)

    def facts(self, frames: np.ndarray) -> list[Any]:
        """What tells a piece of this recording from all others: a unit's facts."""
        return [hashlib.sha256(frames.tobytes()).hexdigest(), self.channels, self.rate_hz]

    def facts_between(self, start_s: float, end_s: float) -> list[Any]:
        """The facts of what the clip holds between two times, however long that is."""
        first, last = self._between(start_s, end_s)
        digest = hashlib.sha256()
        for start in range(first, last, BLOCK_S * self.rate_hz):
            digest.update(self.read(start, min(start + BLOCK_S * self.rate_hz, last)).tobytes())
        return [digest.hexdigest(), self.channels, self.rate_hz]

    def as_speech(self, frames: np.ndarray) -> np.ndarray:
        """A piece as the models of speech hear it: `SPEECH_HZ`, mono, float32 [samples]."""
        import soxr

        heard: np.ndarray = soxr.resample(_mono(frames), self.rate_hz, SPEECH_HZ)
        return heard

    def all_as_speech(self, silence: int) -> Iterator[np.ndarray]:
        """All of the clip as the models of speech hear it, a minute at a time: `SPEECH_HZ`, mono, float32 [samples].

        Args:
            silence: how many frames of silence are heard before it.
        """
        import soxr

        stream = soxr.ResampleStream(self.rate_hz, SPEECH_HZ, 1, dtype="float32")
        start, stop = -silence, 0
        while start < self.frames:
            stop = min(stop + BLOCK_S * self.rate_hz, self.frames)
            yield stream.resample_chunk(_mono(self.read(start, stop)))
            start = stop
        yield stream.resample_chunk(_mono(self.read(0, 0)), last=True)


def _mono(frames: np.ndarray) -> np.ndarray:
    """All channels at once; where left and right cancel each other, the louder one alone.

    float32 [frames, channels] → float32 [frames].
    """
    mean: np.ndarray = frames.mean(axis=1)
    if frames.shape[1] == STEREO:
        for start in range(0, len(frames), GRAIN_FRAMES):
            grain = frames[start : start + GRAIN_FRAMES]
            if cancel(grain):
                left, right = loudness(grain)
                mean[start : start + len(grain)] = grain[:, int(right > 2 * left)]  # it doesn't swap equal ones
    return mean
