"""What is heard: of many channels, of several tracks, of sound that is silent, too loud or against itself."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from mediabuild.errors import StageError
from mediabuild.media.formats import Probe, read
from mediabuild.media.recordings.clock import BrokenClock
from mediabuild.media.recordings.tape import Tape
from mediabuild.stage import Context

Run = Callable[..., Context]
RATE_HZ = 16_000


def told(context: Context) -> list[str]:
    """What the console was told; `probe.json` holds the same."""
    messages = [fields["message"] for kind, fields in context.messages if kind == "warning"]
    name = next(iter(context.sources["media"]))
    assert messages == [f"{name}: {line}" for line in read(context.output("probe"), Probe).warnings]
    return messages


def heard(context: Context) -> np.ndarray:
    """The WAV that demux wrote: float64 [frames, channels]."""
    return soundfile.read(context.output("audio"), always_2d=True)[0]


def voice(seconds: float = 4.0, level: float = 0.3) -> np.ndarray:
    """Something with a waveform of its own, no tone: float64 [frames]."""
    frames = np.random.default_rng(3).normal(0, 1, round(seconds * RATE_HZ))
    return np.asarray(level * np.convolve(frames, np.hanning(9), "same") / 3).clip(-0.99, 0.99)


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """How much two sounds are one another, 0…1."""
    return abs(float(np.corrcoef(one, other)[0, 1]))


def write_plain(path: Path, sound: np.ndarray) -> Path:
    """A WAV without a channel mask, as recorders and Python's `wave` write it."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(sound.shape[1])
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((sound * 32767).astype("<i2").tobytes())
    return path


@pytest.mark.parametrize("channels", [3, 4, 5, 6, 7, 8, 10])
def test_a_voice_in_any_channel_is_heard_when_nobody_says_what_the_channels_are(
    run_stage: Run, tmp_path: Path, channels: int
) -> None:
    """Each of a recorder's microphones in turn: a guessed layout has no channel for low frequencies."""
    spoken = voice(1.5)
    for channel in range(channels):
        sound = np.zeros((len(spoken), channels))
        sound[:, channel] = spoken
        context = run_stage("demux", {"media": write_plain(tmp_path / f"{channels}.{channel}.wav", sound)})
        assert max(likeness(side, spoken) for side in heard(context).T if side.any()) > 0.99
        assert told(context) == []


@pytest.mark.parametrize("suffix", ["wav", "flac", "mkv"])
def test_a_voice_in_the_channel_for_low_frequencies_is_heard_and_told(
    rec: Any, run_stage: Run, tmp_path: Path, suffix: str
) -> None:
    """It is left out of the mix as everywhere, unless it is all there is."""
    spoken = voice()
    sound = np.zeros((len(spoken), 6))
    sound[:, 3] = spoken
    plain = write_plain(tmp_path / "plain.wav", sound)
    media = tmp_path / f"low.{suffix}"
    codec = "pcm_s16le" if suffix == "wav" else "flac"
    rec.ffmpeg("-channel_layout", "5.1", "-i", plain, "-c:a", codec, media)
    context = run_stage("demux", {"media": media})
    assert likeness(heard(context)[:, 0], spoken) > 0.99
    assert any("only channel LFE is heard" in line for line in told(context))
    sound[:, 0] = spoken[::-1]
    rec.ffmpeg("-channel_layout", "5.1", "-i", write_plain(plain, sound), "-c:a", codec, "-y", media)
    context = run_stage("demux", {"media": media})
    assert likeness(heard(context)[:, 0], spoken[::-1]) > 0.99
    assert told(context) == []


def test_channels_that_cancel_each_other_in_the_mix_are_heard(rec: Any, run_stage: Run, tmp_path: Path) -> None:
    """A centre against left and right: the mix would be silent, so one channel is heard alone, and that is told."""
    spoken = voice()
    sound = np.zeros((len(spoken), 3))
    sound[:, 0] = sound[:, 1] = spoken * 0.5**0.5
    sound[:, 2] = -spoken
    rec.ffmpeg("-channel_layout", "3.0", "-i", write_plain(tmp_path / "x.wav", sound), tmp_path / "against.flac")
    context = run_stage("demux", {"media": tmp_path / "against.flac"})
    assert likeness(heard(context)[:, 0], spoken) > 0.99
    assert any("only channel" in line for line in told(context))


