"""A recording that was cut off is noticed in every container, and a whole one never taken for one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mediabuild.errors import StageError
from mediabuild.media.recordings.extent import extent

# File name → ffmpeg's options that make it. Bare sound, sound in containers, pipes that know no length, pictures.
SOUNDS: dict[str, tuple[str, ...]] = {
    "a.wav": (),
    "rf64.wav": ("-rf64", "always"),
    "a.w64": (),
    "a.aiff": (),
    "a.au": (),
    "a.caf": (),
    "a.flac": (),
    "a.mp3": (),
    "vbr.mp3": ("-q:a", "4"),
    "bare.mp3": ("-write_xing", "0"),
    "barevbr.mp3": ("-write_xing", "0", "-q:a", "4"),
    "low.mp3": ("-write_xing", "0", "-ar", "22050"),
    "a.mp2": (),
    "a.aac": (),
    "a.ac3": (),
    "a.eac3": (),
    "a.ogg": (),
    "a.oga": ("-c:a", "flac"),
    "a.opus": (),
    "a.m4a": ("-movflags", "+faststart"),
    "alac.m4a": ("-c:a", "alac", "-movflags", "+faststart"),
    "fragments.m4a": ("-movflags", "+frag_keyframe+empty_moov"),
    "a.mka": (),
    "a.webm": (),
    "live.webm": ("-c:a", "libopus", "-live", "1"),
    "a.wma": (),
    "a.flv": ("-ar", "44100"),
    "a.avi": (),
    "a.ts": (),
    "a.mpg": ("-c:a", "mp2"),
    "a.tta": (),
    "a.wv": (),
}
PICTURES = dict.fromkeys(("v.mp4", "v.mkv", "v.mov", "v.flv", "v.ts"), ("-c:v", "copy"))
PICTURES["v.mp4"] += ("-movflags", "+faststart")
PICTURES["v.mov"] += ("-movflags", "+faststart")


@pytest.fixture(scope="module")
def whole(rec: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recording of six seconds in every container."""
    folder = tmp_path_factory.mktemp("extent")
    sound = rec.write_sound(folder / "sound.wav", 6, channels=2)
    pictures = rec.write_pictures(folder / "pictures.mp4", [n / 25 for n in range(150)])
    for name, options in SOUNDS.items():
        rec.ffmpeg("-i", sound, *options, folder / name)
    for name, options in PICTURES.items():
        rec.ffmpeg("-i", pictures, "-i", sound, *options, folder / name)
    return folder


@pytest.mark.parametrize("name", [*SOUNDS, *PICTURES])
def test_a_whole_recording_lacks_nothing(whole: Path, name: str) -> None:
    """And its duration is right."""
    found = extent(whole / name, "")
    assert found.missing is None
    assert found.duration_s == pytest.approx(6, abs=0.09)


@pytest.mark.parametrize("name", [*SOUNDS, *PICTURES])
@pytest.mark.parametrize("part", [0.47, 0.77])  # of bare sound with equal packets, a half is a whole number
def test_a_part_of_a_recording_is_told_from_a_whole_one(whole: Path, tmp_path: Path, name: str, part: float) -> None:
    """By what its header promises, by its own structure, or by its last packet; or it can't be read at all."""
    content = (whole / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(len(content) * part) + 1])
    try:
        found = extent(tmp_path / name, "the hint")
    except StageError as error:
        assert (name, error.hint) == ("a.wv", "the hint")
        return
    assert found.missing is not None
    assert found.missing.startswith("truncated: ")
    assert found.duration_s == pytest.approx(6 * part, abs=1.2)


@pytest.mark.parametrize("blocks", [1, 20, 60])
def test_a_wav_that_ends_with_a_block_is_truncated_too(whole: Path, tmp_path: Path, blocks: int) -> None:
    """Nothing is half there then, but its header promises more bytes."""
    content = (whole / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(content[: content.index(b"data") + 8 + blocks * 4096])
    assert extent(tmp_path / "a.wav", "").missing is not None


def test_a_length_that_a_pipe_did_not_know_is_no_promise(whole: Path, tmp_path: Path) -> None:
    """A WAV and a FLAC written into a pipe: sizes that stand for "not known" are no sizes."""
    content = bytearray((whole / "a.wav").read_bytes())
    at = content.index(b"data") + 4
    content[4:8] = content[at : at + 4] = b"\xff\xff\xff\xff"
    (tmp_path / "pipe.wav").write_bytes(content)
    found = extent(tmp_path / "pipe.wav", "")
    assert (found.missing, found.duration_s) == (None, pytest.approx(6, abs=0.01))


@pytest.mark.parametrize("name", ["a.wav", "a.aiff", "a.caf", "a.m4a", "a.wma", "v.mp4", "v.flv"])
def test_a_second_recording_that_is_not_read_is_told(rec: Any, whole: Path, tmp_path: Path, name: str) -> None:
    """Joined by `cat`, in a container of which ffmpeg reads the first alone."""
    media = rec.write_joined(tmp_path / name, [whole / name, whole / name])
    found = extent(media, "")
    assert "joined with another recording, which begins at 6.0 s and isn't read" in (found.missing or "")


@pytest.mark.parametrize("counted", [0, 3])
def test_sound_behind_what_a_wav_counts_is_told(whole: Path, tmp_path: Path, counted: int) -> None:
    """A recorder that died after it had last written the header; a length of 0 is none, and all is read."""
    content = bytearray((whole / "a.wav").read_bytes())
    at = content.index(b"data") + 4
    length = int.from_bytes(content[at : at + 4], "little") // 6 * counted
    content[at : at + 4] = length.to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(content)
    found = extent(tmp_path / "a.wav", "")
    assert found.missing == ("longer than its header says: what lies behind 3.0 s isn't read" if counted else None)
    assert found.duration_s == pytest.approx(counted or 6, abs=0.01)


@pytest.mark.parametrize("begins", [b"LIST\x10\x27\0\0", b"ID3\4", b""])
def test_what_taggers_write_behind_a_wavs_sound_is_no_sound(whole: Path, tmp_path: Path, begins: bytes) -> None:
    """Chunks, an ID3 tag, padding."""
    (tmp_path / "a.wav").write_bytes((whole / "a.wav").read_bytes() + begins + bytes(10_000))
    assert extent(tmp_path / "a.wav", "").missing is None
