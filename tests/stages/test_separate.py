"""separate: the voice comes out cleaner, and nothing of the recording is lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

from mediabuild.errors import StageError
from mediabuild.media import formats
from mediabuild.stage import Context

MINI = Path(__file__).parents[2] / "stages" / "models" / "mini.safetensors"
RATE_HZ = 44_100


def si_sdr_db(estimate: np.ndarray, target: np.ndarray) -> float:
    """Scale-invariant signal-to-distortion ratio (Le Roux et al., 2019, "SDR – half-baked or well done?")."""
    scaled = target * (estimate @ target) / (target @ target)
    return float(10 * np.log10((scaled @ scaled) / ((estimate - scaled) @ (estimate - scaled))))


def chords(frames: int) -> np.ndarray:
    """Plucked chords over a bass, one a second: float64 [frames, 2], a little different on each side."""
    time_s = np.arange(frames) / RATE_HZ
    pluck = np.exp(-3 * (time_s % 1.0))
    roots_hz = np.array([110.0, 146.8, 164.8, 130.8])[(time_s.astype(int)) % 4]
    phase = 2 * np.pi * np.cumsum(roots_hz) / RATE_HZ
    left = sum(np.sin(phase * ratio) / ratio for ratio in (1, 2, 2.5, 3, 5))
    right = sum(np.sin(phase * ratio + 1) / ratio for ratio in (1, 2, 3, 4, 7.5))
    return np.stack([left, right], axis=1) * pluck[:, None] * 0.08


def read_pcm(path: Path) -> np.ndarray:
    """Samples as integers, int64 [frames, channels]: 16 or 24 bits at the top of 32."""
    return soundfile.read(path, dtype="int32", always_2d=True)[0].astype(np.int64)


@pytest.fixture(scope="session")
def song(reading: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """Twelve seconds of voice under music, stereo, 44.1 kHz; and the voice alone."""
    voice, rate_hz = soundfile.read(reading.path, frames=12 * 16_000)
    voice = soxr.resample(voice, rate_hz, RATE_HZ)
    path = tmp_path_factory.mktemp("song") / "song.wav"
    soundfile.write(path, voice[:, None] + chords(len(voice)), RATE_HZ, subtype="PCM_16")
    return path, voice


def test_the_voice_is_cleaner_and_the_parts_sum_to_the_recording(
    run_stage: Callable[..., Context], song: tuple[Path, np.ndarray]
) -> None:
    """On a stereo mix the voice gains at least 3 dB; vocals + accompaniment is the input to the last bit."""
    mix, voice = song
    done = run_stage("separate", {"audio": mix})
    vocals, rate_hz = soundfile.read(done.output("vocals"))
    mixture, _ = soundfile.read(mix)
    assert (rate_hz, vocals.shape) == (RATE_HZ, mixture.shape)
    assert si_sdr_db(vocals[:, 0], voice) > si_sdr_db(mixture[:, 0], voice) + 3
    assert np.array_equal(read_pcm(done.output("vocals")) + read_pcm(done.output("accompaniment")), read_pcm(mix))


def test_separating_twice_gives_the_same_bytes(
    run_stage: Callable[..., Context], song: tuple[Path, np.ndarray]
) -> None:
    """Equal inputs are equal outputs, or no cache could be believed."""
    first, second = (run_stage("separate", {"audio": song[0]}) for _ in range(2))
    for name in ("vocals", "accompaniment"):
        assert first.output(name).read_bytes() == second.output(name).read_bytes()


@pytest.mark.parametrize(
    ("frames", "rate_hz", "channels", "subtype"),
    [
        (0, 48_000, 2, "PCM_16"),
        (1, 16_000, 1, "PCM_16"),
        (10, 44_100, 2, "PCM_16"),
        (48_001, 48_000, 1, "PCM_24"),
        (9_999, 8_000, 3, "PCM_16"),
    ],
)
def test_any_shape_of_sound_sums_to_itself(
    run_stage: Callable[..., Context], tmp_path: Path, frames: int, rate_hz: int, channels: int, subtype: str
) -> None:
    """Empty, tiny, mono, 24-bit, odd and full-scale recordings: same length and format, and no sample lost."""
    noise = np.clip(np.random.default_rng(1).standard_normal((frames, channels)), -1, 1)
    soundfile.write(tmp_path / "noise.wav", noise, rate_hz, subtype=subtype)
    done = run_stage("separate", {"audio": tmp_path / "noise.wav"})
    about = soundfile.info(done.output("vocals"))
    assert (about.frames, about.samplerate, about.channels, about.subtype) == (frames, rate_hz, channels, subtype)
    whole = read_pcm(done.output("vocals")) + read_pcm(done.output("accompaniment"))
    assert np.array_equal(whole, read_pcm(tmp_path / "noise.wav"))


def test_silence_has_no_voice(run_stage: Callable[..., Context], tmp_path: Path) -> None:
    """Nothing is invented where there is nothing."""
    soundfile.write(tmp_path / "silence.wav", np.zeros((96_000, 2)), 48_000)
    done = run_stage("separate", {"audio": tmp_path / "silence.wav"})
    assert not read_pcm(done.output("vocals")).any()


@pytest.mark.parametrize("first_frame", [0, 777, 36_000, 36_000 - 700, 5 * 36_000 + 1])
def test_stretches_equal_one_go(stage_module: Callable[[str], ModuleType], first_frame: int) -> None:
    """Separating stretch by stretch gives the very bits of separating all at once on the source's grid."""
    import torch
    from demucs.apply import apply_model
    from demucs.hf import load_safetensors_model

    model = load_safetensors_model(MINI)
    stride, after = 36_000, 12_000
    sound = np.random.default_rng(2).standard_normal((5 * stride + 777, 1)).astype(np.float32) * 0.1
    grid = stage_module("separate").Grid(16_000, 16_000, first_frame, len(sound))
    stretches = grid.stretches(stride, 2, after)
    origin = stretches[0].first
    whole = np.pad(sound, ((first_frame - origin, 0), (0, 0)))

    def voice(part: np.ndarray) -> np.ndarray:
        found = apply_model(model, torch.from_numpy(np.ascontiguousarray(part.T))[None], shifts=0)
        return found[0, 1].T.numpy()

    pieces = []
    for stretch in stretches:
        heard = whole[stretch.start - origin : stretch.stop - origin]
        pieces.append(voice(heard)[stretch.first - stretch.start : stretch.last - stretch.start])
    assert len(pieces) in (3, 4)
    assert np.array_equal(np.concatenate(pieces), voice(whole))


