"""Many channels as two or one, so that nothing that is heard in one of them is lost.

The weights are those of ITU-R BS.775: the centre and what lies behind at −3 dB. They add up to one at most, so
that all channels at full level don't clip. Where the sum is silent though a channel isn't (channels against each
other, a voice in the one for low frequencies), that channel is heard instead.

Not here: what becomes of mono and stereo, which `demux` leaves as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

HALF_POWER = 0.5**0.5
# By ffmpeg's names of channels: left, right. What isn't here is heard on both sides, at −3 dB.
LEFT = {"FL": 1.0, "DL": 1.0, "FLC": HALF_POWER, "BL": HALF_POWER, "SL": HALF_POWER, "WL": HALF_POWER}
LEFT |= dict.fromkeys(("TFL", "TBL", "TSL", "BFL", "SDL"), HALF_POWER)
RIGHT = {name[:-1] + "R" if name != "FLC" else "FRC": weight for name, weight in LEFT.items()}
FAR = ("BC", "TBC", "TC")  # behind and above: −6 dB on each side
LOW = ("LFE", "LFE2")
# What a container doesn't say is guessed as ffmpeg does, but for the channel of low frequencies: there may be none.
GUESSED = {
    3: ("FL", "FR", "FC"),
    4: ("FL", "FR", "FC", "BC"),
    5: ("FL", "FR", "FC", "BL", "BR"),
    6: ("FL", "FR", "FC", "FC", "BL", "BR"),
    7: ("FL", "FR", "FC", "FC", "BC", "SL", "SR"),
    8: ("FL", "FR", "FC", "FC", "BL", "BR", "SL", "SR"),
}
FULL_SCALE = 32768  # of 16 bits
# −60 dB of full scale: below it there is nothing to be heard.
SILENT = 0.001
# Two that are this far apart (−20 dB) have cancelled each other.
CANCELLED = 0.1


def names_of(given: Sequence[str]) -> tuple[str, ...]:
    """The channels' names as they are told, or as they are guessed where they aren't."""
    if all(name not in ("NONE", "UNK", "") for name in given):
        return tuple(given)
    return GUESSED.get(len(given), ("FC",) * len(given))


def mixed(sound: np.ndarray, names: Sequence[str], channels: int) -> tuple[np.ndarray, str | None]:
    """A piece of sound with fewer channels, or one channel as two.

    Args:
        sound: int16, or float32 of −1…1, [frames, channels].
        names: of its channels, as `names_of` has them.
        channels: 1 or 2.

    Returns:
        The same, or float32 [frames, channels]; and the channel that is heard alone where all together are silent.
    """
    import numpy as np

    if sound.shape[1] == channels:
        return sound, None
    sound = as_float(sound)
    if sound.shape[1] == 1:
        return np.repeat(sound, channels, axis=1), None
    weights = _weights(names)
    if channels == 1:
        weights = weights.mean(axis=1, keepdims=True)
    mix: np.ndarray = np.zeros((channels, len(sound)), np.float32)
    for channel, side in np.argwhere(weights):
        mix[side] += sound[:, channel] * np.float32(weights[channel, side])
    loud = loudness(sound)
    if loud.max() < SILENT:
        return mix.T, None
    rest = np.where(np.isin(names, LOW), 0.0, loud)
    alone = int(loud.argmax() if rest.max() < SILENT else rest.argmax())
    if rest.max() >= SILENT and loudness(mix.T).max() >= CANCELLED * weights[alone].max() * loud[alone]:
        return mix.T, None
    return np.repeat(sound[:, alone : alone + 1], channels, axis=1), names[alone]


def loudness(sound: np.ndarray) -> np.ndarray:
    """The root mean square of each channel: float32 [frames, channels], at least one frame → float64 [channels]."""
    import numpy as np

    powers = [float(np.dot(channel, channel)) / len(channel) for channel in sound.T]
    means: np.ndarray = np.sqrt(powers)
    return means


def loudest(sound: np.ndarray) -> float:
    """The largest sample of a piece: 1 is full scale."""
    return float(abs(as_float(sound)).max(initial=0))


def as_float(sound: np.ndarray) -> np.ndarray:
    """float32 of −1…1, from int16 or as it is."""
    import numpy as np

    scaled: np.ndarray = sound / np.float32(FULL_SCALE) if sound.dtype == np.int16 else sound
    return scaled


def as_int16(sound: np.ndarray) -> np.ndarray:
    """int16, from float32 of −1…1, which is rounded and clipped, or as it is."""
    import numpy as np

    if sound.dtype == np.int16:
        return sound
    rounded: np.ndarray = np.clip(np.rint(sound * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
    return rounded


def as_int24(sound: np.ndarray) -> np.ndarray:
    """24 bits in the upper ones of int32, from int16 or from float32 of −1…1, which is rounded and clipped."""
    import numpy as np

    if sound.dtype == np.int16:
        upper: np.ndarray = sound.astype(np.int32) << 16
        return upper
    full = 1 << 23
    rounded: np.ndarray = np.clip(np.rint(sound.astype(np.float64) * full), -full, full - 1).astype(np.int32) << 8
    return rounded


def placed(sound: np.ndarray, names: Sequence[str], wanted: Sequence[str]) -> np.ndarray:
    """A piece of sound in other channels: each in the one of its name; where one has none there, all mixed to two.

    Args:
        sound: int16, or float32 of −1…1, [frames, channels].
        names: of its channels. wanted: of those of the result.

    Returns:
        The same, or float32 [frames, wanted].
    """
    import numpy as np

    if len(names) == len(wanted):
        return sound
    if not set(names) <= set(wanted):
        sides = min(len(wanted), 2)
        sound, _ = mixed(sound, names, sides)
        names = ("FL", "FR") if {"FL", "FR"} <= set(wanted) else wanted[:sides]
    result: np.ndarray = np.zeros((len(sound), len(wanted)), np.float32)
    for channel, name in enumerate(names):
        result[:, list(wanted).index(name)] = as_float(sound[:, channel])
    return result


def _weights(names: Sequence[str]) -> np.ndarray:
    """How much of each channel is heard left and right: [channels, 2], at most 1 in sum on either side."""
    import numpy as np

    weights = np.zeros((len(names), 2))
    for row, name in zip(weights, names, strict=True):
        if name in LEFT:
            row[0] = LEFT[name]
        elif name in RIGHT:
            row[1] = RIGHT[name]
        elif name not in LOW:
            row[:] = 0.5 if name in FAR else HALF_POWER
    summed: float = weights.sum(axis=0).max()
    shares: np.ndarray = weights / max(summed, 1.0)
    return shares


def cancel(sound: np.ndarray) -> bool:
    """Whether the two channels of a piece of stereo are nearly silent together, and aren't alone.

    Args:
        sound: float32 [frames, 2], at least one frame.
    """
    import numpy as np

    loud = loudness(sound)
    together = float(np.dot(sound[:, 0], sound[:, 1])) / len(sound)
    both = np.sqrt(max(0.0, (np.square(loud).sum() + 2 * together) / 4))
    return bool(loud.max() >= SILENT and both < CANCELLED * loud.max())
