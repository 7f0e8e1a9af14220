"""One recording on a GPU: real-time factors beside faster-whisper batched and demucs by hand, on the same card.

    python benchmarks/gpu.py [--minutes 60] [--separated-minutes 20] [--ways NAME,NAME] [--device cuda] [--no-docs]
    python benchmarks/gpu.py --recording speech.flac      # where no voice is installed; speech.txt has its words
    python benchmarks/gpu.py --device cpu --minutes 1     # to try it

Each way runs in a process of its own, all in one go; `gpu_by_hand.py` says what by hand means. What is heard is ten
minutes of a voice, again and again, over a little noise that never repeats: no piece equals another, so none is kept
from an earlier one. Transcription hears 16 kHz mono. Separation hears 44.1 kHz stereo, with the built-in model `mini`
and with one of htdemucs' size, whose weights are random: how long it takes doesn't depend on them.

`wall s` is the whole process. `load s` is the libraries and the model, `work s` is from the WAV to the last file; of
mediabuild, the seconds that its stages took, with loading in them. RTFx is the recording's seconds over those of load
and work. A run that isn't measured comes first, so that what a driver compiles only once isn't counted.

Not here: what is heard, and the model (`gpu_material.py`); many recordings on the CPU (`machine.py`).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gpu_material import MUSIC_HZ, Sound, random_htdemucs, repeated
from page import write_page
from scoring import word_errors
from workers import ROOT, make_recordings

DOCS = ROOT / "docs/BENCHMARKS_GPU.md"
MINI = ROOT / "stages/models/mini.safetensors"
LONGEST_S = 600  # of what is read aloud; the rest is that again
WARM_S = 20
SPEECH_HZ = 16_000
TRANSCRIPTION = """
[pipeline]
sources = ["media/*.wav"]
[stages.detect_speech]
inputs = { audio = "source" }
[stages.transcribe]
inputs = { audio = "source", speech = "detect_speech.segments" }
params = { language = "en" }
"""
SEPARATION = """
[pipeline]
sources = ["media/*.wav"]
[stages.separate]
inputs = { audio = "source" }
"""
# way → what mediabuild is told, or how many windows faster-whisper hears at once
TRANSCRIBERS: dict[str, list[str] | int] = {
    "mediabuild": [],
    "faster-whisper batch 8": 8,
    "faster-whisper batch 16": 16,
    "mediabuild -n 1": ["-n", "1"],
    "faster-whisper": 0,
}
SEPARATORS = ("mediabuild htdemucs", "demucs htdemucs", "mediabuild mini", "demucs mini")
WAYS = (*TRANSCRIBERS, *SEPARATORS)
SAME = ("mediabuild", "mediabuild -n 1")  # ways that are to write the same bytes
RATIOS = (
    ("mediabuild", "faster-whisper batch 8"),
    ("mediabuild", "faster-whisper batch 16"),
    ("mediabuild", "faster-whisper"),
    ("mediabuild", "mediabuild -n 1"),
    ("mediabuild htdemucs", "demucs htdemucs"),
    ("mediabuild mini", "demucs mini"),
)


class Failed(Exception):
    """A way came to no end; what it said."""


@dataclass(frozen=True)
class Measured:
    """One way once, in seconds; `load_s` is None where it is part of `work_s`, `wrong_words` where none are heard.

    Of mediabuild also how long each stage took, and the transcript that it wrote.
    """

    wall_s: float
    load_s: float | None
    work_s: float
    length_s: float
    wrong_words: int | None = None
    stages: str = ""
    transcript: bytes = b""

    @property
    def busy_s(self) -> float:
        """Loading and work."""
        return (self.load_s or 0.0) + self.work_s


def started(command: list[str], folder: Path) -> tuple[float, str]:
    """Run a command; wall seconds, and what it printed. Raises Failed."""
    began = time.monotonic()
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    wall_s = time.monotonic() - began
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return wall_s, done.stdout


def by_hand(kind: str, sound: Sound, folder: Path, device: str, setting: str) -> Measured:
    """faster-whisper or demucs in a script; `setting` is the batch or the model's file."""
    out = folder / ("transcript.json" if kind == "whisper" else "separated")
    script = str(ROOT / "benchmarks/gpu_by_hand.py")
    command = [sys.executable, script, kind, str(sound.path), str(out), device, setting]
    wall_s, printed = started(command, folder)
    took = json.loads(printed.splitlines()[-1])
    wrong = wrong_words(sound, out) if kind == "whisper" else None
    return Measured(wall_s, took["load_s"], took["work_s"], sound.length_s, wrong)


