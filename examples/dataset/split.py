"""Two tables of all lines: python3 split.py TEST_PERCENT TRAIN TEST LINES..."""

import hashlib
import sys

percent, train, test, *tables = sys.argv[1:]
found = {train: [], test: []}
for line in (line for table in tables for line in open(table, encoding="utf-8")):
    number = int(hashlib.sha256(line.split("|")[0].encode()).hexdigest(), 16) % 100
    found[test if number < int(percent) else train].append(line)
for file, lines in found.items():
    open(file, "w", encoding="utf-8").writelines(lines)
