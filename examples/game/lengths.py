"""How long each line is, as JSON: python3 lengths.py TABLE WAV..."""

import csv
import json
import pathlib
import sys
import wave

table, *files = sys.argv[1:]
texts = {row["id"]: row["text"] for row in csv.DictReader(open(table, encoding="utf-8-sig", newline=""))}
found = {}
for file in map(pathlib.Path, files):
    with wave.open(str(file)) as sound:
        found[file.stem] = {"text": texts[file.stem], "ms": round(1000 * sound.getnframes() / sound.getframerate())}
print(json.dumps(found, ensure_ascii=False, indent=1))
