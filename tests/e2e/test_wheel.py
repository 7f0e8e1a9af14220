"""The wheel alone: built, installed, and used in an empty directory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built from a copy of what is tracked."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "clone"
    ignore = shutil.ignore_patterns("venv", "jobs*", "out", ".git", "__pycache__", ".*_cache", ".hypothesis")
    shutil.copytree(ROOT, copy, ignore=ignore)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(copy)]
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return next(folder.glob("mediabuild-*.whl"))


def test_the_wheel_claims_one_name_and_no_plugins(wheel: Path) -> None:
    """Only `mediabuild` at the top level, no `doit.*` entry points; the stages and the separator are inside."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        points = archive.read(next(n for n in names if n.endswith("entry_points.txt"))).decode()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"mediabuild"}
    assert "doit." not in points
    assert {"mediabuild/stages/demux.py", "mediabuild/stages/models/mini.safetensors"} <= set(names)


def test_init_and_build_in_an_empty_directory(wheel: Path, tmp_path: Path) -> None:
    """`mediabuild init`, a recording, `mediabuild`: subtitles; built-in stages are judged by version."""
    venv, folder = tmp_path / "venv", tmp_path / "empty"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    packages = next((venv / "lib").glob("python3*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    # what the wheel depends on comes from this test's own environment, after the venv's packages
    (packages / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    folder.mkdir()

    def mediabuild(*args: str) -> subprocess.CompletedProcess[str]:
        command = [str(venv / "bin/python"), "-m", "mediabuild.commands.main", *args]
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)

    where = subprocess.run(
        [str(venv / "bin/python"), "-c", "import mediabuild; print(mediabuild.__file__)"],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert str(venv) in where.stdout
    assert mediabuild().returncode == 3, "there is no pipeline yet"
    assert mediabuild("init").returncode == 0
    assert mediabuild().returncode == 3, "there is no recording yet"
    shutil.copy(ROOT / "tests/speech/sense_and_sensibility_01_austen_64kb-0880.wav", folder / "media/austen.wav")
    built = mediabuild()
    assert built.returncode == 0, built.stdout + built.stderr
    assert "young man" in (folder / "out/austen.en.srt").read_text()
    assert '"version": "' in (folder / "jobs/austen/align/manifest.json").read_text()
    again = mediabuild()
    assert again.returncode == 0
    assert {line.split()[0] for line in again.stdout.splitlines()[:-1]} == {"SKIPPED"}
