#!/bin/sh
# Two masters, one of them in a folder.
set -eu
mkdir -p master/1999
for name in talk 1999/film; do
  "${FFMPEG:-ffmpeg}" -nostdin -v error -y -f lavfi -i "testsrc2=size=64x36:rate=10:duration=1" -f lavfi -i "sine=frequency=${#name}00:duration=1" \
    -c:v ffv1 -threads 1 -c:a pcm_s16le -bitexact "master/$name.mkv"
done
