"""An HLS master playlist: python3 master.py MASTER jobs/JOB/rendition/RUNG/index.m3u8..."""

import pathlib
import re
import sys

out, *playlists = map(pathlib.Path, sys.argv[1:])
with open(out, "w") as master:
    master.write("#EXTM3U\n")
    for playlist in playlists:  # the most that a segment needs, bits a second
        rung = playlist.parent.name
        segments = re.findall(r"#EXTINF:([\d.]+).*\n(.+)", playlist.read_text())
        most = max(8 * (playlist.parent / name).stat().st_size / max(float(s), 0.1) for s, name in segments)
        master.write(f'#EXT-X-STREAM-INF:BANDWIDTH={round(most)},NAME="{rung}"\n{rung}/index.m3u8\n')