def run_mediabuild(pipeline: str, sound: Sound, folder: Path, device: str, arguments: list[str]) -> Measured:
    """A run over the recording, from nothing."""
    (folder / "media").mkdir()
    (folder / "pipeline.toml").write_text(pipeline)
    os.link(sound.path, folder / "media" / sound.path.name)
    events = folder / "events.jsonl"
    command = [sys.executable, "-m", "mediabuild.commands.main", f"--events={events}", f"--device={device}", *arguments]
    wall_s, _ = started(command, folder)
    found = [json.loads(line) for line in events.read_text().splitlines()]
    devices = {event["task"].split(":")[0]: event["device"] for event in found if event["event"] == "stage_running"}
    devices.pop("detect_speech", None)  # it has no use for a GPU
    if {name.partition(":")[0] for name in devices.values()} != {device.partition(":")[0]}:
        raise Failed(f"mediabuild ran on {devices}, not on {device}")
    done = {event["task"].split(":")[0]: event["seconds"] for event in found if event["event"] == "stage_completed"}
    stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in done.items())
    transcript = folder / "jobs" / sound.path.stem / "transcribe/transcript.json"
    wrong, wrote = (wrong_words(sound, transcript), transcript.read_bytes()) if transcript.exists() else (None, b"")
    return Measured(wall_s, None, sum(done.values()), sound.length_s, wrong, stages, wrote)


def wrong_words(sound: Sound, transcript: Path) -> int:
    """How many words are wrong in what was written, whichever way."""
    written = json.loads(transcript.read_text())
    segments = written["segments"] if isinstance(written, dict) else written
    return word_errors(sound.text, " ".join(segment["text"] for segment in segments))[0]


def run(way: str, sounds: dict[str, Sound], folder: Path, device: str) -> Measured:
    """One way once, in an empty folder."""
    if way in TRANSCRIBERS:
        how = TRANSCRIBERS[way]
        if isinstance(how, list):
            return run_mediabuild(TRANSCRIPTION, sounds["speech"], folder, device, how)
        return by_hand("whisper", sounds["speech"], folder, device, str(how))
    program, _, name = way.partition(" ")
    model = MINI if name == "mini" else sounds["music"].path.with_name("htdemucs.safetensors")
    if program == "demucs":
        return by_hand("demucs", sounds["music"], folder, device, str(model))
    return run_mediabuild(SEPARATION, sounds["music"], folder, device, [f"separate.model={model}"])


def warm_up(recording: Path, folder: Path, device: str) -> None:
    """Let libraries and the driver do what they do only once."""
    import soundfile

    heard, rate_hz = soundfile.read(recording, dtype="float32")
    short = folder / "short.wav"
    soundfile.write(short, heard[: WARM_S * rate_hz], rate_hz)
    for kind, setting in (("whisper", "0"), ("whisper", "8"), ("demucs", str(MINI))):
        with contextlib.suppress(Failed):  # it will say so when it is measured
            by_hand(kind, Sound(short, WARM_S, ""), folder, device, setting)


