"""The album's gain in whole decibels, as JSON: python3 gain.py LUFS LOUDNESS..."""

import json
import math
import sys

lufs, *files = sys.argv[1:]
loudness = [float(json.load(open(file))["input_i"]) for file in files]
loud = [value for value in loudness if math.isfinite(value)] or [float(lufs)]  # silence has none, and needs none
print(json.dumps({"db": round(float(lufs) - sum(loud) / len(loud))}))
