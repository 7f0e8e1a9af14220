"""An HLS master playlist: python3 master.py MASTER jobs/JOB/rendition/HEIGHT/seg*.ts..."""

import os
import sys

out, *segments = sys.argv[1:]
largest = {}
for segment in segments:  # a second each
    height = segment.split("/")[-2]
    largest[height] = max(largest.get(height, 0), 8 * os.path.getsize(segment))
with open(out, "w") as master:
    master.write("#EXTM3U\n")
    for height in sorted(largest, key=int):
        master.write(f'#EXT-X-STREAM-INF:BANDWIDTH={largest[height]},NAME="{height}p"\n{height}/index.m3u8\n')
