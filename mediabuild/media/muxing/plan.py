"""A new file in the making: what is read, the tracks that it gets, and the ffmpeg command that makes it.

Not here: the decisions (the `mux` stage), and the options of what is encoded (`encoding`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mediabuild.media.muxing.containers import ATTACHED_COVERS
from mediabuild.media.muxing.mp4 import enable_subtitles
from mediabuild.media.muxing.soundtrack import Soundtrack
from mediabuild.media.muxing.tags import chapters_text, file_tags, moved_timecode, track_tags
from mediabuild.media.recordings.tracks import Clip, Recording, Track

# mp4 counts text in microseconds unless told, and 2^31 of them are 35 minutes and 47 seconds.
MP4_TEXT_CLOCK = ("time_base", "1:1000")

# Of a track that is made anew; others were of the old one (its length, who encoded it).
KEPT_TAGS = ("language", "title")

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
    """The new file: its suffix, what it is made from, its path, and its tracks in their order.

    `folder` takes the small files that ffmpeg reads besides; `charsets` are the encodings of text that isn't UTF-8.
    """

    suffix: str
    recording: Recording
    clip: Clip | None
    path: Path
    folder: Path
    charsets: Mapping[int, str] = field(default_factory=dict)
    others: list[list[str]] = field(default_factory=list)
    tracks: list[NewTrack] = field(default_factory=list)

    def _reading(self) -> list[str]:
        """How ffmpeg reads the recording; seconds with six digits, since it knows no more.

        Without `-ss 0`: an AVI is read from its second keyframe then.
        """
        part = ["-t", f"{self.clip.end_s - self.clip.seek_s:.6f}"] if self.clip else []
        if self.clip and self.clip.seek_s > 0:
            part += ["-ss", f"{self.clip.seek_s:.6f}"]
        for index, encoding in self.charsets.items():
            part += [f"-sub_charenc:{index}", encoding]
        pictures = [dict(track.options)["c"] for track in self.tracks if track.kind == "video"]
        if "copy" in pictures:  # make up the times of pictures that are stored out of order and have none (MPEG, AVI)
            part += ["-fflags", "+genpts"]
        return [*part, "-i", str(self.recording.path)]

    def add(self, track: Track, options: Options, flags: Iterable[str]) -> None:
        """A track of the recording, copied or encoded, with ffmpeg's names of its dispositions."""
        options = [*options, ("disposition", "+".join(sorted(flags)) or "0"), *track_tags(track.tags, self.suffix)]
        self.tracks.append(NewTrack(f"0:{track.index}", track.kind, options, "default" in flags))

    def add_sound(self, track: Track, made: Soundtrack, options: Options, flags: Iterable[str]) -> None:
        """A sound of the recording, encoded from a WAV."""
        layout = ["-channel_layout", made.layout] if made.layout else []
        self.others.append([*layout, "-f", "wav", "-i", str(made.path)])
        tags = [("metadata:s", f"{name}={value}") for name, value in track.tags.items() if name in KEPT_TAGS]
        options = [*options, *tags, ("disposition", "+".join(sorted(flags)) or "0")]
        options += [option for option in track_tags(track.tags, self.suffix) if not option[1].endswith("=")]
        self.tracks.append(NewTrack(f"{len(self.others)}:a", "audio", options, "default" in flags))

    def add_subtitles(self, path: Path, codec: str, language: str, title: str, flags: Iterable[str]) -> None:
        """Subtitles from a SubRip or ASS file; `codec` is what Matroska gets, `language` a container's code."""
        self.others.append(["-f", path.suffix[1:], "-i", str(path)])
        options = [("metadata:s", f"language={language}"), ("metadata:s", f"title={title}"), *self.text_codec(codec)]
        if self.suffix != "mkv" and title:  # which players show that look for no names in an mp4
            options.append(("metadata:s", f"handler_name={title}"))
        options.append(("disposition", "+".join(sorted(flags)) or "0"))
        self.tracks.append(NewTrack(f"{len(self.others)}:s", "subtitle", options, "default" in flags))

    def timecode(self, track: Track) -> Options:
        """Options that move a picture's timecode to the clip's first frame."""
        started = next((value for name, value in track.tags.items() if name.lower() == "timecode"), None)
        if started is None or self.clip is None or track.look is None or not track.look.rate:
            return []
        frames = round((self.clip.shown_s - track.look.start_s) * track.look.rate)
        moved = moved_timecode(started, frames, track.look.rate)
        return [("metadata:s", f"timecode={moved}")] if moved else []

    def last_picture(self, track: Track) -> Options:
        """Options for a copy whose last picture would last no time: after a jump ffmpeg knows no durations."""
        if not self.recording.jumps or track.look is None or not track.look.rate:
            return []
        frame_s = float(1 / track.look.rate)
        return [("bsf", f"setts=pts=PTS:dts=DTS:duration=if(DURATION\\,DURATION\\,{frame_s:.6f}/TB)")]

    def text_codec(self, codec: str) -> Options:
        """Options for a subtitle track."""
        return [("c", "mov_text"), MP4_TEXT_CLOCK] if self.suffix != "mkv" else [("c", codec)]

    def arguments(self) -> list[str]:
        """ffmpeg's arguments before the file to write."""
        args = self._reading()
        for other in self.others:
            args += other
        if self.clip and self.recording.chapters:
            chapters = self.folder / "chapters.txt"
            part = self.recording.zero_s, self.clip.start_s, self.clip.end_s
            chapters.write_text(chapters_text(self.recording.chapters, *part), encoding="utf-8")
            args += ["-f", "ffmetadata", "-i", str(chapters)]
            args += ["-map_chapters", str(len(self.others) + 1)]
        for number, track in enumerate(self.tracks):
            args += ["-map", track.source]
            for name, value in track.options:
                args += [f"-{name}:{number}", value]
        args += self._attached() if self.suffix == "mkv" else ["-movflags", "+faststart"]
        return args + file_tags(self.recording.tags, self.suffix)

    def aside(self) -> list[str]:
        """A second file, written to nowhere: ffmpeg's clock is that of the tracks that it reads, so it reads all."""
        sounds = ["-map", "0:a", "-c", "copy", "-f", "null", "-"]
        made = any(track.kind == "audio" and not track.source.startswith("0:") for track in self.tracks)
        return sounds if self.recording.jumps and made else []

    def _attached(self) -> list[str]:
        """In Matroska attachments are kept, and a cover becomes one: copied it would be a one-picture video."""
        tracks = self.recording.tracks
        attached = [track for track in tracks if track.kind == "attachment"]
        args = [part for track in attached for part in ("-map", f"0:{track.index}")]
        for number, track in enumerate((t for t in tracks if t.cover), start=len(attached)):
            suffix, mime = ATTACHED_COVERS.get(track.codec, ATTACHED_COVERS["mjpeg"])
            cover = self.folder / f"cover{number}.{suffix}"
            cover.write_bytes(track.cover or b"")
            args += ["-attach", str(cover), f"-metadata:s:t:{number}", f"mimetype={mime}"]
            args += [f"-metadata:s:t:{number}", f"filename=cover.{suffix}"]
        return args

    def finish(self) -> None:
        """Mend what ffmpeg can't be told: an mp4's first subtitle track is on only where it shall be."""
        if self.suffix != "mkv":
            enable_subtitles(self.path, [track.default for track in self.tracks if track.kind == "subtitle"])
