"""Stages on real sound, one at a time: the stage's file is loaded and run as a worker would run it."""

from __future__ import annotations

import functools
import importlib.util
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from mediabuild.lanes import Lanes
from mediabuild.media import formats
from mediabuild.media.formats import Transcript
from mediabuild.pipeline.code_of_stages.loading import load_stage
from mediabuild.stage import Context, Lookup
from mediabuild.units import Units
from tests.stages.glossaries import TERMS

ROOT = Path(__file__).parents[2]
Files = Path | dict[str, Path]


@pytest.fixture
def run_stage(tmp_path: Path) -> Callable[..., Context]:
    """``run_stage("demux", {"media": path}, clip_end_s=5.0)`` → the context; outputs are in `.out`.

    With `units`, a file, what an earlier run kept there is used, and `.kept` counts. `lanes` make units at once.
    """
    runs = iter(range(1000))

    def run(
        name: str,
        inputs: dict[str, Files],
        *,
        job: str = "sample",
        device: str = "cpu",
        units: Path | None = None,
        lanes: int = 1,
        **params: Any,
    ) -> Context:
        declared = load_stage(ROOT / "stages" / f"{name}.py")
        values = msgspec.convert(params, declared.params)
        out = tmp_path / f"{name}.{next(runs)}"
        out.mkdir()
        lookup = Lookup(ROOT / "stages", ROOT, (Path(sysconfig.get_paths()["purelib"]),))
        messages: list[tuple[str, dict[str, Any]]] = []
        context = Context(
            stage=name,
            job=job,
            out=out,
            sources={k: v if isinstance(v, dict) else {v.name: v} for k, v in inputs.items()},
            outputs=declared.outputs,
            device=device,
            project_dir=ROOT,
            stage_dir=ROOT / "stages",
            models=declared.models(values, lookup) if declared.models else {},
            lanes=Lanes(own=lanes),
            kept=Units(units, "the stage as it is"),
            report=lambda kind, fields: messages.append((kind, fields)),
        )
        context.messages = messages  # type: ignore[attr-defined]
        assert declared.run is not None
        declared.run(context, values)
        context.kept.close()
        return context

    return run


@pytest.fixture
def corrected(run_stage: Any, tmp_path: Path) -> Any:
    """``corrected(transcript, terms, **params)`` → the folder of outputs."""

    def run(transcript: Transcript, terms: str | bytes | None = TERMS, **params: Any) -> Path:
        formats.write(tmp_path / "transcript.json", transcript)
        inputs: dict[str, Any] = {"transcript": tmp_path / "transcript.json", "terms": {}}
        if terms is not None:
            (tmp_path / "names.csv").write_bytes(terms if isinstance(terms, bytes) else terms.encode())
            inputs["terms"] = {"glossary/names.csv": tmp_path / "names.csv"}
        out: Path = run_stage("glossary", inputs, **params).out
        return out

    return run


@pytest.fixture(scope="session")
def librivox() -> Path:
    """The folder with three short LibriVox readings (16 kHz), their words and their speech labels."""
    return Path(__file__).parents[1] / "speech"


@pytest.fixture(scope="session")
def stage_module() -> Callable[[str], ModuleType]:
    """``stage_module("transcribe").pack``: a stage's pure functions, for tests of their own."""

    @functools.cache
    def load(name: str) -> ModuleType:
        run = load_stage(ROOT / "stages" / f"{name}.py").run
        assert run is not None
        return sys.modules[run.__module__]

    return load


@dataclass(frozen=True)
class Reading:
    """A synthetic voice that reads known sentences: 16 kHz, mono, with a faint hiss.

    Args:
        path: the WAV, 37 s.
        sentences: `(start_s, end_s, text)` of each; the voice begins and ends within 0.35 s of them.
    """

    path: Path
    sentences: tuple[tuple[float, float, str], ...]


@pytest.fixture(scope="session")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Reading:
    """A synthetic voice that reads six sentences with pauses of 0.3 to 3.5 s between them."""
    import numpy as np
    import soundfile
    import soxr
    from hibari import SAMPLE_RATE, Hibari

    voice = Hibari()
    script = (
        (0.5, "The little harbour town woke slowly that morning."),
        (0.3, "Fishing boats drifted back with silver in their nets, and the gulls were loud above them."),
        (0.9, "Nobody remembered when the old lighthouse had last been painted."),
        (2.0, "A woman in a red coat counted the steps from the pier to the market, and then counted them again."),
        (0.6, "By noon the fog was gone, and every window on the hill was open to the sea."),
        (3.5, "He had promised to write a letter every week, but the paper stayed white and the ink dried."),
    )
    sounds, sentences, at = [], [], 0
    for pause_s, text in script:
        spoken = voice(text, seed=0)
        silence = np.zeros(round(pause_s * SAMPLE_RATE), np.float32)
        sounds += [silence, spoken]
        start = at + len(silence)
        at = start + len(spoken)
        sentences.append((start / SAMPLE_RATE, at / SAMPLE_RATE, text))
    sounds.append(np.zeros(SAMPLE_RATE // 2, np.float32))
    sound = soxr.resample(np.concatenate(sounds), SAMPLE_RATE, 16_000)
    hiss = np.random.default_rng(0).standard_normal(len(sound)) * 0.002
    path = tmp_path_factory.mktemp("reading") / "reading.wav"
    soundfile.write(path, sound + hiss, 16_000, subtype="PCM_16")
    return Reading(path, tuple(sentences))


@pytest.fixture(scope="session")
def telephone(reading: Reading, tmp_path_factory: pytest.TempPathFactory) -> Reading:
    """The first four of these sentences as a telephone lets them through: 300 to 3,400 Hz, without any hiss."""
    import numpy as np
    import soundfile
    import soxr
    from hibari import SAMPLE_RATE, Hibari

    voice = Hibari()
    sounds, sentences, at_s = [np.zeros(8_000, np.float32)], [], 0.5
    for _, _, text in reading.sentences[:4]:
        sounds += [soxr.resample(voice(text, speed=0.85, seed=0), SAMPLE_RATE, 16_000), np.zeros(24_000, np.float32)]
        sentences.append((at_s, at_s + len(sounds[-2]) / 16_000, text))
        at_s += (len(sounds[-2]) + len(sounds[-1])) / 16_000
    sound = np.concatenate(sounds)
    spectrum, hz = np.fft.rfft(sound), np.fft.rfftfreq(len(sound), 1 / 16_000)
    spectrum[(hz < 300) | (hz > 3400)] = 0
    path = tmp_path_factory.mktemp("telephone") / "telephone.wav"
    soundfile.write(path, np.fft.irfft(spectrum, len(sound)), 16_000, subtype="PCM_16")
    return Reading(path, tuple(sentences))


@pytest.fixture(scope="session")
def rec() -> ModuleType:
    """The functions of `recordings.py`, which make recordings and look into them."""
    path = Path(__file__).with_name("recordings.py")
    spec = importlib.util.spec_from_file_location("recordings", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
