"""Draws the README's picture: a terminal in which a recording is built, built again, and changed.

    python scripts/terminal_picture.py            writes docs/terminal.svg

The lines are those of real runs on tests/speech, in a temporary folder.

Not here: what is printed (`mediabuild.reporting`).
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
SPEECH = ROOT / "tests/speech/sense_and_sensibility_01_austen_64kb-0870.wav"
COLUMNS = 92
COMMANDS = ("talk.wav", "talk.wav", "talk.wav --language es", "talk.wav max_line_chars=32")
CROWD = 3  # lines that are much the same, before they are summed up
COLOURS = {"SKIPPED": "2", "RUN": "36", "DONE": "32", "RESTORED": "32", "WARNING": "33"}


def shown(command: str, folder: Path) -> list[str]:
    """A command and what it prints, warnings left out, long runs of skipped tasks cut."""
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "mediabuild", *command.split()]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if not line.startswith(("WARNING", "          hint"))]
    skipped = [line for line in lines if line.startswith("SKIPPED")]
    if len(skipped) > CROWD:
        kept = [line for line in lines if line not in skipped[1:]]
        kept.insert(kept.index(skipped[0]) + 1, "SKIPPED …")
        lines = kept
    return [f"\x1b[1m$ mediabuild {command}\x1b[0m", *map(coloured, lines), ""]


def coloured(line: str) -> str:
    """A line with its first word as on a terminal."""
    word = line.partition(" ")[0]
    return re.sub(r"^\S+", f"\x1b[{COLOURS[word]}m{word}\x1b[0m", line) if word in COLOURS else line


def main() -> int:
    """Run the commands and write the picture."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(SPEECH, Path(folder) / "talk.wav")
        for command in COMMANDS:
            for line in shown(command, Path(folder)):
                console.print(Text.from_ansi(line), soft_wrap=False, overflow="ellipsis", no_wrap=True)
    picture = re.sub(r"\s*@font-face \{.*?\n    \}\n", "\n", console.export_svg(title="mediabuild"), flags=re.DOTALL)
    (ROOT / "docs/terminal.svg").write_text(picture, encoding="utf-8")  # without fonts that a viewer would fetch
    return 0


if __name__ == "__main__":
    sys.exit(main())
