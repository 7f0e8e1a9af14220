"""Sound as bytes: how a separated piece is kept.

Not here: which pieces there are (`grid`), and the files that the `separate` stage writes.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

HEADROOM_BITS = 1  # in 24: an estimate may be louder than any recording


def packed(voice: np.ndarray, rate_hz: int) -> bytes:
    """Sound as a file in memory, rounded to 24 bits of which one is headroom; FLAC has up to 8 channels."""
    import numpy as np
    import soundfile

    top = 2**31
    rounded = np.rint(np.clip(voice.astype(np.float64) * 2 ** (31 - HEADROOM_BITS), -top, top - 256) / 256) * 256
    file = io.BytesIO()
    kind = "FLAC" if voice.shape[1] <= 8 else "WAV"
    soundfile.write(file, rounded.astype(np.int32), rate_hz, format=kind, subtype="PCM_24")
    return file.getvalue()


def unpacked(unit: bytes) -> np.ndarray:
    """What `packed` packed: float32 [samples, channels]."""
    import soundfile

    sound: np.ndarray = soundfile.read(io.BytesIO(unit), dtype="float32", always_2d=True)[0] * 2**HEADROOM_BITS
    return sound
