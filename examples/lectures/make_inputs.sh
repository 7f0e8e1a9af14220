#!/bin/sh
# Three lectures; one has no slides.
set -eu
mkdir -p camera slides
video() {
  "${FFMPEG:-ffmpeg}" -nostdin -v error -y -f lavfi -i "$1=size=64x36:rate=10:duration=1" -f lavfi -i "sine=frequency=$2:duration=1" \
    -c:v libx264 -preset ultrafast -threads 1 -c:a aac -bitexact "$3"
}
video testsrc2 300 camera/l01.mp4
video testsrc 400 camera/l02.mp4
video smptebars 500 camera/l10.mp4
video smptebars 100 slides/l01.mp4
video testsrc2 100 slides/l02.mp4
