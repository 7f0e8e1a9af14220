"""Take the voice apart from everything else.

Both outputs have the recording's rate and channels, and their sum is the recording, sample by sample:
the accompaniment is the recording minus the voice, in integers of the recording's own sample format
(16 bits stay 16, everything else becomes 24). Float WAVs are avoided for a second reason: libsndfile
writes the time of day into them.

It is done in units, stretches of about a minute whose borders are counted from the source's zero: work that was
cut short goes on where it was, and a clip that starts earlier or ends later costs what is new in it. Memory doesn't
grow with the recording's length.

Not here: how a recording is cut and where models are (`mediabuild.media.separation`), and what the
voice is used for: transcribing it is worse than transcribing the recording.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from mediabuild.errors import StageError
from mediabuild.media import formats, gpu
from mediabuild.media.recordings.sound import Sound
from mediabuild.media.separation.demucs_models import load, pickles, repository
from mediabuild.media.separation.grid import Grid, Stretch
from mediabuild.media.separation.packing import packed, unpacked
from mediabuild.stage import Context, Lookup, ModelRef, stage

if TYPE_CHECKING:
    import numpy as np

EMBEDDED = "mini"
# About 10 times slower on Apple's GPU than on its CPU.
SLOW_ON_MPS = {"hdemucs_mmi", "repro_mdx_a", "repro_mdx_a_hybrid_only", "repro_mdx_a_time_only"}
MPS_LIMIT = "Output channels > 65536"  # what some inputs fail with on Apple's GPU
OVERLAP = 0.25  # of demucs' segments; its own default
UNIT_S = 60  # what is in memory at a time, and lost when it is cut short
MOST_STRIDES_WASTED = 1 / 16  # a unit costs a stride more than it holds: where strides are long, units are longer
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
    batch_size: Annotated[
        int, msgspec.Meta(ge=1, le=256, description="how many segments cuda separates at once; its memory limits it")
    ] = 8


def models(params: SeparateParams, lookup: Lookup) -> dict[str, ModelRef]:
    """The file or folder that would be loaded; a hub's model only where it has been downloaded."""
    if params.model == EMBEDDED:
        path: Path | None = lookup.stage_dir / "models" / f"{EMBEDDED}.safetensors"
    else:
        path = lookup.local(params.model) or lookup.hub(repository(params.model))
    return {"separator": ModelRef(params.model, path)}


@stage(
    version=2,
    inputs={"audio": "the recording's sound, WAV"},
    optional={"probe": "where the clip starts in the recording"},
    outputs={"vocals": "vocals.wav", "accompaniment": "accompaniment.wav"},
    devices=("cuda", "mps"),
    heavy=True,
    memory_gb=1.0,
    lanes=True,
    gpu_lanes=3,
    models=models,
    tools=("torch", "demucs"),
    imports=("torch",),
)
def separate(ctx: Context, params: SeparateParams) -> None:
    """Separate the voice from the music and the noise."""
    import torch

    torch.set_num_threads(ctx.threads)
    reference = ctx.models["separator"]
    if reference.path is not None and pickles(reference.path):
        ctx.warn(f"separate: {reference.name} is loaded from a pickle, which can run any code: only use one you trust")
    model = ctx.model(
        f"demucs {reference.name} {reference.path}", lambda: load(reference.name, reference.path, ctx.stage)
    )
    if "vocals" not in model.sources:
        raise StageError(f"separate: model {params.model} has no vocals, only {', '.join(model.sources)}")
    if ctx.device == "mps" and params.model in SLOW_ON_MPS:
        _move_to_cpu(ctx, f"{params.model} is slower on mps than on the CPU")
    with gpu.explained(ctx.stage, ctx.device, lighter(ctx.stage, ctx.device, params.batch_size)):
        with_fallback(ctx, lambda device: _separate_on(ctx, model, device, params.batch_size))
    torch.cuda.empty_cache()  # for other stages: this worker may stay idle for long