def measure(
    ways: list[str], given: Path | None, minutes: tuple[float, float], device: str
) -> Iterator[tuple[str, Measured]]:
    """All ways, one after the other. One that fails is left out, and says so.

    Args:
        given: a recording, its words beside it; None where one is to be made.
        minutes: how long the transcribed and the separated recording are, about.
    """
    with tempfile.TemporaryDirectory(prefix="gpu.") as temporary:
        place = Path(temporary)
        recording = given or make_recordings(place / "recordings", 1, min(LONGEST_S, round(minutes[0] * 60)))[0]
        sounds = {
            "speech": repeated(recording, place / "speech.wav", minutes[0], SPEECH_HZ, 1),
            "music": repeated(recording, place / "music.wav", minutes[1], MUSIC_HZ, 2),
        }
        random_htdemucs(place / "htdemucs.safetensors")
        if device != "cpu":
            warm_up(sounds["speech"].path, place, device)
        for way in ways:
            work = place / "work"
            work.mkdir()
            try:
                yield way, run(way, sounds, work, device)
            except Failed as error:
                print(f"{way}: {error}", file=sys.stderr, flush=True)
            shutil.rmtree(work)


HEAD = [
    "| way | minutes | wall s | load s | work s | RTFx | wrong words |",
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
]


def row(way: str, m: Measured) -> str:
    """A line of the table."""
    load = "in work" if m.load_s is None else f"{m.load_s:.1f}"
    wrong = "–" if m.wrong_words is None else str(m.wrong_words)
    times = m.length_s / m.busy_s
    return f"| {way} | {m.length_s / 60:.0f} | {m.wall_s:.1f} | {load} | {m.work_s:.1f} | {times:.3g} | {wrong} |"


def results(found: dict[str, Measured]) -> list[str]:
    """How many times as long one way takes as another, how long stages took, and whether the same was written."""
    lines = [f"- {way}: {measured.stages}" for way, measured in found.items() if measured.stages]
    if set(SAME) <= set(found):
        same = len({found[way].transcript for way in SAME}) == 1
        lines.append(f"- {' and '.join(SAME)} wrote the same transcript, byte for byte: {'yes' if same else 'no'}")
    return lines + [
        f"- {way} / {other}: {found[way].busy_s / found[other].busy_s:.2f} by load and work, "
        f"{found[way].wall_s / found[other].wall_s:.2f} by wall seconds"
        for way, other in RATIOS
        if {way, other} <= set(found)
    ]


def machine(device: str) -> str:
    """The card, the cores and the versions that count."""
    import torch

    card = torch.cuda.get_device_name(device) if device.startswith("cuda") else "no GPU"
    names = ("torch", "ctranslate2", "faster-whisper", "demucs")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    return f"{card}, {os.cpu_count()} cores; {versions}."


def write_docs(lines: list[str]) -> None:
    """The page in docs/: what was measured, and how."""
    paragraphs = [part for part in (__doc__ or "").split("\n\n") if not part.startswith(("    python", "Not here"))]
    told = "\n\n".join(" ".join(part.split()) for part in paragraphs)
    write_page(DOCS, f"# On a GPU\n\n{told}\n\nWritten by `benchmarks/gpu.py`.\n\n" + "\n".join(lines) + "\n")


def main() -> int:
    """Measure, print, write; exit status 1 if a way failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60, help="how long the transcribed recording is, about")
    parser.add_argument("--separated-minutes", type=float, default=20, help="the same of the separated one")
    parser.add_argument("--recording", type=Path, help="what is heard, its words in a .txt beside it; else it is made")
    parser.add_argument("--ways", default=",".join(WAYS), help="which of the ways, with commas between")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1 or cpu")
    parser.add_argument("--no-docs", action="store_true", help="only print")
    options = parser.parse_args()
    ways = options.ways.split(",")
    if not set(ways) <= set(WAYS):
        parser.error(f"--ways: of {', '.join(WAYS)}")
    minutes = (options.minutes, min(options.minutes, options.separated_minutes))
    about, found = machine(options.device), dict[str, Measured]()
    print("\n".join([about, "", *HEAD]), flush=True)
    for way, measured in measure(ways, options.recording, minutes, options.device):
        found[way] = measured
        print(row(way, measured), flush=True)
        if not options.no_docs:  # after each way: what was measured stays if the next one takes too long
            write_docs([about, "", *HEAD, *(row(name, m) for name, m in found.items()), "", *results(found)])
    print("\n".join(["", *results(found)]))
    return 0 if set(found) == set(ways) else 1


if __name__ == "__main__":
    raise SystemExit(main())
