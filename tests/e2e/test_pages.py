"""The commands of the pages work: each page's shell blocks are run in the order in which they stand.

A block behind `<!-- not in a test: WHY -->` can't be run here; the blocks that say so are listed below.

Not here: pages whose commands other tests run (`test_quickstart`, `tests/unit/test_docs`).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mediabuild.media.ffmpeg import ffmpeg_path

ROOT = Path(__file__).parents[2]
SPEECH = ROOT / "tests/speech/sense_and_sensibility_01_austen_64kb-0880.wav"
BLOCK = re.compile(r"(?:^<!-- not in a test: (.*?) -->\n\n)?^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PAGES = ("README.md", "docs/LANGUAGES.md", "docs/UPKEEP.md", "docs/TROUBLESHOOTING.md")
NOT_RUN = {
    "README.md": ["installs packages", "installs packages, and runs the tests"],
    "docs/LANGUAGES.md": [
        "installs system packages", "installs system packages", "needs the network and torch", "needs the network",
        "needs the network",
    ],
    "docs/UPKEEP.md": ["builds and installs packages", "removes the installation"],
    "docs/TROUBLESHOOTING.md": [],
}  # fmt: skip


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one short recording, built once; without the separator, which is tried elsewhere."""
    project = tmp_path_factory.mktemp("pages") / "project"
    project.mkdir()
    assert run(project, "mediabuild init").returncode == 0
    text = (project / "pipeline.toml").read_text()
    start = text.index("[stages.separate]")
    text = text[:start] + text[text.index("\n\n", start) + 2 :]
    (project / "pipeline.toml").write_text(text.replace('language = ["es"]', "language = []"))
    shutil.copy(SPEECH, project / "media/sample.wav")
    done = run(project, "mediabuild")
    assert done.returncode == 0, done.stdout + done.stderr
    return project


def run(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run shell lines in a folder, with this test's programs; the first that fails ends it."""
    path = os.pathsep.join([f"{sys.prefix}/bin", os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "NO_COLOR": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=environment, capture_output=True, text=True,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page(built: Path, tmp_path: Path, page: str) -> None:
    """All that can be run here, one after another; what can't be is marked, with why, and listed."""
    blocks = BLOCK.findall((ROOT / page).read_text())
    assert [why for why, _ in blocks if why] == NOT_RUN[page]
    folder = tmp_path / "project"
    if page == "README.md":  # it begins with nothing but a recording
        folder.mkdir()
        picture = ["-f", "lavfi", "-i", "color=size=160x90:rate=5", "-i", str(SPEECH)]
        video = ["-shortest", "-pix_fmt", "yuv420p", str(folder / "talk.mp4")]
        subprocess.run([ffmpeg_path(), "-v", "error", *picture, *video], check=True)
    else:
        shutil.copytree(built, folder, symlinks=True)
    script = "\n".join(text for why, text in blocks if not why)
    done = run(folder, "set -x\n" + script)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    if page == "README.md":
        assert (folder / "talk.en.srt").exists() and (folder / "talks/out/talk.en.srt").exists()
    if page == "docs/UPKEEP.md":
        assert "jobs/sample/demux/manifest.json" in done.stdout


def test_the_file_formats_in_the_guide(built: Path, tmp_path: Path) -> None:
    """The developer guide's Python lines read what a run made, and the next run takes in what they wrote."""
    guide = (ROOT / "docs/DEVELOPER_GUIDE.md").read_text()
    section = guide[guide.index("## Reading and writing the files") : guide.index("## Raising a stage's version")]
    blocks = re.findall(r"^```python\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    folder = shutil.copytree(built, tmp_path / "project", symlinks=True)
    (folder / "lines.py").write_text("\n".join(blocks))
    done = run(folder, f"PYTHONPATH={ROOT} python lines.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stretches of speech" in done.stdout
    planned = run(folder, "mediabuild --dry-run").stdout
    assert "RUN     align:sample  inputs.corrections: corrections/sample.json added" in planned
    assert "glossary/people.csv added" in planned
