"""A track's sound, cut out of a recording into a WAV on the source's clock.

Not here: which track and which part of the recording (the `demux` stage).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path

from mediabuild.errors import StageError
from mediabuild.media.formats import AudioTrack
from mediabuild.media.recordings.channels import mixed
from mediabuild.media.recordings.clock import explained_s
from mediabuild.media.recordings.decoding import Damage, pieces
from mediabuild.media.recordings.listening import NOTED_S, Listener
from mediabuild.media.recordings.recording import opened
from mediabuild.media.recordings.tape import Tape

# So much silence in the place of what is missing is worth a word.
HOLES_S = 0.5
# Sound that ends this much earlier than the picture, in time and of the whole, is worth a word.
ENDS_EARLY_S, ENDS_EARLY_SHARE = 2.0, 0.1


def cut(
    media: Path,
    track: AudioTrack,
    clip_s: tuple[float, float],
    path: Path,
    hint: str,
    told: list[str],
    progress: Callable[[float, float], None],
    *,
    open_end: bool,
) -> float:
    """Write a part of a track as a WAV of 16 bits, at the track's rate, mono or stereo.

    Args:
        clip_s: where the part starts and ends, in seconds on the source's clock.
        path: the WAV.
        hint: for the error where nothing can be decoded.
        told: is told what was noticed, a sentence each.
        progress: is told how far it is, of how much, in seconds.
        open_end: write all that there is, whatever the part's end.

    Returns:
        Where the WAV ends, in seconds on the source's clock.

    Raises:
        StageError: nothing can be decoded.
        BrokenClock: the recording's clock can't be right.
    """

    @functools.cache
    def explained() -> float:
        with opened(media, hint) as container:
            return explained_s(container)

    channels = min(max(track.channels, 1), 2)
    gain = _gain(media, track, channels, hint, told)
    damage, listener, heard = Damage(), Listener(track.rate_hz), False
    with Tape(path, track.rate_hz, channels, clip_s, explained, listener.hear, open_end=open_end) as tape:
        for piece in pieces(media, track.index, hint, damage):
            heard = True
            sound, listener.alone_now = mixed(piece.sound, piece.names, channels)
            tape.add(piece.start_s, sound if gain == 1 else sound * gain, piece.rate_hz, seam=piece.seam)
            progress(min(tape.at_s, clip_s[1]), clip_s[1])
            if tape.is_full:
                break
        tape.finish()
    if damage.packets:
        if not heard:
            raise StageError(f"{media.name}: audio track {track.index} can't be decoded: {damage.first}", hint)
        told.append(f"{damage.packets} packets of its sound are damaged; the first: {damage.first}")
    if tape.left_out_s > NOTED_S:
        at = f"{tape.left_out_s:.1f} s of its sound are left out, first at {tape.left_out_at_s:.1f} s"
        told.append(f"{at}: its clock says that it was there before")
    if tape.hole_s > HOLES_S:
        told.append(f"for {tape.hole_s:.1f} s in its middle there is no sound, first at {tape.first_hole_s:.1f} s")
    end_s = tape.last / tape.rate_hz
    if heard and end_s - max(tape.ended_s, clip_s[0]) > max(ENDS_EARLY_S, ENDS_EARLY_SHARE * (end_s - clip_s[0])):
        told.append(f"its sound ends at {tape.ended_s:.1f} s, before {end_s:.1f} s")
    told += listener.notes()
    return round(tape.last / tape.rate_hz, 6)


def _gain(media: Path, track: AudioTrack, channels: int, hint: str, told: list[str]) -> float:
    """By what the whole track is multiplied, so that nothing of floating point sound is clipped; which is told."""
    if not track.codec.startswith("pcm_f"):
        return 1.0
    loudest = 0.0
    for piece in pieces(media, track.index, hint, Damage()):
        sound, _ = mixed(piece.sound, piece.names, channels)
        loudest = max(loudest, float(abs(sound).max(initial=0)))
    if loudest <= 1:
        return 1.0
    told.append(f"its sound is up to {20 * math.log10(loudest):.1f} dB over full scale: lowered by as much")
    return 1 / loudest
