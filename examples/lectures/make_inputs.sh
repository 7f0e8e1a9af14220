#!/bin/sh
# Three lectures, a folder each; one has no slides.
set -eu
mkdir -p lectures/l01 lectures/l02 lectures/l10
video() {
  "${FFMPEG:-ffmpeg}" -nostdin -v error -y -f lavfi -i "$1=size=64x36:rate=10:duration=1" -f lavfi -i "sine=frequency=$2:duration=1" \
    -c:v libx264 -preset ultrafast -threads 1 -c:a aac -bitexact "lectures/$3.mp4"
}
video testsrc2 300 l01/camera
video testsrc 400 l02/camera
video smptebars 500 l10/camera
video smptebars 100 l01/slides
video testsrc2 100 l02/slides
