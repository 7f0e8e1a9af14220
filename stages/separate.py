"""Take the voice apart from everything else.

Both outputs have the recording's rate and channels, and their sum is the recording, sample by sample:
the accompaniment is the recording minus the voice, in integers of the recording's own sample format
(16 bits stay 16, everything else becomes 24). Float WAVs are avoided for a second reason: libsndfile
writes the time of day into them.

The recording is streamed: memory doesn't grow with its length.

Not here: what the voice is used for. Transcribing it is worse than transcribing the recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from mediabuild.errors import StageError
from mediabuild.stage import Context, Lookup, ModelRef, stage

if TYPE_CHECKING:
    import numpy as np

EMBEDDED = "mini"
# About 10 times slower on Apple's GPU than on its CPU.
SLOW_ON_MPS = {"hdemucs_mmi", "repro_mdx_a", "repro_mdx_a_hybrid_only", "repro_mdx_a_time_only"}
MPS_LIMIT = "Output channels > 65536"  # what some inputs fail with on Apple's GPU
OVERLAP = 0.25  # of demucs' segments; its own default
STRETCH_S = 120  # what is in memory at a time; each costs two of the model's segments extra
READ_S = 10
WAV_LIMIT_BYTES = 4 * 10**9  # above this a WAV's 32-bit sizes don't fit, and RF64 is written


class SeparateParams(msgspec.Struct, forbid_unknown_fields=True):
    """What to separate with."""

    model: Annotated[
        str,
        msgspec.Meta(
            min_length=1,
            description="`mini` (built in), a demucs model of the Hugging Face hub (`htdemucs`, `htdemucs_ft`, "
            "`owner/name`), or a local file or folder with .safetensors or .th files (with a `/`)",
        ),
    ] = EMBEDDED


def models(params: SeparateParams, lookup: Lookup) -> dict[str, ModelRef]:
    """The file or folder that would be loaded; a hub's model only where it has been downloaded."""
    if params.model == EMBEDDED:
        path: Path | None = lookup.stage_dir / "models" / f"{EMBEDDED}.safetensors"
    else:
        path = lookup.local(params.model) or lookup.hub(_repository(params.model))
    return {"separator": ModelRef(params.model, path)}


@stage(
    version=1,
    inputs={"audio": "the recording's sound, WAV"},
    outputs={"vocals": "vocals.wav", "accompaniment": "accompaniment.wav"},
    devices=("cuda", "mps"),
    heavy=True,
    models=models,
    tools=("torch", "demucs"),
)
def separate(ctx: Context, params: SeparateParams) -> None:
    """Separate the voice from the music and the noise."""
    import torch

    torch.set_num_threads(ctx.threads)
    reference = ctx.models["separator"]
    if reference.path is not None and _pickles(reference.path):
        ctx.warn(f"separate: {reference.name} is loaded from a pickle, which can run any code: only use one you trust")
    model = ctx.model(f"demucs {reference.name} {reference.path}", lambda: _load(reference))
    if "vocals" not in model.sources:
        raise StageError(f"separate: model {params.model} has no vocals, only {', '.join(model.sources)}")
    if ctx.device == "mps" and params.model in SLOW_ON_MPS:
        _move_to_cpu(ctx, f"{params.model} is slower on mps than on the CPU")
    with_fallback(ctx, lambda device: _separate_on(ctx, model, device))


def with_fallback(ctx: Context, work: Callable[[str], None]) -> None:
    """Do the work on the task's device, and all of it on the CPU where Apple's GPU can't.

    All of it, so that the outputs don't depend on where it failed.
    """
    device = ctx.device_used or ctx.device
    try:
        work(device)
    except RuntimeError as error:
        if device != "mps" or MPS_LIMIT not in str(error):
            raise
        _move_to_cpu(ctx, f"mps can't do it ({error})")
        work("cpu")


def _move_to_cpu(ctx: Context, reason: str) -> None:
    ctx.warn(f"separate: {reason}: running on the CPU")
    ctx.device_used = "cpu"


