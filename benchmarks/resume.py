"""What a kill and a small change cost: `separate` and `transcribe` on one long recording.

    python benchmarks/resume.py [--minutes 10] [--no-docs]

- kill: the run is killed (SIGKILL) at about 25, 50 and 90 % of the stage's units, and run again. What the second run
  makes again must be at most 10 % of the finished units and one, and its outputs those of an uninterrupted run.
- clip: the first five minutes, then six, then the same from 0.37 s on: units and seconds beside the same from nothing.
- back and forth: a param changed and changed back, and the clip; nothing runs, and it takes less than a second.

It writes docs/BENCHMARKS_RESUME.md. Exit status 1 if a bound is missed. The recording is made of the texts
of benchmarks/texts, read by a voice over soft chords.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from overhead.timing import table
from page import write_page
from workers import ONE_THREAD, PIPELINE, ROOT, make_recordings

from mediabuild.machine.hashing import hash_file

PAGE = ROOT / "docs/BENCHMARKS_RESUME.md"
STAGES = ("separate", "transcribe")
SHARES = (0.25, 0.5, 0.9)
CLIPS = ((0.0, 300.0), (0.0, 360.0), (0.37, 360.0))
FINISHED = '"event":"stage_completed"'
MOST_BACK_S = 1.0
ENV = {**os.environ, **ONE_THREAD}
HEAD = """# Resuming, and small changes

Written by `python benchmarks/resume.py`, which says how it measures. {machine}, one thread; one recording of
{minutes:g} minutes. In every row the outputs are those of an uninterrupted run.
"""
NUMBERS = itertools.count()


@dataclass
class Ran:
    """A run: its wall seconds and its events."""

    seconds: float
    events: list[dict[str, Any]] = field(default_factory=list)

    def completed(self, stage: str) -> dict[str, Any]:
        """What was said of a stage when it was done."""
        return next(e for e in self.events if e["event"] == "stage_completed" and e["task"].startswith(stage + ":"))

    @property
    def started(self) -> list[str]:
        """The tasks whose programs were started."""
        return [e["task"] for e in self.events if e["event"] == "stage_running"]


def command(folder: Path, *args: str) -> tuple[list[str], Path]:
    """The command line of a run, and where its events go."""
    events = folder.parent / f"events.{next(NUMBERS)}.jsonl"
    return [sys.executable, "-m", "mediabuild.commands.main", "--device=cpu", f"--events={events}", *args], events


def run(folder: Path, *args: str) -> Ran:
    """Run mediabuild to its end."""
    line, events = command(folder, *args)
    started = time.monotonic()
    done = subprocess.run(
        line, cwd=folder, env={**os.environ, **ONE_THREAD}, capture_output=True, text=True, check=False
    )
    seconds = time.monotonic() - started
    if done.returncode:
        sys.exit(f"{' '.join(line)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return Ran(seconds, [json.loads(text) for text in events.read_text().splitlines()])


def kept_units(folder: Path, stage: str) -> int:
    """How many units of a stage are on disk, by the records' own heads."""
    from mediabuild.units import Units

    file = folder / f"jobs/recording00/.mediabuild/units/{stage}"
    if not file.exists():
        return 0
    copy = folder.parent / "units.copy"  # reading cuts off a torn end
    shutil.copyfile(file, copy)
    units = Units(copy)
    units.has(0)
    count = len(units._places)
    units.close()
    return count


def killed(folder: Path, stage: str, finished: int) -> int:
    """Kill a run once so many units are finished; how many there were then."""
    line, _ = command(folder, stage)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(line, cwd=folder, env=ENV, **quiet)
    while kept_units(folder, stage) < finished and process.poll() is None:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(0.5)  # its workers end
    return kept_units(folder, stage)


def outputs(folder: Path, stage: str) -> dict[str, str]:
    """File → digest of a stage's outputs."""
    place = folder / f"jobs/recording00/{stage}"
    return {path.name: hash_file(path, "blake3") for path in sorted(place.iterdir()) if path.name != "manifest.json"}


