#!/bin/sh
# Two songs with their lyrics; the name of one would break a filter graph.
set -eu
mkdir -p songs
for name in "it's a [live], one" plain; do
  "${FFMPEG:-ffmpeg}" -nostdin -v error -y -f lavfi -i "sine=frequency=${#name}00:duration=1" -f lavfi -i "sine=frequency=150:duration=1" \
    -filter_complex "[0][1]join=inputs=2:channel_layout=stereo" -bitexact "songs/$name.flac"
  printf '1\n00:00:00,000 --> 00:00:00,900\nLa la %s\n' "$name" > "songs/$name.srt"
done
