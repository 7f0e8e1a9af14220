"""What a stage made of a recording, looked at by decoding it: tracks, pictures, cues, beeps.

Not here: making recordings (`recordings.py`).
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Any

from mediabuild.media.formats import Probe, Segment, Transcript, Word, write
from mediabuild.stage import Context


def new_file(context: Context) -> Path:
    """The one file that mux wrote, beside its report."""
    (path,) = context.out.glob("video.*")
    return path


def warnings_of(context: Context) -> list[str]:
    """What mux told the user."""
    return [fields["message"] for kind, fields in context.messages if kind == "warning"]  # type: ignore[attr-defined]


def tracks_of(path: Path) -> list[tuple[str, str, str | None, bool]]:
    """Type, codec, language and whether it is the default, of each track."""
    import av
    from av.stream import Disposition

    with av.open(str(path)) as container:
        return [
            (
                stream.type,
                stream.codec_context.codec.canonical_name if stream.codec_context else "",
                stream.metadata.get("language"),
                bool(stream.disposition & Disposition.default),
            )
            for stream in container.streams
        ]


def payloads(path: Path, kind: str, index: int = 0) -> str:
    """A digest of a track's packets: equal for a track that was copied."""
    import av

    with av.open(str(path)) as container:
        packets = container.demux(container.streams.get({kind: index})[0])
        return hashlib.sha256(b"".join(bytes(packet) for packet in packets)).hexdigest()


def pictures_of(rec: Any, path: Path) -> list[tuple[float, int]]:
    """When each decoded picture is shown, on the file's clock, and its number."""
    import av

    with av.open(str(path)) as container:
        zero_s = (container.start_time or 0) / av.time_base
        return [(frame.time - zero_s, rec.number_of(frame)) for frame in container.decode(video=0)]


def cues_of(rec: Any, path: Path, index: int = 0) -> list[tuple[float, str]]:
    """Start and text of each cue of a subtitle track, as ffmpeg extracts them."""
    extracted = path.with_name("extracted.srt")
    rec.ffmpeg("-i", path, "-map", f"0:s:{index}", extracted)
    text = extracted.read_text(encoding="utf-8").strip()
    extracted.unlink()
    cues = []
    for block in text.split("\n\n") if text else []:
        _, times, words = block.split("\n", 2)
        hours, minutes, seconds = times.split(" --> ")[0].replace(",", ".").split(":")
        cues.append((int(hours) * 3600 + int(minutes) * 60 + float(seconds), words))
    return cues


def beeps_of(rec: Any, path: Path) -> list[float]:
    """When the sound's beeps start, on the file's clock: each decoded frame is laid where its time says."""
    import av
    import numpy as np

    with av.open(str(path)) as container:
        zero_s = (container.start_time or 0) / av.time_base
        rate_hz = container.streams.audio[0].rate
        heard = np.zeros(round((container.duration / av.time_base + 1) * rate_hz), np.float32)
        resampler = av.AudioResampler(format="fltp", layout="mono")
        for frame in container.decode(audio=0):
            at = round((frame.time - zero_s) * frame.sample_rate)
            sound = np.concatenate([part.to_ndarray()[0] for part in resampler.resample(frame)])
            if frame.sample_rate == rate_hz:
                heard[max(at, 0) : at + len(sound)] = sound[max(-at, 0) :]
            else:
                places = np.round((at + np.arange(len(sound))) * rate_hz / frame.sample_rate).astype(int)
                heard[places] = sound
            resampler = av.AudioResampler(format="fltp", layout="mono")
    return rec.beeps_s(heard, rate_hz)  # type: ignore[no-any-return]


def clip_probe(folder: Path, start_s: float, end_s: float, duration_s: float = 12.0) -> Path:
    """A `probe.json` of a recording, of twelve seconds unless told, cut as given."""
    path = folder / "probe.json"
    write(path, Probe("mov", duration_s, start_s, end_s, 0, None, [], []))
    return path


def enabled(path: Path) -> dict[str, list[bool]]:
    """Kind → whether an mp4's tracks are enabled, by the bytes of their headers."""
    found: dict[str, list[bool]] = {}
    raw = path.read_bytes()
    at = raw.index(b"moov")
    while (at := raw.find(b"tkhd", at + 1)) >= 0:
        handler = raw.index(b"hdlr", at)
        kind = raw[handler + 12 : handler + 16].decode()
        found.setdefault(kind, []).append(bool(struct.unpack(">I", raw[at + 4 : at + 8])[0] & 1))
    return found


def transcript(folder: Path, language: str, *, by_hand: bool = False) -> Path:
    """A `transcript.json` in a language, heard by a model or written by a person."""
    segment = Segment(0, 0.5, 1.5, "Good morning.", None if by_hand else -0.2, [Word("Good", 0.5, 1.0)])
    path = folder / "transcript.json"
    write(path, Transcript(language, "detected", [segment]))
    return path


def titles_of(path: Path) -> list[str | None]:
    """What each track is called."""
    import av

    with av.open(str(path)) as container:
        return [stream.metadata.get("title", stream.metadata.get("name")) for stream in container.streams]
