"""Hints as they are typed: with the program, the recording that they are about, and without a file that isn't there.

Not here: that hints can be typed (`tests/unit/test_hints`).
"""

from __future__ import annotations

import pytest

from mediabuild.reporting import console

HINTS = {  # as it is written, of a recording → typed where no project is
    'doit transcribe.language=en   (to keep it: params = { language = "en" } under [stages.transcribe])': (
        "mediabuild 'd/b c.mp4' transcribe.language=en"
    ),
    'model = "tiny.en" under [stages.transcribe], or a local CTranslate2 folder: model = "./models/small"': (
        "mediabuild 'd/b c.mp4' transcribe.model=tiny.en"
    ),
    'keep what there is: [jobs."b c"] params.demux = { clip_end_s = 5.9 } in pipeline.toml': (
        "keep what there is: mediabuild 'd/b c.mp4' demux.clip_end_s=5.9"
    ),
    'jobs_dir = "…" under [pipeline], a folder that can be written': (
        "copy the recording into a folder that can be written"
    ),
    "ls -l models": "ls -l models",
}


@pytest.mark.parametrize("written", HINTS)
def test_a_hint_without_a_project(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several recordings that were typed, the one that it is about; no word of a pipeline.toml."""
    monkeypatch.setattr("sys.argv", ["mediabuild"])
    monkeypatch.setattr(console, "_recordings", ["a.mp4", "d/b c.mp4"])
    assert console.typed(written, "b c.mp4") == HINTS[written]
    monkeypatch.setattr(console, "_recordings", [])
    assert console.typed(written) == written.replace("doit", "mediabuild")
