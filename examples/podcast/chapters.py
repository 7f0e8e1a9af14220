"""Chapter marks for ffmpeg, of lines "TIME TITLE": python3 chapters.py NOTES WAV META (NOTES may be empty).

A time is 75, 1:15 or 0:01:15, in the joined sound.
"""

import re
import sys
import wave


def milliseconds(time):
    seconds = 0.0
    for part in time.split(":"):
        seconds = 60 * seconds + float(part)
    return int(1000 * seconds)


notes, sound, meta = sys.argv[1:]
lines = [line.split(maxsplit=1) for line in open(notes, encoding="utf-8-sig") if line.strip()] if notes else []
for line in lines:
    if not re.fullmatch(r"(\d+:){0,2}\d+(\.\d+)?", line[0]):
        sys.exit(f'{notes}: "{" ".join(line).strip()}" begins with no time (75, 1:15 or 0:01:15)')
lines.sort(key=lambda line: milliseconds(line[0]))
starts = [milliseconds(line[0]) for line in lines]
with wave.open(sound) as joined:
    end_ms = round(1000 * joined.getnframes() / joined.getframerate())
with open(meta, "w", encoding="utf-8") as out:
    out.write(";FFMETADATA1\n")
    ends = [*starts[1:], end_ms][: len(starts)]
    for start, end, line in zip(starts, ends, lines, strict=True):
        title = re.sub(r"([=;#\\])", r"\\\1", "".join(line[1:]).strip())  # as ffmpeg's metadata want it
        out.write(f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={end}\ntitle={title}\n")