def test_left_against_right_is_told(run_stage: Run, tmp_path: Path) -> None:
    """Whoever listens in mono hears nothing of it; both channels stay as they are. Plain stereo is no such thing."""
    spoken = voice()
    against = write_plain(tmp_path / "against.wav", np.stack([spoken, -spoken], axis=1))
    context = run_stage("demux", {"media": against})
    assert np.abs(heard(context)[:, 0] + heard(context)[:, 1]).max() < 0.001
    assert any("for 4 s left and right cancel each other" in line for line in told(context))
    half = np.stack([spoken, np.concatenate([spoken[:32000], -spoken[32000:]])], axis=1)
    assert any("for 2 s left" in line for line in told(run_stage("demux", {"media": write_plain(against, half)})))
    for other in (spoken, np.zeros_like(spoken), spoken[::-1]):
        plain = write_plain(tmp_path / "plain.wav", np.stack([spoken, other], axis=1))
        assert told(run_stage("demux", {"media": plain})) == []


@pytest.mark.parametrize("level", [0.0, 0.0003])
def test_silence_is_told(run_stage: Run, tmp_path: Path, level: float) -> None:
    """Digital silence, and the noise of a microphone that was switched off."""
    media = write_plain(tmp_path / "silent.wav", voice(level=level)[:, None])
    assert told(run_stage("demux", {"media": media})) == ["silent.wav: its sound is silent from beginning to end"]


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_floating_point_sound_over_full_scale_is_lowered(run_stage: Run, tmp_path: Path, subtype: str) -> None:
    """A recorder's 32 bits, 12 dB over: nothing is clipped, a clip is a part of the whole, and it is told."""
    sound = voice(level=1.0)
    sound[40_000] = 0.9
    soundfile.write(tmp_path / "hot.wav", np.where(np.arange(len(sound)) == 40_000, 4.0, sound), RATE_HZ, subtype)
    context = run_stage("demux", {"media": tmp_path / "hot.wav"})
    whole = heard(context)[:, 0]
    assert whole.max() == pytest.approx(1, abs=0.0001)
    assert np.abs(whole - np.where(np.arange(len(sound)) == 40_000, 1.0, sound / 4)).max() < 0.0001
    assert told(context) == ["hot.wav: its sound is up to 12.0 dB over full scale: lowered by as much"]
    clip = heard(run_stage("demux", {"media": tmp_path / "hot.wav"}, clip_start_s=0.5, clip_end_s=1.5))[:, 0]
    assert np.array_equal(clip, whole[8_000:24_000])


def test_coded_sound_over_full_scale_is_told(rec: Any, run_stage: Run, tmp_path: Path) -> None:
    """AAC that was made of such sound is clipped as everywhere, but not without a word."""
    soundfile.write(tmp_path / "hot.wav", voice(level=1.0) * 4, RATE_HZ, subtype="FLOAT")
    rec.ffmpeg("-i", tmp_path / "hot.wav", "-b:a", "128k", tmp_path / "hot.m4a")
    assert any("are over full scale" in line for line in told(run_stage("demux", {"media": tmp_path / "hot.m4a"})))


@pytest.mark.parametrize("seconds", [0.02, 0.1, 0.5, 0.99])
@pytest.mark.parametrize("suffix", ["wav", "mp3", "flac", "m4a", "ogg", "opus", "mka"])
def test_a_sound_of_less_than_a_second(rec: Any, run_stage: Run, tmp_path: Path, suffix: str, seconds: float) -> None:
    """A voice message is a recording like any other."""
    media = tmp_path / f"short.{suffix}"
    rec.ffmpeg("-i", write_plain(tmp_path / "x.wav", voice(seconds)[:, None]), media)
    context = run_stage("demux", {"media": media})
    assert len(heard(context)) / soundfile.info(context.output("audio")).samplerate == pytest.approx(seconds, abs=0.08)
    assert told(context) == []


