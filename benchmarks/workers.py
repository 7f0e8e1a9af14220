"""What keeping workers costs and saves: ten recordings through demux, separate, detect_speech and transcribe.

    python benchmarks/workers.py [--lengths 10 60] [--rounds 2] [--count 10] [--no-docs]

Four ways, one after the other in each round, in an order that rotates; one thread each:

    mediabuild     one run over all recordings
    own work       the same stage functions called directly: one process per worker, no mediabuild around;
                   this is "one start of each worker + the stages' own work"
    one by one     a mediabuild run for each recording: everything is loaded again each time
    by hand        benchmarks/by_hand.py: a script that loads both models once and writes the same files

It prints a table of wall and CPU seconds (the process and its children; the least of all rounds), the
two ratios and how often each model was loaded, and writes docs/BENCHMARKS_WORKERS.md. Exit status 1
if mediabuild takes more than 1.15 × own work or 1.1 × by hand, or if a worker loads a model twice.
Where other programs keep the machine busy (a load average above the number of cores), wall seconds
say more about them, and the bounds are held against CPU seconds.

The recordings are the texts of benchmarks/texts, read by a voice of hibari-tts, over soft chords.
"""

from __future__ import annotations

import argparse
import collections
import functools
import itertools
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from page import write_page

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs/BENCHMARKS_WORKERS.md"
RATE_HZ = 44_100
CHORD_LEVEL = 0.02
VOICE, PAUSE_S = "hibari", 0.6
WAYS = ("mediabuild", "own work", "one by one", "by hand")
MOST_OF_OWN_WORK = 1.15
MOST_OF_BY_HAND = 1.1
# Which stages share a worker: the light one, and the heavy one of a device.
WORKERS = {"light": ("demux", "detect_speech"), "heavy": ("separate", "transcribe")}
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
PIPELINE = """
[pipeline]
sources = ["media/*.wav"]
[stages.demux]
inputs = { media = "source" }
[stages.separate]
inputs = { audio = "demux.audio", probe = "demux.probe" }
[stages.detect_speech]
inputs = { audio = "demux.audio", probe = "demux.probe" }
[stages.transcribe]
inputs = { audio = "demux.audio", speech = "detect_speech.segments", probe = "demux.probe" }
"""


@dataclass
class Measured:
    """Seconds of one way over one set of recordings, and the models that were loaded: (worker, model) → times."""

    wall_s: float
    cpu_s: float
    loads: collections.Counter[tuple[int, str]] = field(default_factory=collections.Counter)


def make_recordings(folder: Path, count: int, length_s: int) -> list[Path]:
    """`count` different recordings of `length_s`: texts that are read, each from another place on, over chords.

    They hold whole sentences, none twice within some twenty minutes: Whisper takes what is said again and again for
    its own stammering. Beside each lies what is said in it, NAME.txt.
    """
    import numpy as np
    import soundfile
    import soxr
    from recordings import RATE_HZ as SPOKEN_HZ
    from recordings import say, sentences

    read = functools.cache(lambda sentence: soxr.resample(say(VOICE, sentence), SPOKEN_HZ, RATE_HZ))
    texts = sentences()
    time_s = np.arange(length_s * RATE_HZ) / RATE_HZ
    folder.mkdir(parents=True)
    files = []
    for number in range(count):
        first = number * len(texts) // count
        voice, at, said = np.zeros(len(time_s), np.float32), 0, []
        for sentence in itertools.islice(itertools.cycle(texts), first, None):
            sound = read(sentence)
            if at + len(sound) > len(voice):
                break
            voice[at : at + len(sound)] = sound
            at += len(sound) + round(PAUSE_S * RATE_HZ)
            said.append(sentence)
        chord = sum(np.sin(2 * np.pi * 110 * 2 ** ((note + number) / 12) * time_s) for note in (0, 4, 7, 12))
        files.append(folder / f"recording{number:02}.wav")
        soundfile.write(files[-1], voice + CHORD_LEVEL * chord, RATE_HZ, subtype="PCM_16")
        files[-1].with_suffix(".txt").write_text(" ".join(said))
    return files


def timed(command: list[str], folder: Path) -> tuple[float, float]:
    """Run a command with one thread; wall seconds, and CPU seconds with all that it started."""
    env = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(ROOT)}
    before, started = os.times(), time.monotonic()
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    wall_s, after = time.monotonic() - started, os.times()
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return wall_s, cpu_s


