"""`scripts/bootstrap.sh` chooses a Python that the packages have wheels for.

Not here: what it installs, which needs a network.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts/bootstrap.sh"
FAKE = """#!/bin/sh
if [ "$1" != -c ]; then echo "chose $0"; exit 0; fi
exec "{python}" -c "import sys; sys.version_info = {version}
$2"
"""
SPLIT = FAKE.replace("import sys;", "import sys; sys.modules['ensurepip'] = None;")  # Debian without python3-venv


@pytest.mark.parametrize(
    ("there", "chosen"),
    [
        ({"python3": (3, 11)}, "python3"),
        ({"python3": (3, 14), "python3.11": (3, 11)}, "python3.11"),
        ({"python3": (3, 14), "python3.12": (3, 12), "python3.13": (3, 13)}, "python3.13"),
        ({"python3": (3, 9), "python3.12": (3, 12)}, "python3.12"),
        ({"python3": (3, 11), "python3.13": (3, 13), "without venv": (3, 11)}, "python3.13"),
        ({"python3": (3, 14)}, "python3"),
        ({"python3": (3, 10)}, ""),
    ],
)
def test_which_python(tmp_path: Path, there: dict[str, tuple[int, int]], chosen: str) -> None:
    """python3 where it is 3.11 to 3.13, else the newest of those, else a newer one; one that makes venvs first."""
    bin_ = tmp_path / "a bin"
    bin_.mkdir()
    for name, version in there.items():
        text = SPLIT if name == "python3" and "without venv" in there else FAKE
        (bin_ / name).write_text(text.format(version=(*version, 0), python=sys.executable))
        (bin_ / name).chmod(0o755)
    for tool in ("bash", "dirname", "sh"):
        (bin_ / tool).symlink_to(f"/bin/{tool}" if Path(f"/bin/{tool}").exists() else f"/usr/bin/{tool}")
    done = subprocess.run(
        [bin_ / "bash", SCRIPT, "separator", tmp_path / "none"],
        env={"PATH": str(bin_)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if chosen:
        assert done.stdout == f"chose {bin_ / chosen}\n", done.stderr
    else:
        assert done.returncode == 1
        assert "no Python 3.11 or newer" in done.stderr and "hint: " in done.stderr