def after_kills(whole: Path, scratch: Path, ran: Ran) -> tuple[list[tuple[str, ...]], bool]:
    """Kill and go on, for each stage and share: rows of the table, and whether the bounds hold."""
    rows, holds = [], True
    for stage in STAGES:
        said = ran.completed(stage)
        for share in SHARES:
            folder = scratch / f"kill-{stage}-{share}"
            shutil.copytree(whole, folder, symlinks=True)
            for gone in (folder / f"jobs/recording00/{stage}", folder / f"jobs/recording00/.mediabuild/units/{stage}"):
                shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
            finished = killed(folder, stage, round(share * said["units"]))
            again = run(folder, stage)
            now = again.completed(stage)
            same = outputs(folder, stage) == outputs(whole, stage)
            redone = finished - now["units_reused"]
            good = same and redone <= 0.1 * finished + 1 and now["units"] == said["units"]
            holds &= good
            rows.append((stage, f"{share:.0%}", f"{finished} of {said['units']}", f"{redone}", f"{now['seconds']:.1f}",
                         f"{said['seconds']:.1f}", "kept" if good else "**missed**"))  # fmt: skip
            shutil.rmtree(folder)
            print("  ", *rows[-1], file=sys.stderr, flush=True)
    return rows, holds


def moved_clips(recording: Path, scratch: Path) -> list[tuple[str, ...]]:
    """The clip extended, and its start moved; each beside the same from nothing."""
    folder, rows = project(scratch / "clips", recording), []
    for start_s, end_s in CLIPS:
        args = (f"--clip-start={start_s}", f"--clip-end={end_s}")
        ran, fresh = run(folder, *args), project(scratch / f"clean{end_s}{start_s}", recording)
        clean = run(fresh, *args)
        for stage in STAGES:
            now, new = ran.completed(stage), clean.completed(stage)
            made = now["units"] - now.get("units_reused", 0)
            rows.append((stage, f"{start_s:g} – {end_s:g} s", f"{made} of {now['units']}", f"{now['seconds']:.1f}",
                         f"{new['seconds']:.1f}", f"{now['seconds'] / new['seconds']:.2f}"))  # fmt: skip
            print("  ", *rows[-1], file=sys.stderr, flush=True)
            assert outputs(folder, stage) == outputs(fresh, stage), "other than a clean build"
    return rows


def back_and_forth(folder: Path) -> tuple[list[tuple[str, ...]], bool]:
    """A param and the clip, changed and changed back."""
    rows, holds = [], True
    for change in ("transcribe.beam_size=1", "clip_end_s=60"):
        before = {stage: outputs(folder, stage) for stage in STAGES}
        forth = run(folder, change)
        back = run(folder)
        same = before == {stage: outputs(folder, stage) for stage in STAGES}
        good = same and not back.started and back.seconds <= MOST_BACK_S
        holds &= good
        rows.append((f"`{change}`", f"{forth.seconds:.1f}", f"{back.seconds:.2f}", f"{len(back.started)}",
                     "kept" if good else "**missed**"))  # fmt: skip
        print("  ", *rows[-1], file=sys.stderr, flush=True)
    return rows, holds


def project(folder: Path, recording: Path) -> Path:
    """A project with the one recording, nothing built."""
    (folder / "media").mkdir(parents=True)
    separate = 'inputs = { audio = "demux.audio" }\n[stages.detect'
    (folder / "pipeline.toml").write_text(
        PIPELINE.replace(separate, separate.replace(" }", ', probe = "demux.probe" }'))
    )
    os.link(recording, folder / "media" / recording.name)
    return folder


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long the recording is")
    parser.add_argument("--no-docs", action="store_true", help="only print")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="resume.") as temporary:
        scratch = Path(temporary)
        (recording,) = make_recordings(scratch / "recordings", 1, int(options.minutes * 60))
        whole = project(scratch / "whole", recording)
        kills, survived = after_kills(whole, scratch, run(whole))
        clips = moved_clips(recording, scratch)
        returns, quick = back_and_forth(whole)
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    page = HEAD.format(machine=machine, minutes=options.minutes)
    page += "\n## Killed, and run again\n\n"
    page += table(("stage", "killed at", "units finished", "of them made again", "s then", "s from nothing", ""), kills)
    page += "\n## The clip, extended and moved\n\n"
    page += table(("stage", "clip", "units made", "s", "s from nothing", "÷"), clips)
    page += "\n## Changed and changed back\n\n"
    page += table(("change", "s there", "s back", "programs started", ""), returns)
    print(page)
    if not options.no_docs:
        write_page(PAGE, page)
    return 0 if survived and quick else 1


if __name__ == "__main__":
    raise SystemExit(main())
