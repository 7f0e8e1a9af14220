"""How much of the machine a run uses: recordings through demux, separate, detect_speech and transcribe.

    python benchmarks/machine.py [--count 3] [--length 120] [--rounds 3] [--ways NAME,NAME] [--busy 0] [--no-docs]
    python benchmarks/machine.py --count 1 --length 600 --ways "default,one at a time,by hand"

Six ways in turn, in an order that rotates each round, on all cores; `--busy` processes count meanwhile:

    default         mediabuild, as many tasks at once as there are cores, and the units of one where cores are left
    without lanes   the same, but each task makes one unit after the other
    one at a time   mediabuild -n 1
    by hand         benchmarks/by_hand.py: both models loaded once, one recording after the other
    no separation   mediabuild by default, without the separate stage
    WhisperX-like   benchmarks/whisperx_like.py: batches, word times, no separation

It prints the medians of wall and CPU seconds, of the peak memory of the processes together and of the wrong words, and
the ratios that count; and it compares the outputs of mediabuild's ways, byte for byte. Writes a section of
docs/BENCHMARKS_MACHINE.md.

Not here: what workers save (`workers.py`), from which the recordings come.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from page import write_page
from scoring import word_errors
from workers import PIPELINE, ROOT, make_recordings, run_pipeline, timed

DOCS = ROOT / "docs/BENCHMARKS_MACHINE.md"
SAMPLE_S = 0.2
WITHOUT = "".join(
    f"[stages.{part}"
    for part in PIPELINE.split("[stages.")
    if part.startswith(("demux", "detect_speech", "transcribe"))
)
WAYS = ("default", "without lanes", "one at a time", "by hand", "no separation", "WhisperX-like")
RATIOS = (
    ("default", "by hand"),
    ("default", "one at a time"),
    ("default", "without lanes"),
    ("no separation", "WhisperX-like"),
)
WITHOUT_LANES = """
import sys
from mediabuild.execution import programs
programs.has_lanes = lambda *_: False
from mediabuild.commands.main import main
sys.exit(main())
"""
COUNTING = "while True: pass"


@dataclass(frozen=True)
class Measured:
    """One way once: seconds, the most memory that its processes had together, in megabytes, and wrong words."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    errors: float


class Memory:
    """Samples the memory of this process's descendants while a block runs (Linux)."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(SAMPLE_S):
            self.peak_bytes = max(self.peak_bytes, sum(map(_memory_bytes, _descendants(os.getpid()))))


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *_descendants(child)]
    return found


def _memory_bytes(pid: int) -> int:
    """What a process has in memory; of what several share, its part."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) * 1024
    return 0


def run(way: str, recordings: list[Path], folder: Path) -> Measured:
    """One way once, in an empty folder."""
    files = [str(recording) for recording in recordings]
    with Memory() as memory:
        if way in ("by hand", "WhisperX-like"):
            script = ROOT / "benchmarks" / ("by_hand.py" if way == "by hand" else "whisperx_like.py")
            wall_s, cpu_s = timed([sys.executable, str(script), str(folder / "out"), *files], folder)
        else:
            pipeline = '\n[pipeline]\nsources = ["media/*.wav"]\n' + WITHOUT if way == "no separation" else PIPELINE
            arguments = ["-n", "1"] if way == "one at a time" else []
            program = ("-c", WITHOUT_LANES) if way == "without lanes" else ("-m", "mediabuild.commands.main")
            found = run_pipeline(recordings, folder, arguments, pipeline, program)
            wall_s, cpu_s = found.wall_s, found.cpu_s
    return Measured(
        wall_s, cpu_s, memory.peak_bytes / 1e6, sum(errors_in(recording, folder) for recording in recordings)
    )


def errors_in(recording: Path, folder: Path) -> int:
    """How many words of a recording are wrong in what was written, whichever way."""
    name = recording.stem
    places = (f"jobs/{name}/transcribe/transcript.json", f"out/{name}/transcript.json", f"out/{name}.json")
    written = json.loads(next(folder / place for place in places if (folder / place).exists()).read_text())
    segments = written["segments"] if isinstance(written, dict) else written
    heard = " ".join(segment["text"] for segment in segments)
    return word_errors(recording.with_suffix(".txt").read_text(), heard)[0]