@pytest.fixture(scope="session")
def long_song(reading: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[float, float], tuple[Path, Path]]:
    """``long_song(start_s, end_s)`` → a clip of three minutes of voice under music, and its `probe.json`."""
    voice, rate_hz = soundfile.read(reading.path)
    voice = np.tile(soxr.resample(voice, rate_hz, RATE_HZ), 6)[: 180 * RATE_HZ]
    sound = voice[:, None] + chords(len(voice))
    folder = tmp_path_factory.mktemp("long")

    def clip(start_s: float, end_s: float) -> tuple[Path, Path]:
        wav, probe = folder / f"{start_s}-{end_s}.wav", folder / f"{start_s}-{end_s}.json"
        soundfile.write(wav, sound[round(start_s * RATE_HZ) : round(end_s * RATE_HZ)], RATE_HZ, subtype="PCM_16")
        formats.write(probe, formats.Probe("wav", 180.0, start_s, end_s, 0, None, [], []))
        return wav, probe

    return clip


def test_a_moved_clip_costs_what_is_new(
    run_stage: Callable[..., Context], long_song: Callable[[float, float], tuple[Path, Path]], tmp_path: Path
) -> None:
    """A later end costs the new minute and the unit that was the last; a start moved by 0.37 s costs the first unit.

    And each time the bytes are those of a build without units, in two lanes, equal to the earlier ones away from the
    edges.
    """
    units = tmp_path / "state" / "units" / "separate"
    (tmp_path / "state" / "tmp").mkdir(parents=True)
    earlier = np.zeros(0)
    for start_s, end_s, made, reused in ((30.0, 120.0, 2, 0), (30.0, 180.0, 2, 1), (30.37, 180.0, 1, 2)):
        wav, probe = long_song(start_s, end_s)
        done = run_stage("separate", {"audio": wav, "probe": probe}, units=units)
        assert (done.kept.made, done.kept.reused) == (made, reused)
        clean = run_stage("separate", {"audio": wav, "probe": probe}, lanes=2)
        assert done.output("vocals").read_bytes() == clean.output("vocals").read_bytes()
        vocals = read_pcm(done.output("vocals"))
        same, there = vocals[8 * RATE_HZ : 80 * RATE_HZ], round((start_s - 30.0) * RATE_HZ)
        if len(earlier):
            assert np.array_equal(same, earlier[8 * RATE_HZ + there : 80 * RATE_HZ + there])
        earlier = vocals


