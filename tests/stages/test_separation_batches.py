"""Segments separated in batches are those of demucs alone, for a single model and for a bag of models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from demucs.apply import BagOfModels, apply_model

from mediabuild.media.separation.batches import Batches
from mediabuild.media.separation.demucs_models import load

MINI = Path(__file__).parents[2] / "stages/models/mini.safetensors"
SETTINGS: dict[str, Any] = {"shifts": 0, "overlap": 0.25}


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize("bag", [False, True])
def test_as_demucs_alone(size: int, bag: bool) -> None:
    """Two sounds of some segments and a rest; a batch may round otherwise, one segment at a time may not."""
    torch.manual_seed(0)
    model = load("mini", MINI)
    segment_s = model.segment
    if bag:
        model = BagOfModels([model, load("mini", MINI)], weights=[[1.0, 0.0], [0.5, 1.0]])
    sounds = torch.randn(2, model.audio_channels, int(4.4 * segment_s * model.samplerate)) / 10
    alone = apply_model(model, sounds, **SETTINGS)
    found = apply_model(model, sounds, pool=Batches(size), **SETTINGS)
    assert torch.equal(found, alone) if size == 1 else torch.allclose(found, alone, atol=1e-5)
    assert alone.abs().max() > 0.01


def test_a_batch_has_so_many_segments_and_no_more() -> None:
    """The model is called with three segments at most, and the rest, which is shorter, alone."""
    model = load("mini", MINI)
    calls: list[int] = []
    handle = model.register_forward_pre_hook(lambda _, given: calls.append(len(given[0])))
    samples = int(model.segment * model.samplerate)
    stride = int(0.75 * samples)
    apply_model(model, torch.randn(1, model.audio_channels, 4 * stride + samples - 5), pool=Batches(3), **SETTINGS)
    handle.remove()
    assert calls == [3, 1, 1, 1]
