"""The subtitles that a recording has already, where they can't simply be copied.

Not here: the subtitles that the pipeline writes, and which ones a new file can hold (`containers`).
"""

from __future__ import annotations

from pathlib import Path

from mediabuild.media.ffmpeg import run_ffmpeg
from mediabuild.media.muxing.containers import TEXT_SUBTITLES, subtitle_codec
from mediabuild.media.muxing.losses import Told
from mediabuild.media.muxing.plan import Plan
from mediabuild.media.recordings.clock import packets
from mediabuild.media.recordings.recording import opened
from mediabuild.media.recordings.tracks import Clip, Track
from mediabuild.media.textfiles import guessed_encoding

# Languages that are written in Windows-1252, which a few lines of text don't show.
WESTERN = {
    "cat",
    "dan",
    "deu",
    "dut",
    "eng",
    "fin",
    "fra",
    "fre",
    "ger",
    "glg",
    "ita",
    "nld",
    "nor",
    "por",
    "spa",
    "swe",
}


def add_own_subtitles(plan: Plan, burnt: bool, told: Told) -> None:
    """The subtitles that the recording had, after the pipeline's, as far as the new file can hold them."""
    own = [track for track in plan.recording.tracks if track.kind == "subtitle"]
    text = [track for track in own if track.codec in TEXT_SUBTITLES]
    encodings = _old_encodings(plan.recording.path, text) if plan.clip or plan.suffix != "mkv" else {}
    plan.charsets = encodings
    for track in own:
        codec = subtitle_codec(plan.suffix, track.codec)
        flags = track.flags - {"default"} if burnt else track.flags
        if track.index in encodings:
            told.tell(f"its own subtitles in track {track.index} aren't UTF-8: read as {encodings[track.index]}")
        if codec is None or (plan.clip and track not in text):
            where = "a clip" if codec else plan.suffix
            told.tell(f"its own subtitles in track {track.index} ({track.codec}) don't fit in {where}: left out")
        elif plan.clip is None:
            plan.add(track, [("c", "copy")] if codec == "copy" else plan.text_codec(codec), flags)
        else:
            path = _cut(plan.recording.path, track, plan.clip, encodings.get(track.index), plan.folder)
            if path is not None:
                written = "ass" if track.codec == "ass" else "srt"
                title = track.tags.get("title", track.tags.get("name", ""))
                plan.add_subtitles(path, written, track.tags.get("language", "und"), title, flags)


def _old_encodings(media: Path, tracks: list[Track]) -> dict[int, str]:
    """The encoding of each text track that isn't UTF-8, by its index, as ffmpeg calls it."""
    found = {}
    for track in tracks:
        with opened(media, "") as container:
            stream = container.streams[track.index]
            raw = b"\n".join(bytes(packet) for packet in packets(container, stream) if packet.size)
        encoding = _encoding(raw, track.tags.get("language", ""))
        if encoding is not None:
            found[track.index] = encoding
    return found


def _encoding(raw: bytes, language: str) -> str | None:
    try:
        raw.decode()
    except UnicodeDecodeError:
        western = language in WESTERN and _decodes(raw, "cp1252")
        return "cp1252" if western else guessed_encoding(raw) or "cp1252"
    return None


def _decodes(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _cut(media: Path, track: Track, clip: Clip, encoding: str | None, folder: Path) -> Path | None:
    """A text track's cues in a clip, on the clip's clock, as an ASS file; None where it has none there."""
    import pysubs2

    path = folder / f"own{track.index}.ass"
    args: list[str | Path] = [f"-sub_charenc:{track.index}", encoding] if encoding else []
    args += ["-i", media, "-map", f"0:{track.index}", "-c:s", "ass", path]
    run_ffmpeg(args, what=f"reading the subtitles of {media.name}")
    subtitles = pysubs2.load(str(path), encoding="utf-8")
    start_ms, length_ms = round(1000 * clip.start_s), round(1000 * (clip.end_s - clip.start_s))
    kept = []
    for cue in subtitles:
        cue.start, cue.end = max(0, cue.start - start_ms), min(length_ms, cue.end - start_ms)
        if cue.start < cue.end:
            kept.append(cue)
    subtitles.events = kept
    subtitles.save(str(path), encoding="utf-8")
    return path if kept else None