def _separate_on(ctx: Context, model: Any, device: str) -> None:
    """Write both outputs, a stretch at a time."""
    import soundfile

    with soundfile.SoundFile(ctx.input("audio")) as recording:
        bits = 16 if recording.subtype in ("PCM_16", "PCM_U8") else 24
        layout = {
            "samplerate": recording.samplerate,
            "channels": recording.channels,
            "subtype": f"PCM_{bits}",
            "format": container(recording.frames, recording.channels, bits),
        }
        voices = _voices(ctx, model, device)
        with (
            soundfile.SoundFile(ctx.output("vocals"), "w", **layout) as vocals,
            soundfile.SoundFile(ctx.output("accompaniment"), "w", **layout) as accompaniment,
        ):
            for voice in _resampled(voices, model.samplerate, recording.samplerate, recording.channels):
                mixture = recording.read(len(voice), dtype="float64", always_2d=True)
                part, rest = split_exactly(mixture, voice[: len(mixture)], bits)
                vocals.write(part)
                accompaniment.write(rest)
            # Resampling back can end a sample early: the voice is silent there.
            mixture = recording.read(dtype="float64", always_2d=True)
            part, rest = split_exactly(mixture, 0 * mixture, bits)
            vocals.write(part)
            accompaniment.write(rest)


