#!/bin/sh
# Two videos of two seconds.
set -eu
mkdir -p media/show
for name in one show/two; do
  "${FFMPEG:-ffmpeg}" -nostdin -v error -y -f lavfi -i "testsrc2=size=128x72:rate=10:duration=2" -f lavfi -i "sine=frequency=${#name}00:duration=2" \
    -c:v libx264 -preset ultrafast -threads 1 -c:a aac -bitexact "media/$name.mp4"
done
