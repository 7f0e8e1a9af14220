"""The album's gain in whole decibels, as JSON: python3 gain.py LUFS LOUDNESS..."""

import json
import sys

lufs, *files = sys.argv[1:]
loudness = [float(json.load(open(file))["input_i"]) for file in files]
print(json.dumps({"db": round(float(lufs) - sum(loudness) / len(loudness))}))
