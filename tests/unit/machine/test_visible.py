"""The end of a program's log, as it is shown: what the program says of itself is no news.

Not here: a failed stage's message (`tests/e2e/test_failures`).
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from mediabuild.machine.visible import last_lines
from mediabuild.media.ffmpeg import ffmpeg_path


def test_a_failed_ffmpeg_shows_its_error_and_not_its_banner(tmp_path: Path) -> None:
    """A short log would else be all banner: version, configuration, libraries."""
    log = tmp_path / "x.log"
    with open(log, "wb") as file:
        subprocess.run([ffmpeg_path(), "-nostdin", "-i", "none.mp4", "x.wav"], stderr=file, cwd=tmp_path, check=False)
    assert b"configuration" in log.read_bytes()
    with open(log, "rb") as file:
        said = last_lines(file, 12)
    assert len(said) <= 3, said
    assert "none.mp4" in " ".join(said)
    assert [line for line in said if "lib" in line or "configuration" in line or "version" in line] == []


def test_lines_that_only_look_like_a_banner_stay(tmp_path: Path) -> None:
    """A program's own words about versions, libraries and configurations."""
    lines = ["configuration: broken", "libx264 5. is missing", "  built to fail", "ffmpeg version too old"]
    log = tmp_path / "x.log"
    log.write_text("\n".join(lines))
    with open(log, "rb") as file:
        assert last_lines(file, 12) == lines
