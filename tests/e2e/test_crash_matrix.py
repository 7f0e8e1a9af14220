"""A run that dies between any two file-system operations: what is recorded is whole, and the next run converges.

Each scenario is prepared once. Then, for every n, a fresh copy of it is run by a mediabuild that is killed
before its n-th operation (`crash`), looked at, run again and compared with a clean build. As many tasks as there are
cores run at once, as by default: two of them. In the usual mode only every few points are tried; MEDIABUILD_LONG=1
tries all.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import blake3
import pytest

from tests.e2e.conftest import read_events
from tests.e2e.crash import Launcher, wait_for_end

STRIDE = 1 if os.environ.get("MEDIABUILD_LONG") else 32
MINE = b"mine\n"
PIPELINE = """
[pipeline]
sources   = ["media/*.txt"]
resources = { cpu = 2 }

[stages.A]
command = ["sh", "-c", 'cp $1 $2; mkdir $3; cp $1 $3/p', "A", "{inputs.media}", "{outputs.text}", "{outputs.parts}"]
inputs  = { media = "source" }
outputs = { text = "a.txt", parts = "parts" }

[stages.B]
command = ["sh", "-c", 'cat "$1" "$2/p" > "$3"', "B", "{inputs.text}", "{inputs.parts}", "{outputs.text}"]
inputs  = { text = "A.text", parts = "A.parts" }
outputs = { text = "b.txt" }
deliver = "out/{job}"

[stages.C]
command = ["cp", "{inputs.text}", "{outputs.text}"]
inputs  = { text = "A.text" }
outputs = { text = "c.txt" }
"""
OUTPUTS = ("jobs/one/A/a.txt", "jobs/one/A/parts/p", "jobs/one/B/b.txt", "out/one.txt", "jobs/one/C/c.txt")

Build = Callable[[Path], None]


def first_build(root: Path, build: Build) -> None:
    """Nothing was ever built."""


def rebuild(root: Path, build: Build) -> None:
    """The source changed since."""
    build(root)
    (root / "media/one.txt").write_bytes(b"new\n")


def edited_outputs(root: Path, build: Build) -> None:
    """The source changed, and a person has edited outputs and put a file of their own beside them."""
    rebuild(root, build)
    (root / OUTPUTS[0]).write_bytes(MINE)
    (root / OUTPUTS[1]).write_bytes(b"also " + MINE)
    (root / "jobs/one/B/notes.txt").write_bytes(b"too " + MINE)


def delivery(root: Path, build: Build) -> None:
    """The delivered copy was edited; nothing is to be built."""
    build(root)
    (root / OUTPUTS[3]).write_bytes(MINE)


def restore(root: Path, build: Build) -> None:
    """The source is what it was before the last change: the earlier outputs can come back."""
    rebuild(root, build)
    build(root)
    (root / "media/one.txt").write_bytes(b"old\n")


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two renames"])
@pytest.mark.parametrize("prepare", [first_build, rebuild, edited_outputs, delivery, restore])
def test_every_crash_converges(
    tmp_path: Path, launcher: Launcher, prepare: Callable[..., None], exchange: bool
) -> None:
    """Killed before operation n, for every n: sound manifests, nobody's words lost, then a clean build's bytes."""
    env = {**os.environ, "MEDIABUILD_TEST": str(tmp_path)} | ({} if exchange else {"MEDIABUILD_NO_EXCHANGE": "1"})

    def build(root: Path) -> None:
        assert launcher.run(root, env=env) == 0, launcher.err.read_text()

    template, root, events = tmp_path / "template", tmp_path / "project", tmp_path / "events.jsonl"
    write_project(template)
    prepare(template, build)
    expected, mine = clean_build(template, tmp_path / "clean", build), words_in(template)
    tampered = unsound(template)
    number, killed = STRIDE if exchange else max(1, STRIDE // 2), 0  # the two go between each other's points
    while True:
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(template, root, symlinks=True)
        status = launcher.run(root, env=env, kill_at=number)
        assert wait_for_end(str(tmp_path)) == [], f"orphans after operation {number}"
        assert unsound(root) <= tampered, f"a manifest describes what is not there, after operation {number}"
        assert mine <= words_in(root), f"lost, after operation {number}"
        build(root)
        assert {name: (root / name).read_bytes() for name in OUTPUTS} == expected, f"after operation {number}"
        assert mine <= words_in(root)
        assert leftovers(root) == [], f"after operation {number}"
        assert launcher.run(root, f"--events={events}", env=env) == 0
        assert {e["event"] for e in read_events(events)} == {"run_started", "stage_skipped", "run_finished"}
        if status != -signal.SIGKILL:
            break
        number, killed = number + STRIDE, killed + 1
    assert status == 0
    assert killed * STRIDE >= 20, "the kills did not cover a run"


def write_project(root: Path) -> None:
    """The project before its first build."""
    (root / "media").mkdir(parents=True)
    (root / "media/one.txt").write_bytes(b"old\n")
    (root / "pipeline.toml").write_text(PIPELINE)


def clean_build(template: Path, clean: Path, build: Build) -> dict[str, bytes]:
    """What a build of the same sources in a fresh directory makes."""
    shutil.copytree(template, clean, ignore=shutil.ignore_patterns("jobs", "out"))
    build(clean)
    return {name: (clean / name).read_bytes() for name in OUTPUTS}


def words_in(root: Path) -> set[bytes]:
    """A person's own files among the outputs, wherever they are now."""
    contents = {file.read_bytes() for file in root.rglob("*") if file.is_file()}
    return {content for content in contents if content.endswith(MINE)}


def unsound(root: Path) -> set[str]:
    """Outputs that are not as a stage's manifest records them."""
    found = set()
    for file in root.glob("jobs/one/[ABC]/manifest.json"):
        manifest = json.loads(file.read_bytes())  # every one parses, whenever the run died
        for path, digest in ((p, d) for files in manifest["outputs"].values() for p, d in files.items()):
            output = file.parent / path
            if not output.exists() or digest != "blake3:" + blake3.blake3(output.read_bytes()).hexdigest():
                found.add(f"{output.relative_to(root)} {manifest['timestamp']}")
    return found


def leftovers(root: Path) -> list[Path]:
    """Temporary files and directories."""
    hidden = [*root.glob("jobs/one/[ABC]/.*"), *root.glob("out/.*")]
    return [*root.rglob(".mediabuild/tmp/*"), *root.rglob(".mediabuild/swap/*"), *hidden]