def test_a_long_recording_becomes_rf64(stage_module: Callable[[str], ModuleType]) -> None:
    """A WAV's sizes have 32 bits: 3 hours of stereo fit at 48 kHz, 7 hours don't."""
    container = stage_module("separate").container
    assert container(3 * 3600 * 48_000, 2, 16) == "WAV"
    assert container(7 * 3600 * 48_000, 2, 16) == "RF64"


def test_what_mps_cannot_do_is_done_on_the_cpu(
    run_stage: Callable[..., Context], stage_module: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    """PyTorch's complaint on Apple's GPU starts all of the work again on the CPU, and that is recorded."""
    done, tried = Context("separate", "sample", tmp_path, {}, {}, device="mps"), []

    def work(device: str) -> None:
        tried.append(device)
        if device == "mps":
            raise NotImplementedError("Output channels > 65536 not supported at the MPS device.")

    stage_module("separate").with_fallback(done, work)
    assert (tried, done.device_used) == (["mps", "cpu"], "cpu")


@pytest.mark.parametrize(
    ("device", "batch_size", "command"),
    [
        ("cuda:1", 8, "doit voice.batch_size=4"),
        ("cuda", 1, "doit --device cpu"),
        ("mps", 8, "doit --device cpu"),
    ],
)
def test_what_to_type_for_less_memory(
    stage_module: Callable[[str], ModuleType], device: str, batch_size: int, command: str
) -> None:
    """Smaller batches where there are any, and the CPU elsewhere."""
    assert stage_module("separate").lighter("voice", device, batch_size) == command


def test_other_failures_are_not_hidden(stage_module: Callable[[str], ModuleType], tmp_path: Path) -> None:
    """Only that one complaint is answered by the CPU."""

    def work(device: str) -> None:
        raise RuntimeError("MPS backend out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        stage_module("separate").with_fallback(Context("separate", "a", tmp_path, {}, {}, device="mps"), work)


def test_models_from_folders_and_the_hubs_cache(
    run_stage: Callable[..., Context], song: tuple[Path, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder, a bag with its list, and a downloaded hub model are loaded from where they lie."""
    short = tmp_path / "short.wav"
    soundfile.write(short, soundfile.read(song[0], frames=RATE_HZ)[0], RATE_HZ)
    expected = run_stage("separate", {"audio": short}).output("vocals").read_bytes()

    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(MINI, folder / "any.safetensors")
    assert run_stage("separate", {"audio": short}, model=str(folder)).output("vocals").read_bytes() == expected

    (folder / "two.yaml").write_text("models: ['any', 'any']\n")
    bag = run_stage("separate", {"audio": short}, model=str(folder))
    assert bag.output("vocals").read_bytes() == expected

    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    snapshot = tmp_path / "hub" / "models--adefossez--HTDemucs" / "snapshots" / "abc"
    shutil.copytree(folder, snapshot)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("abc")
    cached = run_stage("separate", {"audio": short}, model="htdemucs")
    assert cached.models["separator"].path == snapshot
    assert cached.output("vocals").read_bytes() == expected


def test_a_pickle_is_loaded_with_a_warning(
    run_stage: Callable[..., Context], song: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    """demucs' .th files work when the user names them, and the user is told what they can do."""
    import torch
    from demucs.hf import load_safetensors_model

    model = load_safetensors_model(MINI)
    args, kwargs = model._init_args_kwargs
    path = tmp_path / "mini.th"
    torch.save({"klass": type(model), "args": args, "kwargs": kwargs, "state": model.state_dict()}, path)
    soundfile.write(tmp_path / "short.wav", soundfile.read(song[0], frames=RATE_HZ)[0], RATE_HZ)
    done = run_stage("separate", {"audio": tmp_path / "short.wav"}, model=str(path))
    assert any(kind == "warning" and "pickle" in fields["message"] for kind, fields in done.messages)  # type: ignore[attr-defined]


@pytest.mark.parametrize("content", [None, "no model"])
def test_a_model_that_is_not_there_is_explained(
    run_stage: Callable[..., Context], song: tuple[Path, np.ndarray], tmp_path: Path, content: str | None
) -> None:
    """A name the hub doesn't have, or can't be reached for, and a foreign file: an error that names it."""
    model = "no_such_model"
    if content:
        (tmp_path / "foreign.safetensors").write_text(content)
        model = str(tmp_path / "foreign.safetensors")
    with pytest.raises(StageError, match=model):
        run_stage("separate", {"audio": song[0]}, model=model)
