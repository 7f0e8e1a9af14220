"""Pieces of sound laid down on the source's clock, as one WAV of one rate: what is missing is silence.

Sample 0 of the WAV is the clip's start. A hole becomes silence, what overlaps is heard once, and what has another
rate is resampled by itself. Whatever a broken clock says, no more is written than the recording can explain.

Not here: where pieces come from (`decoding`), and their channels (`channels`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from mediabuild.media.recordings.channels import as_float, as_int16, as_int24
from mediabuild.media.recordings.clock import EXPLAINED_FACTOR, EXPLAINED_S, BrokenClock

if TYPE_CHECKING:
    import numpy as np

# Holes from one frame of a 25/s picture up are filled; smaller ones are jitter of the stamps.
HOLE_S = 0.04
# A clock that goes back for longer than this, so that all that it says was there before, is no jitter …
BACK_S = 1.0
# … but where it comes forward again, a damaged file said something twice.
TWICE_S = 10.0
SILENCE_SAMPLES = 1 << 20  # so much silence is written at a time
Subtype = Literal["PCM_16", "PCM_24", "FLOAT"]
SAMPLE_BYTES: dict[Subtype, int] = {"PCM_16": 2, "PCM_24": 3, "FLOAT": 4}
WAV_BYTES = (1 << 32) - 4096  # more needs RF64, whose sizes have 64 bits


class Tape:
    """A WAV in the making; use it in a `with`.

    Args:
        path: RF64 where it has to be.
        rate_hz, channels: of the WAV.
        clip_s: where it starts and ends, in seconds on the source's clock.
        open_end: take all that comes, whatever the end.
        explained_s: how long the recording can be at most; asked when the clock asks for much silence.
        hear: is given what is written, int16 or float32 [frames, channels].
        subtype: of the WAV, as libsndfile calls it.
    """

    def __init__(
        self,
        path: Path,
        rate_hz: int,
        channels: int,
        clip_s: tuple[float, float],
        explained_s: Callable[[], float],
        hear: Callable[[np.ndarray], None] = lambda sound: None,
        open_end: bool = False,
        subtype: Subtype = "PCM_16",
    ) -> None:
        import soundfile

        self.rate_hz, self.channels = rate_hz, channels
        self.first, self.last = (round(time_s * rate_hz) for time_s in clip_s)
        kind = "RF64" if (self.last - self.first) * channels * SAMPLE_BYTES[subtype] > WAV_BYTES else "WAV"
        self._file = soundfile.SoundFile(path, "w", rate_hz, channels, subtype=subtype, format=kind)
        self._as_written = {"PCM_16": as_int16, "PCM_24": as_int24, "FLOAT": as_float}[subtype]
        self._open_end = open_end
        self._explained_s, self._hear = explained_s, hear
        self._at = 0  # the source's sample that comes next
        self._sounding = 0  # how many were no silence of ours
        self._laid = False
        self._back_s, self._back_by_s = 0.0, 0.0  # how much in a row was there before, and how far back it lies
        self.left_out_s, self.left_out_at_s = 0.0, 0.0  # how much was there before, in all, and where first
        self.hole_s, self.first_hole_s = 0.0, 0.0  # how much is missing in the middle of the clip, in all, and where
        self.ended_s = 0.0  # where the sound ends
        self._resampler: Any = None
        self._heard_hz, self._fed, self._begun = rate_hz, 0, 0  # the stretch that goes through the resampler

    def __enter__(self) -> Tape:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, start_s: float | None, sound: np.ndarray, rate_hz: int, *, seam: bool = False) -> None:
        """Lay a piece down.

        Args:
            start_s: on the source's clock; None is: right after what is there.
            sound: int16 or float32 [frames, channels of the tape].
            seam: what differs from the time before is no jitter.

        Raises:
            BrokenClock: the clock asks for more silence than the recording can explain, or goes back.
        """
        if rate_hz != self._heard_hz:
            self._end_stretch()
            self._heard_hz = rate_hz
        goes_on = True
        jitter = HOLE_S * self.rate_hz if self._laid and not seam else 0.5  # the first piece is laid to the sample
        if start_s is not None and abs(start_s * self.rate_hz - self._next) > jitter:
            self._end_stretch()
            drift = round(start_s * self.rate_hz) - self._at
            if drift > 0:
                self._note_hole(drift)
                self._silence(drift)
            elif seam and -drift <= BACK_S * self.rate_hz:
                self._rewind(-drift)
            else:
                sound, goes_on = self._new(sound, rate_hz, -drift), False
        if goes_on:
            self._back_s, self._back_by_s = 0.0, 0.0
        if len(sound):
            self._laid = True
            self._lay(sound, rate_hz)

    @property
    def at_s(self) -> float:
        """How far the tape is, in seconds on the source's clock."""
        return self._at / self.rate_hz

    @property
    def is_full(self) -> bool:
        """Whether the clip's end is reached."""
        return not self._open_end and self._next >= self.last + BACK_S * self.rate_hz  # it may go back a little

    def finish(self) -> None:
        """Fill up with silence to the clip's end."""
        self._end_stretch()
        if self._back_s > BACK_S:
            self._refuse()
        self.ended_s = self.at_s
        if self._open_end:
            self.last = self._at
        self._silence(self.last - self._at)

    @property
    def _next(self) -> float:
        """The source's sample that comes next, what is still in the resampler included."""
        return (
            self._begun + self._fed * self.rate_hz / self._heard_hz if self._resampler is not None else float(self._at)
        )

    def _lay(self, sound: np.ndarray, rate_hz: int) -> None:
        import soxr

        if rate_hz == self.rate_hz:
            self._write(sound)
            return

        if self._resampler is None:
            self._resampler = soxr.ResampleStream(rate_hz, self.rate_hz, self.channels, dtype="float32")
            self._begun, self._fed = self._at, 0
        self._fed += len(sound)
        resampled = self._resampler.resample_chunk(as_float(sound))
        self._write(resampled.reshape(-1, self.channels))

    def _end_stretch(self) -> None:
        """Write what the resampler still holds."""
        import numpy as np

        if self._resampler is not None:
            rest = self._resampler.resample_chunk(np.zeros((0, self.channels), np.float32), last=True)
            self._resampler = None
            self._write(rest.reshape(-1, self.channels))

    def _rewind(self, samples: int) -> None:
        """Go back: at a seam it's the end of the sound before that is superfluous, a coder's padding."""
        self._at -= samples
        self._sounding -= samples
        self._file.seek(min(max(self._at - self.first, 0), self._file.tell()))

    def _new(self, sound: np.ndarray, rate_hz: int, overlap: int) -> np.ndarray:
        """What of a piece wasn't there before; `overlap` in samples of the tape."""
        skipped = min(len(sound), round(overlap * rate_hz / self.rate_hz))
        self._back_s += skipped / rate_hz
        if self._laid:
            self.left_out_at_s = self.left_out_at_s if self.left_out_s else self.at_s
            self.left_out_s += skipped / rate_hz
        self._back_by_s = max(self._back_by_s, overlap / self.rate_hz)
        if self._back_s > TWICE_S and self._laid:
            self._refuse()
        return sound[skipped:]

    def _refuse(self) -> None:
        by_s = f"{self._back_by_s:.1f} s at {self.at_s:.1f} s"
        raise BrokenClock(f"its clock goes back by {by_s}, to what was there before", self.at_s)

    def _note_hole(self, samples: int) -> None:
        if self._laid and self.first <= self._at < self.last:
            self.first_hole_s = self.first_hole_s if self.hole_s else self.at_s
            self.hole_s += samples / self.rate_hz

    def _silence(self, samples: int) -> None:
        import numpy as np

        end_s, at_s = (self._at + samples) / self.rate_hz, self._at / self.rate_hz
        heard_s = self._sounding / self.rate_hz
        if end_s > EXPLAINED_FACTOR * heard_s + EXPLAINED_S and end_s > self._explained_s():
            raise BrokenClock(
                f"its clock says {end_s:.1f} s, but what is in it can't last longer than {self._explained_s():.1f} s: "
                f"it jumps at {at_s:.1f} s",
                at_s,
            )
        while samples > 0:
            step = min(samples, SILENCE_SAMPLES)
            self._put(np.zeros((step, self.channels), np.int16))
            samples -= step

    def _write(self, sound: np.ndarray) -> None:
        self._sounding += len(sound)
        self._put(sound)

    def _put(self, sound: np.ndarray) -> None:
        """Write the part that lies in the clip."""
        begin, end = max(self.first - self._at, 0), len(sound) if self._open_end else self.last - self._at
        self._at += len(sound)
        inside = sound[begin : max(end, 0)]
        if len(inside):
            self._hear(inside)
            self._file.write(self._as_written(inside))