def mediabuild(recordings: list[Path], folder: Path) -> Measured:
    """One run."""
    return run_pipeline(recordings, folder, ["-n", "1"])


def one_by_one(recordings: list[Path], folder: Path) -> Measured:
    """A run for each recording."""
    total = Measured(0.0, 0.0)
    for file in recordings:
        one = run_pipeline(recordings, folder, ["-n", "1", f"--job={file.stem}"])
        total = Measured(total.wall_s + one.wall_s, total.cpu_s + one.cpu_s, total.loads + one.loads)
    return total


def run_pipeline(
    recordings: list[Path],
    folder: Path,
    arguments: list[str],
    pipeline: str = PIPELINE,
    program: tuple[str, ...] = ("-m", "mediabuild.commands.main"),
) -> Measured:
    """A run with these arguments, on the CPU; `program` is what Python is started with."""
    if not (folder / "media").exists():
        (folder / "media").mkdir()
        (folder / "pipeline.toml").write_text(pipeline)
        for file in recordings:
            os.link(file, folder / "media" / file.name)
    events = folder / "events.jsonl"
    command = [sys.executable, *program, f"--events={events}", "--device=cpu", *arguments]
    wall_s, cpu_s = timed(command, folder)
    found = [json.loads(line) for line in events.read_text().splitlines()]
    loads = collections.Counter((e["worker"], e["model"]) for e in found if e["event"] == "model_loading")
    return Measured(wall_s, cpu_s, loads)


def own_work(recordings: list[Path], folder: Path) -> Measured:
    """A bare process for each worker, one after the other."""
    # detect_speech needs demux, separate needs demux, transcribe needs detect_speech: light first, then heavy
    runs = [
        timed([sys.executable, __file__, "--bare", worker, str(folder), *map(str, recordings)], folder)
        for worker in WORKERS
    ]
    return Measured(sum(wall for wall, _ in runs), sum(cpu for _, cpu in runs))


def by_hand(recordings: list[Path], folder: Path) -> Measured:
    """The script."""
    script = str(ROOT / "benchmarks/by_hand.py")
    return Measured(*timed([sys.executable, script, str(folder / "out"), *map(str, recordings)], folder))


def run_bare(worker: str, folder: Path, recordings: list[Path]) -> None:
    """Call a worker's stages on all recordings, as a worker would, with nothing recorded or published."""
    import msgspec

    from mediabuild.machine.interpreter import site_packages
    from mediabuild.pipeline.code_of_stages.loading import load_stage
    from mediabuild.stage import Context, Lookup

    sources = {
        "demux": {"media": "source"},
        "separate": {"audio": "demux/audio.wav", "probe": "demux/probe.json"},
        "detect_speech": {"audio": "demux/audio.wav", "probe": "demux/probe.json"},
        "transcribe": {
            "audio": "demux/audio.wav",
            "speech": "detect_speech/segments.json",
            "probe": "demux/probe.json",
        },
    }
    for name in WORKERS[worker]:
        declared = load_stage(ROOT / f"stages/{name}.py")
        params: Any = msgspec.convert({}, declared.params)
        lookup = Lookup(ROOT / "stages", folder, site_packages(None))
        cache: dict[str, Any] = {}
        for file in recordings:
            out = folder / file.stem / name
            out.mkdir(parents=True)
            given = {k: file if v == "source" else folder / file.stem / v for k, v in sources[name].items()}
            models = declared.models(params, lookup) if declared.models else {}
            context = Context(
                stage=name,
                job=file.stem,
                out=out,
                sources={key: {"": path} for key, path in given.items()},
                outputs=declared.outputs,
                project_dir=folder,
                stage_dir=ROOT / "stages",
                models=models,
                cache=cache,
            )
            assert declared.run is not None
            declared.run(context, params)


