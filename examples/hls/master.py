"""An HLS master playlist: python3 master.py MASTER jobs/JOB/rendition/RUNG/seg*.ts..."""

import os
import sys

out, *segments = sys.argv[1:]
largest = {}
for segment in segments:  # a second each
    rung = segment.split("/")[-2]
    largest[rung] = max(largest.get(rung, 0), 8 * os.path.getsize(segment))
with open(out, "w") as master:
    master.write("#EXTM3U\n")
    for rung, bandwidth in largest.items():
        master.write(f'#EXT-X-STREAM-INF:BANDWIDTH={bandwidth},NAME="{rung}"\n{rung}/index.m3u8\n')
