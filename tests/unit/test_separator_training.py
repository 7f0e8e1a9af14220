"""scripts/train_separator.py: its examples follow from the seed, and a run that was stopped ends as one that wasn't."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).parents[2]
START = ROOT / "stages/models/mini.safetensors"
STEPS = 3


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    """The scripts by name, imported as when one of them is started."""
    import importlib

    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(ROOT / "scripts")
    yield {name: importlib.import_module(name) for name in ("train_separator", "separator_mixes", "separator_music")}


@pytest.fixture
def bank(scripts: dict[str, ModuleType]) -> Any:
    """Four real readings and synthesised music, with no other program: what `build` makes needs several."""
    music, mixes = scripts["separator_music"], scripts["separator_mixes"]

    def whole(sound: np.ndarray) -> np.ndarray:
        return (32767 * sound).astype(np.int16)

    voices = {path.stem: soundfile.read(path, dtype="int16")[0] for path in (ROOT / "tests/speech").glob("*.wav")}
    pieces = {str(seed): whole(music.synthesise(seed, 6)) for seed in range(2)}
    return mixes.Bank(dict(sorted(voices.items())), pieces, {"hiss": whole(music.noise(0, 6))})


@pytest.fixture
def quick(scripts: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The trainer with two short examples a step."""
    import torch

    torch.set_num_threads(1)
    monkeypatch.setattr(scripts["train_separator"], "BATCH", 2)
    monkeypatch.setattr(scripts["separator_mixes"], "EXAMPLE_S", 1.0)
    return scripts["train_separator"]


def test_an_example_follows_from_its_seed_and_number(scripts: dict[str, ModuleType], bank: Any) -> None:
    """The same twice, bit by bit, whatever was drawn in between; another number or seed is another example."""
    example = scripts["separator_mixes"].example
    first = [example(bank, 1, number) for number in range(20)]
    again = [example(bank, 1, number) for number in reversed(range(20))][::-1]
    assert all(np.array_equal(a, b) for pair in zip(first, again, strict=True) for a, b in zip(*pair, strict=True))
    assert not np.array_equal(first[0][1], first[1][1])
    assert not np.array_equal(first[0][1], example(bank, 2, 0)[1])


def test_examples_are_sound(scripts: dict[str, ModuleType], bank: Any) -> None:
    """Each is three finite seconds below full scale; some have no voice, and some are all voice."""
    pairs = [scripts["separator_mixes"].example(bank, 3, number) for number in range(100)]
    for voice, rest in pairs:
        assert voice.shape == rest.shape == (48_000,)
        assert np.isfinite(voice).all()
        assert np.isfinite(rest).all()
        assert np.abs(voice + rest).max() <= 1 + 1e-6
    silent = sum(not voice.any() for voice, _ in pairs)
    assert 0 < silent < 20


def test_random_pieces_are_midi_files_that_follow_from_their_seed(scripts: dict[str, ModuleType]) -> None:
    """Header, one track of the length that it says, its end; the same bytes for the same seed."""
    compose = scripts["separator_music"].compose
    piece = compose(5, 20)
    assert piece[:14] == b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x01\xe0"
    assert piece[14:18] == b"MTrk"
    assert int.from_bytes(piece[18:22], "big") == len(piece) - 22
    assert piece.endswith(b"\xff\x2f\x00")
    assert piece == compose(5, 20) != compose(6, 20)


def test_a_stopped_run_ends_with_the_same_weights(quick: ModuleType, bank: Any, tmp_path: Path) -> None:
    """One run in one go, one from a checkpoint in the middle: equal model files, which demucs loads."""
    from demucs.hf import load_safetensors_model

    whole = quick.Training.fresh(START, seed=1)
    quick.train(whole, bank, STEPS, tmp_path)
    whole.publish(tmp_path / "whole.safetensors", like=START)

    stopped = quick.Training.fresh(START, seed=1)
    stopped.advance(bank, STEPS)
    stopped.save(tmp_path / "middle.pt")
    resumed = quick.Training.fresh(START, seed=1)
    resumed.resume(tmp_path / "middle.pt")
    assert resumed.step == 1
    quick.train(resumed, bank, STEPS, tmp_path)
    resumed.publish(tmp_path / "resumed.safetensors", like=START)

    assert (tmp_path / "whole.safetensors").read_bytes() == (tmp_path / "resumed.safetensors").read_bytes()
    assert (tmp_path / "whole.safetensors").read_bytes() != START.read_bytes()
    assert load_safetensors_model(tmp_path / "whole.safetensors").sources == ["no_vocals", "vocals"]


def test_a_checkpoint_cut_short_is_refused(quick: ModuleType, tmp_path: Path) -> None:
    """Not taken for a fresh start, and not half loaded: the error names the file and what to type."""
    training = quick.Training.fresh(START, seed=1)
    path = tmp_path / "checkpoint.pt"
    training.save(path)
    path.write_bytes(path.read_bytes()[:-1000])
    before = {name: value.clone() for name, value in training.model.state_dict().items()}
    with pytest.raises(SystemExit, match=r"no whole checkpoint.*\n.*rm "):
        training.resume(path)
    assert all(value.equal(before[name]) for name, value in training.model.state_dict().items())


def test_a_checkpoint_of_another_run_is_refused(quick: ModuleType, tmp_path: Path) -> None:
    """Other examples would follow than the log says."""
    quick.Training.fresh(START, seed=1).save(tmp_path / "checkpoint.pt")
    other = dataclasses.replace(quick.Training.fresh(START, seed=1), seed=2)
    with pytest.raises(SystemExit, match="is of --seed 1, not 2"):
        other.resume(tmp_path / "checkpoint.pt")


def test_the_learning_rate_rises_stays_and_falls_to_nothing(scripts: dict[str, ModuleType]) -> None:
    """Changing how many steps there are, before the fall begins, changes nothing that was done."""
    trainer = scripts["train_separator"]
    rates = [trainer.learning_rate(step, 1000) for step in range(1001)]
    assert rates[0] == pytest.approx(trainer.PEAK_RATE / trainer.WARM_UP_STEPS)
    assert rates[200] == rates[650] == trainer.PEAK_RATE
    assert rates[1000] == 0
    assert rates[:700] == [trainer.learning_rate(step, 2000) for step in range(700)]
