"""An hour of speech: what each stage of the default pipeline takes in time, memory and disk.

    python benchmarks/hour.py [--minutes 60] [--no-docs]

The recording is an mp4: a still picture, and the texts of benchmarks/texts, read by a voice over soft chords. Where
Apertium isn't installed, its Spanish is left out. Seconds and memory of a stage are those of its manifest; the memory
of all processes together counts what they share once (Linux). Writes a section of docs/BENCHMARKS_MACHINE.md.

Not here: how that compares with other ways (`machine.py`).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imageio_ffmpeg
from machine import Memory, write_section
from overhead.timing import table
from workers import ROOT, make_recordings, timed

QUIET = ["-nostdin", "-loglevel", "error", "-y"]
PICTURE = ["-f", "lavfi", "-i", "color=size=640x360:rate=5:color=navy"]


def make_video(folder: Path, length_s: int) -> Path:
    """The recording."""
    (sound,) = make_recordings(folder / "sound", 1, length_s)
    video = folder / "media/hour.mp4"
    video.parent.mkdir()
    encoding = ["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-shortest"]
    program = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([program, *QUIET, *PICTURE, "-i", str(sound), *encoding, str(video)], check=True)
    return video


def manifests(job: Path) -> Iterator[dict[str, Any]]:
    """Those of all its tasks, with `folder`, in the order in which they were done."""
    found = [json.loads(file.read_text()) | {"folder": file.parent} for file in job.glob("*/**/manifest.json")]
    yield from sorted(found, key=lambda manifest: manifest["timestamp"])


def size_mb(folder: Path) -> float:
    """What a folder takes on the disk; what several names share counts once."""
    stats = {(s.st_dev, s.st_ino): s for s in (file.lstat() for file in folder.rglob("*") if file.is_file())}
    return sum(found.st_blocks * 512 for found in stats.values()) / 1e6


def measure(folder: Path, length_s: int) -> list[str]:
    """Run it; the lines of the section."""
    video = make_video(folder, length_s)
    shutil.copy(ROOT / "pipeline.toml", folder)
    with Memory() as memory:
        wall_s, cpu_s = timed([sys.executable, "-m", "mediabuild.commands.main", "--device=cpu"], folder)
    rows = [
        [
            found["task"].partition(":")[0],
            f"{found['duration_s']:.1f}",
            f"{found['duration_s'] / length_s:.3f}",
            f"{(found['peak_memory_bytes'] or 0) / 1e6:.0f}",
            f"{size_mb(found['folder']):.1f}",
        ]
        for found in manifests(folder / "jobs" / video.stem)
    ]
    total = [f"{wall_s:.1f}", f"{wall_s / length_s:.3f}", f"{memory.peak_bytes / 1e6:.0f}"]
    rows.append(["all, beside each other", *total, f"{size_mb(folder / 'jobs'):.1f}"])
    where = f"{length_s / 60:g} minutes, {size_mb(video.parent):.0f} MB, on {os.cpu_count()} cores; CPU {cpu_s:.0f} s."
    heads = ["stage", "s", "s of a second", "most memory, MB", "disk, MB"]
    return [where, "", table(heads, rows), "All of the disk includes kept units and what delivered copies share."]


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=60, help="how long the recording is")
    parser.add_argument("--no-docs", action="store_true", help="only print")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hour.") as folder:
        lines = measure(Path(folder), options.minutes * 60)
    print("\n".join(lines))
    if not options.no_docs:
        write_section("An hour of speech", lines)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