def split_exactly(mixture: np.ndarray, voice: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Voice and rest in integers whose sum is the mixture, to the last bit.

    Args:
        mixture: float64 [frames, channels], −1…1, as read from a PCM file of at most `bits`.
        voice: float [frames, channels], the estimate; limited so that neither part overflows.
        bits: 16 or 24.

    Returns:
        Two arrays [frames, channels] as soundfile writes them unchanged: int16, or int32 with the
        24 bits at the top.
    """
    import numpy as np

    top = 2 ** (bits - 1)
    whole = np.clip(np.rint(mixture * top), -top, top - 1).astype(np.int32)
    estimate = np.rint(voice.astype(np.float64) * top)
    part = np.clip(estimate, np.maximum(-top, whole - (top - 1)), np.minimum(top - 1, whole + top)).astype(np.int32)
    rest = whole - part
    if bits == 16:
        return part.astype(np.int16), rest.astype(np.int16)
    return part << 8, rest << 8


def container(frames: int, channels: int, bits: int) -> str:
    """libsndfile's name of the file format: plain WAV while its 32-bit sizes are enough."""
    return "RF64" if frames * channels * bits // 8 > WAV_LIMIT_BYTES else "WAV"


def _voices(ctx: Context, model: Any, device: str) -> Iterator[np.ndarray]:
    """The voice at the model's rate, in order: float32 [frames, channels]."""
    import numpy as np
    import soundfile
    import torch
    from demucs.apply import apply_model

    about = soundfile.info(ctx.input("audio"))
    # A model with other channels than the recording hears each of them alone.
    together = model.audio_channels == about.channels
    voice = model.sources.index("vocals")
    segment = min(part.segment for part in getattr(model, "models", [model]))
    segment_samples = int(model.samplerate * segment)
    stride = int((1 - OVERLAP) * segment_samples)  # as apply_model counts it
    strides = max(4, round(STRETCH_S * model.samplerate / stride))
    done_s = 0.0
    mixture = _resampled(_blocks(ctx.input("audio")), about.samplerate, model.samplerate, about.channels)
    for stretch, wanted in stretches(mixture, stride, strides, segment_samples - stride):
        ctx.progress(min(done_s, about.duration), about.duration)
        channels = torch.from_numpy(np.ascontiguousarray(stretch.T))
        batch = channels[None] if together else channels[:, None].repeat(1, model.audio_channels, 1)
        parts = apply_model(model, batch, shifts=0, overlap=OVERLAP, segment=segment, device=device)[:, voice]
        found = parts[0] if together else parts.mean(dim=1)
        yield found[:, stride : stride + wanted].T.cpu().numpy()
        done_s += wanted / model.samplerate
    ctx.progress(about.duration, about.duration)


def stretches(blocks: Iterator[np.ndarray], stride: int, strides: int, after: int) -> Iterator[tuple[np.ndarray, int]]:
    """Cut a stream into stretches of whole strides, so that separating them one by one equals doing all at once.

    demucs cuts its input into segments that start at every stride and overlap. A stretch gets one
    stride before it and `after` samples behind it, silence where the recording has none, so that
    every segment that touches it is whole. Measured: bit-equal.

    Args:
        blocks: float32 [frames, channels], of any lengths.
        stride, after: samples; `after` is the model's segment less one stride.
        strides: how many of them a stretch has.

    Yields:
        The stretch with its context, float32 [stride + strides × stride + after, channels], and how
        many samples after the first `stride` are the recording's.
    """
    import numpy as np

    length = strides * stride
    held: np.ndarray = np.zeros((stride, 1), np.float32)
    for block in blocks:
        held = np.concatenate([np.broadcast_to(held, (len(held), block.shape[1])), block])
        while len(held) >= stride + length + after:
            yield held[: stride + length + after], length
            held = held[length:]
    while len(held) > stride:
        wanted = min(length, len(held) - stride)
        whole = -(-wanted // stride) * stride
        padding = max(0, stride + whole + after - len(held))
        yield np.pad(held, ((0, padding), (0, 0)))[: stride + whole + after], wanted
        held = held[length:]


def _blocks(path: Path) -> Iterator[np.ndarray]:
    """A recording, read a little at a time: float32 [frames, channels]."""
    import soundfile

    with soundfile.SoundFile(path) as recording:
        yield from recording.blocks(READ_S * recording.samplerate, dtype="float32", always_2d=True)


def _resampled(blocks: Iterator[np.ndarray], from_hz: int, to_hz: int, channels: int) -> Iterator[np.ndarray]:
    """A stream at another rate; sample 0 stays where it is."""
    import numpy as np
    import soxr

    if from_hz == to_hz:
        yield from blocks
        return
    stream = soxr.ResampleStream(from_hz, to_hz, channels, dtype="float32")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros((0, channels), np.float32), last=True)


def _repository(name: str) -> str:
    """The hub's repository of a demucs model, as `demucs.hf` names them: `htdemucs_ft` → `adefossez/HTDemucs-ft`."""
    owner, _, model = name.rpartition("/")
    if model == "htdemucs":
        repository = "HTDemucs"
    elif model.startswith("htdemucs_"):
        repository = "HTDemucs-" + model.removeprefix("htdemucs_")
    else:
        repository = "Demucs-" + model
    return f"{owner or 'adefossez'}/{repository}"


def _pickles(path: Path) -> bool:
    """Whether a local model is one of demucs' old .th files."""
    return path.suffix == ".th" or (path.is_dir() and not any(path.glob("*.safetensors")))


def _load(reference: ModelRef) -> Any:
    """The model, from where `models` found it, or from the hub."""
    path = reference.path or _fetched(reference.name)
    if path.is_file():
        return _single(path)
    bags, weights = sorted(path.glob("*.yaml")), sorted([*path.glob("*.safetensors"), *path.glob("*.th")])
    if len(bags) == 1:
        return _bag(bags[0])
    if len(weights) == 1 and not bags:
        return _single(weights[0])
    raise StageError(
        f"separate: {path}: has {len(bags)} .yaml and {len(weights)} model files; one of either is needed", f"ls {path}"
    )


def _single(path: Path) -> Any:
    from demucs.hf import load_safetensors_model
    from demucs.states import load_model

    try:
        return load_safetensors_model(path) if path.suffix == ".safetensors" else load_model(path)
    except Exception as error:  # a broken or foreign file fails in many ways
        raise StageError(f"separate: {path} is no demucs model: {type(error).__name__}: {error}") from error


def _bag(listing: Path) -> Any:
    """Several models that are averaged, as their .yaml says."""
    from demucs.pretrained import get_model
    from demucs.repo import BagOnlyRepo

    folder = listing.parent
    if _pickles(folder):
        return get_model(listing.stem, repo=folder)
    parts = SimpleNamespace(get_model=lambda signature: _single(folder / f"{signature}.safetensors"))
    return BagOnlyRepo(folder, parts).get_model(listing.stem)


def _fetched(name: str) -> Path:
    """Download a model from the hub; only safetensors, never a pickle from demucs' older host."""
    from huggingface_hub import snapshot_download

    repository = _repository(name)
    try:
        return Path(snapshot_download(repository, allow_patterns=["*.yaml", "*.safetensors"]))
    except Exception as error:  # no network, no such repository, a full disk
        raise StageError(
            f"separate: params.model {name!r}: {repository} can't be fetched ({type(error).__name__})",
            'model = "mini" under [stages.separate], or a local folder: model = "./models/htdemucs"',
        ) from error
