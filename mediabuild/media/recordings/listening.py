"""What a listener would notice in a recording's sound: nothing at all, two channels against each other, clipping.

Such sound is written as it is, and would give empty or wrong subtitles without a word.

Not here: whether somebody speaks (`voices`, and the `detect_speech` stage).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mediabuild.media.recordings.channels import FULL_SCALE, SILENT, as_float, cancel

if TYPE_CHECKING:
    import numpy as np

# Coded sound goes over full scale by a little, which nobody hears (+1 dB).
OVER = 1.122
# So much of it, and it is worth a word.
NOTED_S = 1.0


@dataclass
class Listener:
    """Hears what is written, piece by piece.

    Args:
        rate_hz: of the sound.
    """

    rate_hz: int
    peak: float = 0.0
    cancelled: int = 0
    over: int = 0
    alone: Counter[str] = field(default_factory=Counter)
    alone_now: str | None = None

    def hear(self, sound: np.ndarray) -> None:
        """One piece: int16 or float32 [frames, channels]; `alone_now` is the channel that is heard alone in it."""
        import numpy as np

        full = FULL_SCALE if sound.dtype == np.int16 else 1.0
        peak = max(float(sound.max()), -float(sound.min())) / full
        self.peak = max(self.peak, peak)
        if peak > OVER:
            self.over += int(np.count_nonzero(np.abs(sound).max(axis=1) > 1.0))
        if sound.shape[1] == 2 and peak > SILENT and cancel(as_float(sound)):
            self.cancelled += len(sound)
        if self.alone_now is not None:
            self.alone[self.alone_now] += len(sound)

    def notes(self) -> list[str]:
        """What is worth a word, a sentence each."""
        if self.peak < SILENT:
            return ["its sound is silent from beginning to end"]
        found = []
        if self.over:
            louder_db = 20 * math.log10(self.peak)
            found.append(f"{self.over} samples are over full scale, by up to {louder_db:.1f} dB: they are clipped")
        for name, samples in sorted(self.alone.items()):
            if samples > NOTED_S * self.rate_hz:
                length_s = samples / self.rate_hz
                found.append(f"for {length_s:.0f} s only channel {name} is heard; all together they are silent")
        if self.cancelled > NOTED_S * self.rate_hz:
            length_s = self.cancelled / self.rate_hz
            found.append(f"for {length_s:.0f} s left and right cancel each other: one is wired the wrong way round")
        return found