def outputs(folder: Path) -> dict[str, bytes]:
    """All outputs below a jobs directory, without manifests and what mediabuild keeps for itself."""
    files = (file for file in sorted((folder / "jobs").rglob("*")) if file.is_file())
    kept = (
        file for file in files if ".mediabuild" not in file.parts and file.name not in ("manifest.json", "job.toml")
    )
    return {str(file.relative_to(folder)): file.read_bytes() for file in kept}


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """Other processes that want a core each."""
    others = [subprocess.Popen([sys.executable, "-c", COUNTING]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def measure(ways: Sequence[str], count: int, length_s: int, rounds: int) -> tuple[dict[str, Measured], bool]:
    """The median of each way, and whether every way of mediabuild wrote the same bytes."""
    found: dict[str, list[Measured]] = {way: [] for way in ways}
    written: dict[str, dict[str, bytes]] = {}
    with tempfile.TemporaryDirectory(prefix="machine.") as temporary:
        recordings = make_recordings(Path(temporary, "recordings"), count, length_s)
        for number in range(rounds):
            for way in [*ways[number % len(ways) :], *ways[: number % len(ways)]]:
                place = Path(temporary, "work")
                place.mkdir()
                found[way].append(run(way, recordings, place))
                if way in ("default", "without lanes", "one at a time"):
                    written[way] = outputs(place)
                shutil.rmtree(place)
                took = found[way][-1]
                said = f"{took.wall_s:.1f} s, CPU {took.cpu_s:.1f} s, {took.peak_mb:.0f} MB"
                print(f"  round {number + 1}, {way}: {said}", file=sys.stderr, flush=True)
    one = next(iter(written.values()), {})
    same = all(one and other == one for other in written.values())
    return {way: _median(all_of_it) for way, all_of_it in found.items()}, same


def _median(found: list[Measured]) -> Measured:
    names = [field.name for field in fields(Measured)]
    return Measured(*(statistics.median(getattr(one, name) for one in found) for name in names))


def table(results: dict[str, Measured], *, same: bool) -> list[str]:
    """The table in Markdown, and the ratios."""
    rows = ["| way | wall s | CPU s | peak MB | wrong words |", "| --- | --- | --- | --- | --- |"]
    rows += [
        f"| {way} | {m.wall_s:.1f} | {m.cpu_s:.1f} | {m.peak_mb:.0f} | {m.errors:.0f} |" for way, m in results.items()
    ]
    rows.append("")
    for way, other in (pair for pair in RATIOS if set(pair) <= set(results)):
        rows.append(f"- {way} / {other}: {results[way].wall_s / results[other].wall_s:.2f} by wall seconds")
    return [*rows, f"- Every way of mediabuild wrote the same outputs, byte for byte: {'yes' if same else 'NO'}"]


def write_section(title: str, lines: Sequence[str]) -> None:
    """Write the page with this section in the place of the earlier one of its title, else at the end."""
    intro = (__doc__ or "").partition("\n")[0]
    head = f"# The whole machine\n\n{intro}\n\nWritten by `benchmarks/machine.py` and `hour.py`, which explain it.\n"
    _, *found = DOCS.read_text(encoding="utf-8").split("\n## ") if DOCS.exists() else [""]
    text = "\n".join(lines)
    sections = dict(section.split("\n", 1) for section in found) | {title: f"\n{text}\n"}
    write_page(DOCS, head + "".join(f"\n## {name}\n{body.rstrip()}\n" for name, body in sections.items()))


def main() -> int:
    """Measure, print, write; exit status 1 if an output differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=3, help="recordings")
    parser.add_argument("--length", type=int, default=120, help="seconds of each")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured")
    parser.add_argument("--ways", default=",".join(WAYS), help="which of the ways, with commas between")
    parser.add_argument("--busy", type=int, default=0, help="other processes that want a core each meanwhile")
    parser.add_argument("--no-docs", action="store_true", help="only print")
    options = parser.parse_args()
    ways = options.ways.split(",")
    if not set(ways) <= set(WAYS):
        parser.error(f"--ways: of {', '.join(WAYS)}")
    with busy(options.busy):
        results, same = measure(ways, options.count, options.length, options.rounds)
    lines = table(results, same=same)
    print("\n".join(lines))
    if not options.no_docs:
        busy_too = f", {options.busy} other processes busy" if options.busy else ""
        title = f"{options.count} x {options.length} s{busy_too}"
        where = f"{os.cpu_count()} cores, load {os.getloadavg()[2]:.1f} at the end, rounds: {options.rounds}."
        write_section(title, [where, "", *lines])
    return 0 if same else 1


if __name__ == "__main__":
    raise SystemExit(main())