def measure(length_s: int, count: int, rounds: int) -> dict[str, Measured]:
    """The best of all rounds for each way: what disturbs a run only ever makes it longer."""
    ways = {"mediabuild": mediabuild, "own work": own_work, "one by one": one_by_one, "by hand": by_hand}
    best: dict[str, Measured] = {}
    with tempfile.TemporaryDirectory(prefix="workers.") as folder:
        recordings = make_recordings(Path(folder, "recordings"), count, length_s)
        for number in range(rounds):
            for way in [*WAYS[number % len(WAYS) :], *WAYS[: number % len(WAYS)]]:
                place = Path(folder, "work")
                place.mkdir()
                found = ways[way](recordings, place)
                shutil.rmtree(place)
                print(f"  {length_s} s, round {number + 1}, {way}: {found.wall_s:.1f} s", file=sys.stderr, flush=True)
                known = best.get(way, found)
                best[way] = Measured(min(known.wall_s, found.wall_s), min(known.cpu_s, found.cpu_s), found.loads)
    return best


def table(results: dict[int, dict[str, Measured]], count: int, *, busy: bool) -> tuple[list[str], bool]:
    """The table in Markdown, and whether the bounds hold: in wall seconds, on a busy machine in CPU seconds."""
    rows = ["| recordings | way | wall s | CPU s | models loaded |", "| --- | --- | --- | --- | --- |"]
    notes, holds = [], True
    for length_s, ways in results.items():
        for way in WAYS:
            m = ways[way]
            loads = str(sum(m.loads.values())) if m.loads else "–"
            rows.append(f"| {count} × {length_s} s | {way} | {m.wall_s:.1f} | {m.cpu_s:.1f} | {loads} |")
        ours = ways["mediabuild"]
        for other, most in (("own work", MOST_OF_OWN_WORK), ("by hand", MOST_OF_BY_HAND)):
            wall, cpu = ours.wall_s / ways[other].wall_s, ours.cpu_s / ways[other].cpu_s
            fits = (cpu if busy else wall) <= most
            holds &= fits
            notes.append(
                f"- {count} × {length_s} s: mediabuild / {other} = {wall:.2f} by wall, {cpu:.2f} by CPU seconds; "
                f"at most {most}, {'CPU' if busy else 'wall'}: {'holds' if fits else 'MISSED'}"
            )
        twice = [model for (_, model), times in ours.loads.items() if times > 1]
        holds &= not twice and bool(ours.loads)
        shown = ", ".join(f"{model.split()[0]} by worker {index}" for index, model in enumerate_workers(ours.loads))
        notes.append(
            f"- {count} × {length_s} s: loaded in the one run, from its events: {shown}; none twice: {not twice}"
        )
    return [*rows, "", *notes], holds


def enumerate_workers(loads: collections.Counter[tuple[int, str]]) -> list[tuple[int, str]]:
    """Workers by number instead of by process id, which says nothing to a reader."""
    numbers = {worker: index for index, worker in enumerate(dict.fromkeys(worker for worker, _ in loads), start=1)}
    return [(numbers[worker], model) for worker, model in loads]


def write_docs(lines: list[str], rounds: int, load: float) -> None:
    """The page in docs/: what was measured, where, and how busy the machine was with other things."""
    machine = f"Measured on {os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}"
    busy = f"with a load average of {load:.1f} over the last quarter of an hour"
    intro = (__doc__ or "").partition("\n\n    python")[0]
    write_page(
        DOCS,
        f"# Workers: what they cost and save\n\n{intro}\n\n"
        f"Written by `benchmarks/workers.py`, which explains the four ways. {machine}, {busy}; "
        f"the least of {rounds} {'round' if rounds == 1 else 'rounds, taken in turns'}.\n\n" + "\n".join(lines) + "\n",
    )


def main() -> int:
    """Measure, print, write."""
    if sys.argv[1:2] == ["--bare"]:
        run_bare(sys.argv[2], Path(sys.argv[3]), [Path(name) for name in sys.argv[4:]])
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[10, 60], help="seconds of each recording")
    parser.add_argument("--count", type=int, default=10, help="recordings")
    parser.add_argument("--rounds", type=int, default=2, help="how often everything is measured")
    parser.add_argument("--no-docs", action="store_true", help="only print")
    options = parser.parse_args()
    results = {length_s: measure(length_s, options.count, options.rounds) for length_s in options.lengths}
    load = os.getloadavg()[2]
    lines, holds = table(results, options.count, busy=load > (os.cpu_count() or 1))
    print("\n".join(lines))
    if not options.no_docs:
        write_docs(lines, options.rounds, load)
    return 0 if holds else 1


if __name__ == "__main__":
    raise SystemExit(main())
