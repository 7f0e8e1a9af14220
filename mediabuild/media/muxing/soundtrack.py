"""A track of sound on the clip's clock, as a WAV of one format that ffmpeg encodes from.

ffmpeg itself begins its filters anew where a sound changes its format, and then counts from zero again.

Not here: what is encoded, and how (`encoding`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mediabuild.errors import StageError
from mediabuild.media.muxing.encoding import sound_codec
from mediabuild.media.muxing.losses import Told
from mediabuild.media.recordings.channels import loudest, placed
from mediabuild.media.recordings.clock import BrokenClock, explained_s
from mediabuild.media.recordings.decoding import Damage, Piece, pieces
from mediabuild.media.recordings.extent import extent
from mediabuild.media.recordings.recording import opened
from mediabuild.media.recordings.tape import Subtype, Tape
from mediabuild.media.recordings.tracks import Recording, Track

SHALLOW_BITS = 16
DEEPER = ("pcm_s32", "pcm_u32", "pcm_s64")  # than FLAC and ALAC as ffmpeg writes them


@dataclass(frozen=True)
class Soundtrack:
    """A WAV, and the names of its channels as ffmpeg's layout has them, where that is known."""

    path: Path
    layout: str | None


def soundtrack(source: Recording, track: Track, folder: Path, told: Told) -> Soundtrack:
    """Write a track's sound in the clip, or all of it: silence where it starts late, has holes or ends early.

    Raises:
        StageError: it can't be decoded, or its clock says more than it can bear out.
    """

    @functools.cache
    def explained() -> float:
        with opened(source.path, "") as container:
            return explained_s(container)

    def decoded() -> Iterable[Piece]:
        return pieces(source.path, track.number, "", damage)

    path, damage, form = folder / f"sound{track.index}.wav", Damage(), track.sound
    if form is None:
        raise StageError(f"{told.name}: audio in track {track.index}: this ffmpeg has no decoder for it")
    codec, gain = sound_codec(track), 1.0
    if codec != "aac" and track.codec.startswith(DEEPER):
        told.tell(f"audio in track {track.index} is encoded: 32 bits become 24")
    if codec != "aac" and form.is_float:
        told.tell(f"audio in track {track.index} is encoded: floating point becomes 24 bits")
        gain = 1 / max(1.0, max((loudest(piece.sound) for piece in decoded()), default=0.0))
        if gain < 1:
            told.tell(f"audio in track {track.index} is over full scale: lowered")
        damage = Damage()
    subtype: Subtype = "FLOAT" if codec == "aac" else "PCM_24" if form.bits > SHALLOW_BITS else "PCM_16"
    end_s = source.duration_s or extent(source.path, "").duration_s
    clip_s = (source.clip.start_s, source.clip.end_s) if source.clip else (0.0, end_s)
    try:
        with Tape(path, form.rate_hz, len(form.names), clip_s, explained, subtype=subtype) as tape:
            for piece in decoded():
                sound = placed(piece.sound, piece.names, form.names)
                tape.add(piece.start_s, sound if gain == 1 else sound * gain, piece.rate_hz, seam=piece.seam)
                if tape.is_full:
                    break
            tape.finish()
    except BrokenClock as error:
        raise StageError(f"{told.name}: {error.message}") from error
    if damage.packets:
        told.tell(f"{damage.packets} packets of audio in track {track.index} are damaged; the first: {damage.first}")
    return Soundtrack(path, form.layout)
