"""Finding and running ffmpeg.

Not here: what to ask of it; each stage knows its own arguments.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from mediabuild.errors import StageError

# Without these two an MKV differs at every run (random UIDs, the muxer's version).
BITEXACT = ("-fflags", "+bitexact", "-flags", "+bitexact")


@functools.cache
def ffmpeg_path() -> str:
    """The ffmpeg binary: `$FFMPEG`, else the one in the imageio-ffmpeg wheel, else the one on PATH.

    The wheel comes before PATH so that two machines with the same packages make the same bytes.

    Raises:
        StageError: there is none, or `$FFMPEG` names no program.
    """
    chosen = os.environ.get("FFMPEG")
    if chosen:
        found = shutil.which(chosen)
        if found is None:
            raise StageError(f"$FFMPEG: no program {chosen}", "unset FFMPEG")
        return found
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        found = shutil.which("ffmpeg")
    if found is None:
        raise StageError("ffmpeg: not found", "pip install 'mediabuild[media]'")
    return found


def run_ffmpeg(args: Sequence[str | Path], *, what: str) -> str:
    """Run ffmpeg to its end, quietly, without reading the terminal.

    Args:
        args: everything after the program's name, inputs and outputs included.
        what: for the message: what was being done, e.g. `cutting the audio out of ep01.mp4`.

    Returns:
        What it wrote to stderr (filters such as loudnorm report there).

    Raises:
        StageError: it failed; the message holds its last lines.
    """
    command = [ffmpeg_path(), "-hide_banner", "-nostdin", "-loglevel", "warning", "-y", *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        tail = "\n    ".join(done.stderr.strip().splitlines()[-5:])
        raise StageError(f"ffmpeg failed while {what} (exit {done.returncode})\n    {tail}")
    return done.stderr


def described(media: Path) -> dict[int, str]:
    """What ffmpeg says of each of a recording's streams, side data included: its index → its lines.

    For what PyAV doesn't tell: the tags of data tracks, Dolby Vision.
    """
    command = [ffmpeg_path(), "-hide_banner", "-nostdin", "-i", str(media)]
    said = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False).stderr
    parts = re.split(r"^ +Stream #0:(\d+)[^:]*: ", said, flags=re.MULTILINE)
    return {int(index): lines for index, lines in zip(parts[1::2], parts[2::2], strict=True)}
