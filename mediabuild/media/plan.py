"""A new file in the making: what is read, the tracks that it gets, and the ffmpeg command that makes it.

Not here: the decisions (the `mux` stage), and the options of what is encoded (`encoding`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mediabuild.media.containers import ATTACHED_COVERS
from mediabuild.media.mp4 import enable_tracks
from mediabuild.media.tags import chapters_text, file_tags, moved_timecode, track_tags
from mediabuild.media.tracks import Clip, Recording, Track

# mp4 counts text in microseconds unless told, and 2^31 of them are 35 minutes and 47 seconds.
MP4_TEXT_CLOCK = ("time_base", "1:1000")

Options = list[tuple[str, str]]


@dataclass(frozen=True)
class NewTrack:
    """A track of the new file: what it is mapped from, and its options without their track number."""

    source: str
    kind: str
    options: Options
    default: bool = False


@dataclass
class Plan:
    """The new file: its suffix, what it is made from, and its tracks in their order."""

    suffix: str
    recording: Recording
    clip: Clip | None
    inputs: list[str] = field(default_factory=list)
    tracks: list[NewTrack] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Read the recording first; seconds with six digits, since ffmpeg knows no more.

        Without `-ss 0`: an AVI is read from its second keyframe then.
        """
        part = ["-t", f"{self.clip.end_s - self.clip.seek_s:.6f}"] if self.clip else []
        if self.clip and self.clip.seek_s > 0:
            part += ["-ss", f"{self.clip.seek_s:.6f}"]
        self.inputs = [*part, "-i", str(self.recording.path)]

    def add(self, track: Track, options: Options, flags: Iterable[str]) -> None:
        """A track of the recording, copied or encoded, with ffmpeg's names of its dispositions."""
        options = [*options, ("disposition", "+".join(sorted(flags)) or "0"), *track_tags(track.tags, self.suffix)]
        kind = "cover" if track.cover is not None else track.kind
        self.tracks.append(NewTrack(f"0:{track.index}", kind, options, "default" in flags))

    def add_subtitles(self, path: Path, language: str, title: str, *, default: bool) -> None:
        """Subtitles from a SubRip file; `language` is a container's code."""
        self.inputs += ["-f", "srt", "-i", str(path)]
        number = self.inputs.count("-i") - 1
        options = [("metadata:s", f"language={language}"), ("metadata:s", f"title={title}")]
        options += [*self.text_codec("srt"), ("disposition", "default" if default else "0")]
        self.tracks.append(NewTrack(f"{number}:s", "subtitle", options, default))

    def timecode(self, track: Track) -> Options:
        """Options that move a picture's timecode to the clip's first frame."""
        started = next((value for name, value in track.tags.items() if name.lower() == "timecode"), None)
        if started is None or self.clip is None or track.look is None or not track.look.rate:
            return []
        frames = round((self.clip.shown_s - track.look.start_s) * track.look.rate)
        moved = moved_timecode(started, frames, track.look.rate)
        return [("metadata:s", f"timecode={moved}")] if moved else []

    def text_codec(self, codec: str) -> Options:
        """Options for a subtitle track."""
        return [("c", "mov_text"), MP4_TEXT_CLOCK] if self.suffix != "mkv" else [("c", codec)]

    def arguments(self, folder: Path) -> list[str]:
        """ffmpeg's arguments before the file to write; `folder` takes the small files that it reads besides."""
        args = list(self.inputs)
        if self.clip and self.recording.chapters:
            chapters = folder / "chapters.txt"
            part = self.recording.zero_s, self.clip.start_s, self.clip.end_s
            chapters.write_text(chapters_text(self.recording.chapters, *part), encoding="utf-8")
            args += ["-f", "ffmetadata", "-i", str(chapters)]
            args += ["-map_chapters", str(args.count("-i") - 1)]
        for number, track in enumerate(self.tracks):
            args += ["-map", track.source]
            for name, value in track.options:
                args += [f"-{name}:{number}", value]
        args += self._attached(folder) if self.suffix == "mkv" else ["-movflags", "+faststart"]
        return args + file_tags(self.recording.tags, self.suffix)

    def _attached(self, folder: Path) -> list[str]:
        """In Matroska attachments are kept, and a cover becomes one: copied it would be a one-picture video."""
        tracks = self.recording.tracks
        attached = [track for track in tracks if track.kind == "attachment"]
        args = [part for track in attached for part in ("-map", f"0:{track.index}")]
        for number, track in enumerate((t for t in tracks if t.cover), start=len(attached)):
            suffix, mime = ATTACHED_COVERS.get(track.codec, ATTACHED_COVERS["mjpeg"])
            cover = folder / f"cover{number}.{suffix}"
            cover.write_bytes(track.cover or b"")
            args += ["-attach", str(cover), f"-metadata:s:t:{number}", f"mimetype={mime}"]
            args += [f"-metadata:s:t:{number}", f"filename=cover.{suffix}"]
        return args

    def finish(self, path: Path) -> None:
        """Mend what ffmpeg can't be told: an mp4's first subtitle track is on only where it shall be."""
        tracks = [track for track in self.tracks if track.kind != "cover"]  # those are metadata there
        subtitles = {number: t.default for number, t in enumerate(tracks) if t.kind == "subtitle"}
        if self.suffix != "mkv" and subtitles:
            enable_tracks(path, subtitles)
