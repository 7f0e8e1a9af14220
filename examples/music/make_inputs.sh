#!/bin/sh
# Three tracks, one of them quiet.
set -eu
mkdir -p album
for n in 1 2 10; do
  "${FFMPEG:-ffmpeg}" -nostdin -v error -y -f lavfi -i "sine=frequency=$((300 + 30 * n)):duration=1" -af "volume=0.$((12 - n))" -bitexact "album/track$n.flac"
done
