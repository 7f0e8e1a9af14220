"""Chapter marks for ffmpeg, of lines "SECONDS TITLE": python3 chapters.py NOTES WAV META (NOTES may be empty)."""

import re
import sys
import wave

notes, sound, meta = sys.argv[1:]
lines = [line.split(maxsplit=1) for line in open(notes, encoding="utf-8-sig") if line.strip()] if notes else []
starts = [int(float(line[0]) * 1000) for line in lines]
with wave.open(sound) as joined:
    end_ms = round(1000 * joined.getnframes() / joined.getframerate())
with open(meta, "w", encoding="utf-8") as out:
    out.write(";FFMETADATA1\n")
    ends = [*starts[1:], end_ms][: len(starts)]
    for start, end, line in zip(starts, ends, lines, strict=True):
        title = re.sub(r"([=;#\\])", r"\\\1", "".join(line[1:]).strip())  # as ffmpeg's metadata want it
        out.write(f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={end}\ntitle={title}\n")
