"""What MP4 and Matroska hold, what common players play from them, and so which of them a new file is.

Not here: how a new file is put together (the `mux` stage).
"""

from __future__ import annotations

from dataclasses import replace

from mediabuild.media.muxing.encoding import sound_codec
from mediabuild.media.muxing.losses import Told
from mediabuild.media.recordings.tracks import SAME_TIME_S, Clip, Recording, Track

# What mp4 holds and common players play from it; anything else goes to Matroska.
MP4_PICTURE = {"h264", "hevc", "av1", "vp9", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg"}
MP4_SOUND = {"aac", "alac", "mp3", "mp2", "ac3", "eac3", "opus", "flac"}
M4A_SOUND = {"aac", "alac"}
MP4_COVERS = {"mjpeg", "png", "bmp"}
# Data tracks that ffmpeg's mp4 muxer writes: a GoPro's telemetry. Matroska has no data tracks.
MP4_DATA = {"gpmd"}
TEXT_SUBTITLES = {"mov_text", "subrip", "ass", "webvtt", "text"}
BITMAP_SUBTITLES = {"hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"}
# What a copy may start early by in Matroska, which can't hide it: a frame, as where every picture is a keyframe.
UNSEEN_S = 0.04
ATTACHED_COVERS = {
    "mjpeg": ("jpg", "image/jpeg"),
    "png": ("png", "image/png"),
    "bmp": ("bmp", "image/bmp"),
    "gif": ("gif", "image/gif"),
    "webp": ("webp", "image/webp"),
}


def holds(suffix: str, kind: str, codec: str) -> bool:
    """Whether a container takes a copied picture or sound; Matroska takes all that ffmpeg can read."""
    if suffix == "mkv":
        return True
    return codec in (MP4_PICTURE if kind == "video" else MP4_SOUND)


def subtitle_codec(suffix: str, codec: str) -> str | None:
    """What ffmpeg makes of a recording's own subtitles in a new file; None where it can't hold them."""
    if suffix == "mkv":
        if codec in BITMAP_SUBTITLES or codec in TEXT_SUBTITLES - {"mov_text"}:
            return "copy"
        return "srt" if codec == "mov_text" else None
    return "mov_text" if codec in TEXT_SUBTITLES else None


def layout(
    source: Recording, wanted: str, copied: bool, burnt: bool, refused: frozenset[str], told: Told
) -> tuple[str, set[int], Clip | None]:
    """The new file's suffix, the tracks that are encoded, and the clip as it is read.

    Args:
        wanted: `mp4`, `mkv` or `auto`. copied: whether a clip shall be a copy. burnt: whether text is painted in.
        refused: codecs that ffmpeg couldn't write when it was tried.
    """
    clip, pictures = source.clip, {track.index for track in source.pictures}
    everything = pictures | {track.index for track in source.sounds}
    encoded = pictures if burnt else set()
    if clip and (burnt or not copied):
        encoded = everything
    for track in source.pictures + source.sounds:
        if track.index not in encoded and (track.uncopied or track.codec in refused):
            why = track.uncopied or f"{track.codec} can't be copied"
            told.tell(f"{track.kind} in track {track.index} is encoded again: {why}")
            encoded = encoded | {track.index}
    suffix, unfit = _container(source, wanted, encoded, told)
    if clip is None:
        return suffix, encoded | unfit, None
    if burnt or not copied or encoded & pictures:
        return suffix, everything, clip
    late = any(track.look and track.look.start_s > clip.start_s + SAME_TIME_S for track in source.pictures)
    if source.jumps or late:
        why = "its picture starts later" if late else "nothing in it tells where its keyframes are"
        told.tell(f"a copy of the clip would begin somewhere else ({why}), so the clip is encoded")
        return suffix, everything, clip
    lead_s = clip.start_s - clip.keyframe_s
    if lead_s > UNSEEN_S and suffix == "mkv":
        if wanted == "mkv" or _unfit(source, encoded):
            told.tell(f"mkv can't hide the {lead_s:.2f} s between the keyframe and the clip, so the clip is encoded")
            return suffix, everything, clip
        told.tell(f"mkv can't hide the {lead_s:.2f} s between the keyframe and the clip, so this is an mp4")
        suffix = "mp4"
    if lead_s > 0:
        hidden = "" if suffix == "mkv" else "; most players hide that"
        told.tell(f"the clip is a copy, which starts {lead_s:.2f} s early, at a keyframe{hidden}")
    return suffix, encoded | unfit, replace(clip, shown_s=clip.start_s, seek_s=clip.start_s)


def _unfit(source: Recording, encoded: set[int]) -> list[Track]:
    """The pictures and sounds that mp4 can't hold."""
    return [
        track
        for track in source.pictures + source.sounds
        if track.index not in encoded and not holds("mp4", track.kind, track.codec)
    ]


def _container(source: Recording, wanted: str, encoded: set[int], told: Told) -> tuple[str, set[int]]:
    """The new file's suffix, and the tracks that have to be encoded because it can't hold them."""
    if wanted == "mkv" or (wanted == "auto" and source.matroska):
        return "mkv", set()
    unfit = _unfit(source, encoded)
    if unfit:
        codecs = ", ".join(sorted({track.codec for track in unfit}))
        if wanted == "auto":
            told.tell(f"mp4 can't hold {codecs}, so this is an mkv")
            return "mkv", set()
        told.tell(f"mp4 can't hold {codecs}, which is encoded again")
        return "mp4", {track.index for track in unfit}
    sounds = {sound_codec(t) if t.index in encoded else t.codec for t in source.sounds}
    return ("m4a" if wanted == "auto" and not source.pictures and sounds <= M4A_SOUND else "mp4"), set()