@pytest.fixture(scope="module")
def tracks(rec: Any, librivox: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``tracks("silence", "voice")``: a recording with these sounds, of which none is the default."""
    folder = tmp_path_factory.mktemp("tracks")
    spoken = soundfile.read(sorted(librivox.glob("*.wav"))[0])[0][: 20 * RATE_HZ]
    times_s = np.arange(len(spoken)) / RATE_HZ
    chord = sum(np.sin(2 * np.pi * hz * times_s) for hz in (220, 277.2, 329.6)) * (0.1 + 0.05 * np.sin(2 * times_s))
    for name, sound in {"silence": np.zeros(len(spoken)), "music": chord, "voice": spoken}.items():
        soundfile.write(folder / f"{name}.wav", sound, RATE_HZ)

    def make(*names: str) -> Path:
        media = folder / f"{'-'.join(names)}.mkv"
        inputs = [part for name in names for part in ("-i", folder / f"{name}.wav")]
        maps = [part for number in range(len(names)) for part in ("-map", str(number))]
        rec.ffmpeg(*inputs, *maps, "-c:a", "flac", "-disposition:a", "0", media)
        return media

    return make


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (("silence", "voice"), 1),
        (("music", "voice"), 1),
        (("silence", "music", "voice"), 2),
        (("voice", "silence"), 0),
        (("voice", "voice"), 0),
        (("silence", "music"), 1),
        (("music", "silence"), 0),
        (("silence", "silence"), 0),
    ],
)
def test_the_track_in_which_somebody_speaks_is_taken(
    run_stage: Run, tracks: Callable[..., Path], names: tuple[str, ...], chosen: int
) -> None:
    """Else the one that sounds, else the first; that it isn't the first is told, with how to have that one."""
    context = run_stage("demux", {"media": tracks(*names)})
    assert read(context.output("probe"), Probe).audio_track == chosen
    lines = [line for line in told(context) if "nobody speaks in audio track 0" in line]
    assert len(lines) == (1 if chosen else 0)
    assert all("audio_track = 0" in line for line in lines)
    asked = run_stage("demux", {"media": tracks(*names)}, audio_track=0)
    assert read(asked.output("probe"), Probe).audio_track == 0


def test_a_jump_that_a_recording_can_not_explain_is_refused_by_name(rec: Any, run_stage: Run, tmp_path: Path) -> None:
    """With a clip that keeps what lies before; a long silence with a picture beside it is no such thing."""
    rec.write_pictures(tmp_path / "p.mp4", [n / 5 for n in range(1000)])
    sound = rec.write_beeps(tmp_path / "s.wav", 5, rate_hz=RATE_HZ)
    rec.ffmpeg("-i", sound, "-c:a", "flac", tmp_path / "s.mka")
    moved = rec.move_packets(tmp_path / "s.mka", tmp_path / "jump.mka", lambda time_s: 180 if time_s > 2.5 else 0)
    with pytest.raises(StageError, match=r"jump\.mka: its clock says 18\d\.\d s, .* it jumps at 2\.\d s") as error:
        run_stage("demux", {"media": moved})
    assert "clip_end_s = 2" in error.value.hint
    rec.ffmpeg("-i", tmp_path / "p.mp4", "-i", moved, "-map", "0", "-map", "1", "-c", "copy", tmp_path / "long.mkv")
    beeps = heard(run_stage("demux", {"media": tmp_path / "long.mkv"}))[:, 0]
    assert rec.beeps_s(beeps, RATE_HZ) == pytest.approx([0, 1, 2, 183, 184], abs=0.04)


def test_a_clip_on_a_seam_is_a_part_of_the_whole(rec: Any, run_stage: Run, tmp_path: Path) -> None:
    """Bit for bit, where the format changes and the clock jumps."""
    for number, rate_hz in enumerate((48_000, 44_100)):
        sound = rec.write_beeps(tmp_path / f"{number}.wav", 5, rate_hz=rate_hz, channels=number + 1)
        rec.ffmpeg("-i", sound, "-c:a", "aac", "-output_ts_offset", str(60 * number), tmp_path / f"{number}.ts")
    media = rec.write_joined(tmp_path / "seam.ts", [tmp_path / "0.ts", tmp_path / "1.ts"])
    whole = heard(run_stage("demux", {"media": media}))
    for start_s, end_s in ((3.21, 5.02), (4.9, 5.5), (5.03, 9.0)):
        clip = heard(run_stage("demux", {"media": media}, clip_start_s=start_s, clip_end_s=end_s))
        assert np.array_equal(clip, whole[round(start_s * 48_000) : round(end_s * 48_000)])


def test_sound_that_its_clock_has_no_room_for_is_told(rec: Any, run_stage: Run, tmp_path: Path) -> None:
    """Stamps that are a tenth too close: what overlaps is heard once, each beep is where its stamp is."""
    sound = rec.write_beeps(tmp_path / "s.wav", 20, rate_hz=RATE_HZ)
    rec.ffmpeg("-i", sound, "-c:a", "flac", tmp_path / "s.mka")
    media = rec.move_packets(tmp_path / "s.mka", tmp_path / "slow.mka", lambda time_s: -time_s / 10)
    context = run_stage("demux", {"media": media})
    assert rec.beeps_s(heard(context)[:, 0], RATE_HZ) == pytest.approx([0.9 * n for n in range(20)], abs=0.1)
    assert any("of its sound are left out" in line for line in told(context))


def test_one_damaged_stamp_is_no_jump(rec: Any, run_stage: Run, tmp_path: Path) -> None:
    """A single packet that says an hour later, between others that go on: sound follows on sound."""
    sound = rec.write_beeps(tmp_path / "s.wav", 6, rate_hz=RATE_HZ)
    rec.ffmpeg("-i", sound, "-c:a", "flac", tmp_path / "s.mka")
    ebml = bytearray((tmp_path / "s.mka").read_bytes())
    blocks = [at for at in range(len(ebml) - 8) if ebml[at] == 0xA3 and ebml[at + 3] == 0x81 and ebml[at + 6] == 0x80]
    stamp = int.from_bytes(ebml[blocks[9] + 4 : blocks[9] + 6], "big")
    ebml[blocks[9] + 4 : blocks[9] + 6] = (stamp + 20_000).to_bytes(2, "big")
    (tmp_path / "slip.mka").write_bytes(ebml)
    beeps = heard(run_stage("demux", {"media": tmp_path / "slip.mka"}))[:, 0]
    assert rec.beeps_s(beeps, RATE_HZ) == pytest.approx(range(6), abs=0.01)


def test_a_damaged_flac_keeps_its_times(rec: Any, run_stage: Run, tmp_path: Path) -> None:
    """Its frames have numbers: what is lost is silence, and told, and what comes after isn't early."""
    rec.ffmpeg("-i", rec.write_beeps(tmp_path / "s.wav", 10), tmp_path / "s.flac")
    content = bytearray((tmp_path / "s.flac").read_bytes())
    del content[len(content) // 2 : len(content) * 6 // 10]
    (tmp_path / "s.flac").write_bytes(content)
    context = run_stage("demux", {"media": tmp_path / "s.flac"})
    beeps = rec.beeps_s(heard(context)[:, 0], 48_000)
    assert len(beeps) >= 8
    assert beeps == pytest.approx([round(beep_s) for beep_s in beeps], abs=0.01)
    assert any("in its middle there is no sound, first at" in line for line in told(context))


def test_a_track_that_begins_in_the_middle_of_a_file_is_no_obstacle(rec: Any, run_stage: Run, tmp_path: Path) -> None:
    """Two broadcasts with tracks of other numbers, joined: the first one's are read to their end."""
    rec.write_pictures(tmp_path / "p.mp4", [n / 25 for n in range(125)])
    rec.write_beeps(tmp_path / "s.wav", 5)
    parts = []
    for number, ids in enumerate(((), ("-mpegts_start_pid", "0x200", "-mpegts_pmt_start_pid", "0x1100"))):
        parts.append(tmp_path / f"{number}.ts")
        source = ("-i", tmp_path / "p.mp4", "-i", tmp_path / "s.wav", "-c:v", "copy", "-c:a", "aac")
        rec.ffmpeg(*source, "-output_ts_offset", str(5 * number), *ids, parts[-1])
    context = run_stage("demux", {"media": rec.write_joined(tmp_path / "joined.ts", parts)})
    assert rec.beeps_s(heard(context)[:, 0], 48_000)[:5] == pytest.approx(range(5), abs=0.04)


def test_sound_that_ends_long_before_the_picture_is_told(rec: Any, run_stage: Run, tmp_path: Path) -> None:
    """A microphone that was pulled out; a fade-out of a second is no such thing."""
    rec.write_pictures(tmp_path / "p.mp4", [n / 5 for n in range(100)])
    rec.write_beeps(tmp_path / "s.wav", 20, rate_hz=RATE_HZ)
    for length_s, lines in ((12, ["ends.mkv: its sound ends at 12.0 s, before 19.8 s"]), (19, [])):
        sound = ("-t", str(length_s), "-i", tmp_path / "s.wav")
        rec.ffmpeg("-i", tmp_path / "p.mp4", *sound, "-c:v", "copy", "-c:a", "flac", tmp_path / "ends.mkv")
        assert told(run_stage("demux", {"media": tmp_path / "ends.mkv"})) == lines


def test_joined_flacs_of_two_formats_are_refused(rec: Any, run_stage: Run, tmp_path: Path) -> None:
    """ffmpeg takes the seam apart wrongly; of one format they are one recording."""
    for number, channels in enumerate((1, 1, 2)):
        rec.ffmpeg("-i", rec.write_beeps(tmp_path / "x.wav", 5, channels=channels), tmp_path / f"{number}.flac")
    same = rec.write_joined(tmp_path / "same.flac", [tmp_path / "0.flac", tmp_path / "1.flac"])
    beeps = heard(run_stage("demux", {"media": same}))[:, 0]
    assert rec.beeps_s(beeps, 48_000) == pytest.approx(range(10), abs=0.01)
    other = rec.write_joined(tmp_path / "other.flac", [tmp_path / "0.flac", tmp_path / "2.flac"])
    with pytest.raises(StageError, match=r"other\.flac: another FLAC with another format begins at 5\.\d s") as error:
        run_stage("demux", {"media": other})
    assert "clip_end_s" in error.value.hint


def test_sound_that_a_wav_can_not_hold_makes_an_rf64(tmp_path: Path) -> None:
    """More than 4 GiB, which takes ten hours; the header is chosen before."""
    for length_s, begins in ((60.0, b"RIFF"), (15 * 3600.0, b"RF64")):
        path = tmp_path / "tape.wav"
        with Tape(path, 48_000, 2, (0.0, length_s), lambda: 0.0, lambda sound: None) as tape:
            tape.add(0.0, np.zeros((10, 2), np.int16), 48_000)
        assert path.read_bytes()[:4] == begins


def test_a_tape_writes_no_more_silence_than_is_explained(tmp_path: Path) -> None:
    """The limit is asked for only when the clock asks for much."""
    asked = []
    with Tape(tmp_path / "t.wav", 8000, 1, (0.0, 1e6), lambda: asked.append(1) or 100.0, lambda sound: None) as tape:
        tape.add(0.0, np.zeros((80_000, 1), np.int16), 8000)
        tape.add(70.0, np.zeros((8, 1), np.int16), 8000)
        assert not asked
        tape.add(99.0, np.zeros((8, 1), np.int16), 8000)
        assert asked
        with pytest.raises(BrokenClock, match="its clock says 101"):
            tape.add(101.0, np.zeros((8, 1), np.int16), 8000)
    assert (tmp_path / "t.wav").stat().st_size < 2_000_000