def lighter(stage: str, device: str, batch_size: int) -> str:
    """What to type so that less of a device's memory is needed; Apple's GPU separates one segment at a time anyway."""
    half = batch_size // 2 if device.startswith("cuda") else 0
    return f"doit {stage}.batch_size={half}" if half else "doit --device cpu"


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


def _separate_on(ctx: Context, model: Any, device: str, batch_size: int) -> None:
    """Write both outputs, a unit at a time."""
    import soundfile

    model.to(device)
    with soundfile.SoundFile(ctx.input("audio")) as recording:
        bits = 16 if recording.subtype in ("PCM_16", "PCM_U8") else 24
        layout = {
            "samplerate": recording.samplerate,
            "channels": recording.channels,
            "subtype": f"PCM_{bits}",
            "format": container(recording.frames, recording.channels, bits),
        }
        with (
            Sound(ctx.input("audio"), formats.clip_start_s(ctx.inputs("probe"))) as sound,
            soundfile.SoundFile(ctx.output("vocals"), "w", **layout) as vocals,
            soundfile.SoundFile(ctx.output("accompaniment"), "w", **layout) as accompaniment,
        ):
            grid = Grid(sound.rate_hz, model.samplerate, sound.first_frame, sound.frames)
            for voice in grid.at_recording_rate(_voices(ctx, model, device, batch_size, sound, grid), sound.channels):
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


def _voices(
    ctx: Context, model: Any, device: str, batch_size: int, sound: Sound, grid: Grid
) -> Iterator[tuple[int, np.ndarray]]:
    """The voice at the model's rate, unit by unit: where it begins on the grid, float32 [samples, channels]."""
    import numpy as np
    import soxr
    import torch
    from demucs.apply import apply_model

    from mediabuild.media.separation.batches import Batches

    # The models of a bag may have segments of different lengths.
    segment = min(part.segment for part in getattr(model, "models", [model]))
    segment_samples = int(model.samplerate * segment)
    stride = int((1 - OVERLAP) * segment_samples)  # as apply_model counts it
    strides = max(round(UNIT_S * model.samplerate / stride), round(1 / MOST_STRIDES_WASTED))
    stretches = grid.stretches(stride, strides, segment_samples - stride)
    vocals = model.sources.index("vocals")
    on_cuda = device.startswith("cuda")
    # A GPU's memory holds one unit; other lanes read and pack theirs meanwhile. demucs adds up where the sound lies.
    turn = threading.Lock() if on_cuda else contextlib.nullcontext()
    home, size = (device, batch_size) if on_cuda else ("cpu", 1)

    # A model with other channels than the recording hears each of them alone.
    together = model.audio_channels == sound.channels

    def facts(stretch: Stretch) -> list[Any]:
        frames, skip = grid.heard(sound, stretch)
        places = [place - stretch.start for place in (stretch.stop, stretch.first, stretch.last)]
        return [*sound.facts(frames), skip, *places, device]

    def make(number: int) -> bytes:
        stretch = stretches[number]
        frames, skip = grid.heard(sound, stretch)
        heard = soxr.resample(frames, grid.rate_hz, model.samplerate)[skip : skip + stretch.stop - stretch.start]
        channels = torch.from_numpy(np.ascontiguousarray(heard.T))
        mixtures = channels[None] if together else channels[:, None].repeat(1, model.audio_channels, 1)
        settings = {"shifts": 0, "overlap": OVERLAP, "segment": segment, "device": device}
        with turn:
            parts = apply_model(model, mixtures.to(home), pool=Batches(size), **settings)[:, vocals].cpu()
        found = (parts[0] if together else parts.mean(dim=1)).T.numpy()
        return packed(found[stretch.first - stretch.start : stretch.last - stretch.start], model.samplerate)

    done_s, total_s = 0.0, grid.frames / grid.rate_hz
    for stretch, unit in zip(stretches, ctx.each_unit([facts(s) for s in stretches], make), strict=True):
        done_s += (stretch.last - stretch.first) / model.samplerate
        ctx.progress(min(done_s, total_s), total_s)
        yield stretch.first, unpacked(unit)
