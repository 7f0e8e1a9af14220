"""Stand-ins for what the separator needs, as wheels that pip installs without a network."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import msgspec

from mediabuild.machine.interpreter import SEPARATOR_PACKAGES

VERSIONS = {"torch": "2.13.0", "demucs": "4.1.0", "soundfile": "0.13.0", "soxr": "0.5.0", "msgspec": "0.20.0"}


def make_wheels(folder: Path) -> None:
    """One for each package: a file that says it is there; msgspec is the real one, so that a worker starts."""
    for name, file in SEPARATOR_PACKAGES.items():
        _make_wheel(folder, name, VERSIONS[name], file if "." in file else f"{file}/__init__.py")


def _make_wheel(folder: Path, name: str, version: str, file: str) -> None:
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        if name == "msgspec":
            source = Path(msgspec.__file__).parent
            for path in [*source.glob("*.py"), *source.glob("*.so")]:
                wheel.write(path, f"msgspec/{path.name}")
        else:
            wheel.writestr(file, "")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def offline(wheels: Path) -> dict[str, str]:
    """An environment in which pip knows these wheels and no network."""
    return {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_CONFIG_FILE": os.devnull}
