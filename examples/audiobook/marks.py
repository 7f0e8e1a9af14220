"""Chapter marks and ffmpeg's list of files: python3 marks.py META LIST jobs/BOOK/chapter/PART/PART.wav..."""

import pathlib
import re
import sys
import wave

meta, names, *files = sys.argv[1:]
with open(meta, "w", encoding="utf-8") as marks, open(names, "w", encoding="utf-8") as listed:
    marks.write(";FFMETADATA1\n")
    at_ms = 0
    for number, file in enumerate(files, start=1):
        with wave.open(file) as sound:
            end_ms = at_ms + round(1000 * sound.getnframes() / sound.getframerate())
        title = re.sub(r"([=;#\\\n])", r"\\\1", pathlib.Path(file).stem)  # as ffmpeg's metadata want it
        marks.write(f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={at_ms}\nEND={end_ms}\ntitle={title}\n")
        listed.write(f"file chapters/{number:04}.wav\n")  # as it is called where the book is made
        at_ms = end_ms
