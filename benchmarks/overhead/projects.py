"""Other projects whose no-op is measured: files in folders, the default pipeline; and one large file to hash.

Not here: copies in every tool's language (`copies`, `shelf`).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from overhead.copies import ROOT, doit_table, write
from overhead.timing import BUILDS, Cost, in_turn, run

from mediabuild.media.ffmpeg import ffmpeg_path

TRACKS = 20  # files in a folder
MANIFESTS = "[!.]*/**/manifest.json"  # below a job
CLIP_S = 2  # of the sample, long enough for a few words


def folders(scratch: Path, mediabuild: list[str], count: int, rounds: int) -> dict[str, Cost]:
    """The no-op of a task for each of the same files: in folders that are sources, and as sources themselves."""
    ways = {
        "folders": ("albums/*/", "source/{track}.txt", '\nmatrix = { track = "source/*.txt" }'),
        "files": ("albums/*/*.txt", "source", ""),
    }
    homes = {way: scratch / f"{way}{count}" for way in ways}
    for way, (sources, track, matrix) in ways.items():
        for folder in range(count):
            (homes[way] / f"albums/a{folder:04}").mkdir(parents=True)
            for number in range(TRACKS):
                (homes[way] / f"albums/a{folder:04}/t{number:02}.txt").write_text(f"track {folder} {number}\n")
        (homes[way] / "pipeline.toml").write_text(
            f'[pipeline]\nsources = ["{sources}"]\n\n[stages.copy]\ncommand = ["cp", "{{inputs.track}}", '
            f'"{{outputs.copy}}"]\ninputs = {{ track = "{track}" }}\noutputs = {{ copy = "copy.txt" }}{matrix}\n'
        )
        for _ in range(BUILDS):
            run(mediabuild, homes[way])
        print(f"  built {count} folders as {way}", file=sys.stderr, flush=True)
    return in_turn({way: (mediabuild, home) for way, home in homes.items()}, rounds)


def default_pipeline(home: Path, mediabuild: list[str], jobs: int) -> int:
    """Build the pipeline that `init` writes, with models and devices; returns how many stages were built.

    One recording is built for real. The others hold the same, so all that is made of them comes back by content.
    """
    write(home, {"pipeline.toml": (ROOT / "pipeline.toml").read_text(), "pyproject.toml": doit_table()})
    sound = ["-i", str(ROOT / "media/sample.mp4"), "-t", str(CLIP_S), "media/r00000.wav"]
    run([ffmpeg_path(), "-loglevel", "error", *sound], home)
    run(mediabuild, home)
    for job in range(1, jobs):
        shutil.copyfile(home / "media/r00000.wav", home / f"media/r{job:05}.wav")
    for _ in range(BUILDS):
        run(mediabuild, home)
    print(f"  built {jobs} jobs of the default pipeline", file=sys.stderr, flush=True)
    return sum(1 for _ in home.glob(f"jobs/r*/{MANIFESTS}"))


def ninja_over(home: Path, other: Path) -> None:
    """Let ninja make the same files as mediabuild did, empty ones, each from the same others."""
    write(other, {"build.ninja": "rule made\n command = touch $out\n" + "".join(_edges(home))})
    for source in (home / "media").iterdir():
        (other / "media" / source.name).touch()
    run(["ninja"], other)
    print("  built the same files with ninja", file=sys.stderr, flush=True)


def _edges(home: Path) -> Iterator[str]:
    """For ninja: what each stage reads and makes, as its manifest says, and the delivered copies of each job."""
    for job in sorted((home / "jobs").glob("r*")):
        made: list[str] = []
        for file in sorted(job.glob(MANIFESTS)):
            manifest = json.loads(file.read_text())
            paths = [path for files in manifest["inputs"].values() for path in files]
            read = [f"jobs/{job.name}/{path}" if (job / path).exists() else path for path in paths]
            outputs = [name for files in manifest["outputs"].values() for name in files]
            outputs = [f"{file.parent.relative_to(home)}/{name}" for name in outputs]
            made += outputs
            yield f"build {' '.join(outputs)}: made {' '.join(read)}\n"
        copies = sorted(str(path.relative_to(home)) for path in (home / "out").glob(f"{job.name}.*"))
        yield f"build {' '.join(copies)}: made {' '.join(made)}\n"


def hashed(scratch: Path, gib: float, rounds: int) -> dict[str, Cost]:
    """One large file, by each program; read once before, so that each finds the same page cache."""
    file = scratch / "large.bin"
    block = os.urandom(1 << 24)
    with file.open("wb") as stream:
        for _ in range(int(gib * 64)):
            stream.write(block)
    code = (
        "import sys; from pathlib import Path; from mediabuild.machine.hashing import hash_file; "
        "hash_file(Path(sys.argv[1]), sys.argv[2])"
    )
    ways = {
        "mediabuild, blake3": [sys.executable, "-c", code, str(file), "blake3"],
        "b3sum": ["b3sum", "--no-mmap", "--num-threads", "1", str(file)],
        "mediabuild, sha256": [sys.executable, "-c", code, str(file), "sha256"],
        "sha256sum": ["sha256sum", str(file)],
    }
    run(["cat", str(file)], scratch)
    costs = in_turn({way: (command, ROOT) for way, command in ways.items()}, rounds)
    file.unlink()
    return costs
