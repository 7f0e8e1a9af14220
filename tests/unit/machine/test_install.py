"""Installing the separator: from local wheels, without a network, by the real pip in real venvs."""

from __future__ import annotations

import fcntl
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mediabuild.errors import MediabuildError
from mediabuild.machine.install import TORCH, applying, install_separator, requirements, wanted_packages
from mediabuild.machine.interpreter import SEPARATOR_PACKAGES, STAMP, lacking_for_separator, venv_python, versions
from tests.wheels import VERSIONS, make_wheels, offline

ROOT = Path(__file__).parents[3]
INSTALL = [sys.executable, "-m", "mediabuild.machine.install", "separator"]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the separator needs, by the same names and versions."""
    folder = tmp_path_factory.mktemp("wheels")
    make_wheels(folder)
    return folder


@pytest.fixture(scope="module")
def installed(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A venv that two processes were asked to fill at the same time."""
    venv = tmp_path_factory.mktemp("separator") / "venv"
    both = [
        subprocess.Popen([*INSTALL, str(venv)], env=offline(wheels), cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=300)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("installing torch" in text for text in said) == 1, said
    assert sum("waiting for process" in text for text in said) == 1, said
    return venv


def test_two_at_once_install_it_once(installed: Path) -> None:
    """One of two processes installed, the other waited for it (see the fixture); all packages are there."""
    assert lacking_for_separator(venv_python(installed)) == []
    folders = list((installed / "lib").glob("python3*/site-packages"))
    assert versions(VERSIONS, folders) == VERSIONS


def test_a_second_call_starts_no_pip(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the stamp in place nothing is said and nothing is run: an index that isn't there does no harm."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    said: list[str] = []
    before = (installed / "install.log").read_bytes()
    assert install_separator(installed, said.append) == venv_python(installed)
    assert said == []
    assert (installed / "install.log").read_bytes() == before


def test_an_interrupted_installation_is_seen_and_goes_on(installed: Path, wheels: Path, tmp_path: Path) -> None:
    """A stamp that was emptied and never filled: everything counts as missing, and the same command mends it."""
    (installed / STAMP).write_bytes(b"")
    assert lacking_for_separator(venv_python(installed)) == list(SEPARATOR_PACKAGES)
    done = subprocess.run([*INSTALL, str(installed)], env=offline(wheels), cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert lacking_for_separator(venv_python(installed)) == []


def test_a_kill_while_pip_runs_leaves_no_pip_and_no_stamp(tmp_path: Path, wheels: Path) -> None:
    """`kill -9` in the middle: pip goes with it, the lock is free, the stamp is empty."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    fake_pip = next((venv / "lib").glob("python3*/site-packages")) / "pip.py"  # a pip that never ends
    pid = tmp_path / "pid"
    fake_pip.write_text(f"import os, time\nopen({str(pid)!r}, 'w').write(str(os.getpid()))\ntime.sleep(99)")
    process = subprocess.Popen([*INSTALL, str(venv)], env=offline(wheels), cwd=ROOT, stderr=subprocess.DEVNULL)
    wait_for(lambda: pid.exists() and pid.read_text() != "")
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not alive(int(pid.read_text())))
    assert (venv / STAMP).read_bytes() == b""
    with (tmp_path / ".venv.lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def wait_for(condition: object) -> None:
    """Wait until it is true, at most a minute."""
    assert callable(condition)
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process runs; one that waits to be reaped doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return subprocess.run(["ps", "-p", str(pid)], capture_output=True, check=False).returncode == 0


def test_a_failing_pip_is_one_clear_message(tmp_path: Path) -> None:
    """No wheels at all: exit 1, the log named, nothing counted as installed."""
    env = offline(tmp_path)
    venv = tmp_path / "venv"
    done = subprocess.run([*INSTALL, str(venv)], env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip could not install the packages" in done.stderr
    assert f"less {venv}/install.log" in done.stderr
    assert "Traceback" not in done.stderr
    assert lacking_for_separator(venv_python(venv)) == list(SEPARATOR_PACKAGES)


def test_a_folder_that_is_no_venv_is_left_alone(tmp_path: Path) -> None:
    """What a person keeps there isn't cleared."""
    precious = tmp_path / "folder" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("years of work")
    with pytest.raises(MediabuildError, match="is no venv"):
        install_separator(precious.parent)
    assert precious.read_text() == "years of work"


def test_a_wrong_command_says_how_it_goes() -> None:
    """Exit 3 and the usage."""
    done = subprocess.run([*INSTALL[:3], "seperator"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "usage: python -m mediabuild.machine.install separator" in done.stderr


def test_what_is_installed_is_what_the_project_declares() -> None:
    """torch's one release as in bootstrap.sh, the extra's lines, and what a worker needs of mediabuild's own."""
    assert f'TORCH="{TORCH}"' in (ROOT / "scripts/bootstrap.sh").read_text()
    wanted = wanted_packages()
    assert wanted[0] == TORCH
    assert "demucs==4.1.0" in wanted
    assert [text for text in wanted if text.startswith("msgspec")]
    assert set(requirements("separate")) < set(wanted)


def test_it_needs_nothing_but_the_standard_library() -> None:
    """bootstrap.sh starts it with a Python that has no packages at all (-S: none are looked for)."""
    code = "import sys; sys.path.insert(0, '.'); import mediabuild.machine.install"
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"-m mediabuild\.machine\.install separator", (ROOT / "scripts/bootstrap.sh").read_text())


@pytest.mark.parametrize(
    ("python", "aligner"), [("3.11", "b>=5.1,<6"), ("3.12", "b==5.0"), ("3.13", "b>=5.1,<6"), ("3.14", "b>=5.1,<6")]
)
def test_a_requirement_of_another_python_is_none(python: str, aligner: str) -> None:
    """A hint names what pip would take here: written as in pyproject.toml, or as in a wheel's metadata."""
    written = ["a>=1", "b>=5.1,<6; python_version != '3.12'", "b==5.0; python_version == '3.12'"]
    assert applying(written, "", python) == ["a>=1", aligner]
    packed = ["c>=1", "d; extra == 'dev'", 'a>=1; extra == "media"']
    packed += [f"{text.replace(';', '; (')}) and extra == 'media'" for text in written[1:]]
    assert applying(packed, "extra == 'media'", python) == ["a>=1", aligner]
    assert applying(packed, "", python) == ["c>=1"]


def test_every_requirement_of_the_extras_is_understood() -> None:
    """Each package of pyproject.toml's extras is asked for once, by this Python."""
    names = [re.match(r"[\w-]+", text) for text in requirements("media")]
    assert [name and name[0] for name in names].count("pocketsphinx") == 1
    assert all(";" not in text for extra in ("", "media", "separate") for text in requirements(extra))
