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

from mediabuild.media.ffmpeg import ffmpeg_path

ROOT = Path(__file__).parents[2]
SPEECH = ROOT / "tests/speech/sense_and_sensibility_01_austen_64kb-0880.wav"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built from a copy of what is tracked."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "clone"
    ignore = shutil.ignore_patterns("venv", "jobs", "out", ".git", "__pycache__", ".*_cache", ".hypothesis")
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


@pytest.fixture(scope="session")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a venv that has the wheel."""
    venv = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    packages = next((venv / "lib").glob("python3*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    # what the wheel depends on comes from this test's own environment, after the venv's packages
    (packages / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return venv / "bin/python"


def mediabuild(python: Path, folder: Path, *args: str, **more: str) -> subprocess.CompletedProcess[str]:
    """`mediabuild ARGS` of the wheel, typed in a folder."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [str(python), "-m", "mediabuild", *args]
    return subprocess.run(command, cwd=folder, env=environment | more, capture_output=True, text=True, check=False)


def minimal(folder: Path) -> str:
    """A search path with what a system has without packages: no ffmpeg."""
    (folder / "bin").mkdir()
    for name in ("sh", "mkdir", "cat"):
        (folder / "bin" / name).symlink_to(str(shutil.which(name)))
    return str(folder / "bin")


def test_init_and_build_in_an_empty_directory(python: Path, tmp_path: Path) -> None:
    """`mediabuild init`, a recording, `mediabuild`: subtitles; built-in stages are judged by version."""
    folder = tmp_path / "empty"
    folder.mkdir()
    where = subprocess.run(
        [str(python), "-c", "import mediabuild; print(mediabuild.__file__)"],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert str(python.parents[1]) in where.stdout
    assert mediabuild(python, folder).returncode == 3, "there is no pipeline yet"
    example = mediabuild(python, tmp_path, "init", "--example", "podcast", PATH="/nowhere")
    assert example.returncode == 0
    script = example.stdout.rpartition("next:")[2].partition(" (or")[0]
    subprocess.run(["sh", "-c", script], cwd=tmp_path, env={"PATH": minimal(tmp_path)}, check=True)
    assert (tmp_path / "episodes/one.flac").exists()
    assert (tmp_path / "chapters.py").exists()
    assert mediabuild(python, folder, "init").returncode == 0
    assert mediabuild(python, folder).returncode == 3, "there is no recording yet"
    shutil.copy(SPEECH, folder / "media/austen.wav")
    built = mediabuild(python, folder)
    assert built.returncode == 0, built.stdout + built.stderr
    assert "young man" in (folder / "out/austen.en.srt").read_text()
    assert '"version": "' in (folder / "jobs/austen/align/manifest.json").read_text()
    again = mediabuild(python, folder)
    assert again.returncode == 0
    assert {line.split()[0] for line in again.stdout.splitlines()[:-1]} == {"SKIPPED"}


def test_a_video_in_an_empty_folder(python: Path, tmp_path: Path) -> None:
    """`mediabuild talk.mp4` with no torch, apertium, ffmpeg, network or project: English subtitles and a video."""
    picture = ["-f", "lavfi", "-i", "testsrc=size=320x180:rate=25", "-i", str(SPEECH)]
    video = ["-shortest", "-pix_fmt", "yuv420p", str(tmp_path / "talk.mp4")]
    subprocess.run([ffmpeg_path(), "-v", "error", *picture, *video], check=True)
    for name in ("torch", "demucs"):
        (tmp_path / "none").mkdir(exist_ok=True)
        (tmp_path / f"none/{name}.py").write_text(f"raise ImportError('no {name} here')\n")
    bare = {
        "PYTHONPATH": str(tmp_path / "none"),
        "PATH": "/nowhere",
        "HF_HUB_OFFLINE": "1",
        "HOME": str(tmp_path / "home"),
    }
    built = mediabuild(python, tmp_path, "talk.mp4", **bare)
    assert built.returncode == 0, built.stdout + built.stderr
    assert "young man" in (tmp_path / "talk.en.srt").read_text()
    assert (tmp_path / "talk.subtitled.mp4").stat().st_size > 10_000
    again = mediabuild(python, tmp_path, "talk.mp4", **bare)
    assert "7 up to date" in again.stdout, again.stdout + again.stderr


def test_without_its_extras(python: Path, tmp_path: Path) -> None:
    """One line with what to type before anything runs; commands that only look still work."""
    packages = tmp_path / "packages"
    packages.mkdir()
    own = Path(sysconfig.get_paths()["purelib"])
    for name in ("doit", "blake3", "msgspec", "tomli_w", "rich", "imageio_ffmpeg", "cloudpickle", "pygments",
                 "markdown_it", "mdurl"):  # fmt: skip
        for found in own.glob(f"{name}*"):
            (packages / found.name).symlink_to(found)
    site = next(python.parents[1].glob("lib/python3*/site-packages"))
    shutil.copytree(site / "mediabuild", packages / "mediabuild")
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    place = next((bare / "lib").glob("python3*"))
    (place / "site-packages").rmdir()
    packages.rename(place / "site-packages")
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(SPEECH, folder / "talk.wav")
    ran = mediabuild(bare / "bin/python", folder, "talk.wav")
    assert ran.returncode == 3, ran.stdout + ran.stderr
    error, hint = ran.stderr.splitlines()
    assert error.startswith("ERROR: mediabuild was installed without what its media stages need")
    assert hint.endswith("-m pip install 'mediabuild[media]'")
    assert "not built yet" in mediabuild(bare / "bin/python", folder, "status", "talk.wav").stdout
    assert mediabuild(bare / "bin/python", folder, "init", PATH="/nowhere").returncode == 0
    written = (folder / "pipeline.toml").read_text()
    assert "\n# [stages.separate]" in written and "\n# inputs = " in written
    assert "language = [] }" in written
    assert mediabuild(bare / "bin/python", folder, "list").stdout == ""
    for home in (folder, tmp_path):  # in a project and without one
        looked = mediabuild(bare / "bin/python", home, "doctor")
        missing = looked.stdout.partition("MISSING")[2].splitlines()
        assert looked.returncode == 1 and len(missing) == 2, looked.stdout + looked.stderr
        assert missing[1].endswith("-m pip install 'mediabuild[media]'")
