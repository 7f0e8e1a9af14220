"""JOB/ID|TEXT for each row of a table: python3 lines.py JOB TABLE"""

import csv
import sys

job, table = sys.argv[1:]
for row in csv.DictReader(open(table, encoding="utf-8-sig", newline="")):
    print(f"{job}/{row['id']}|{' '.join(row['text'].split())}")
