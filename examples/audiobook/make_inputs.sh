#!/bin/sh
# Two books. The order of chapters by letters would be another; one has a cover.
set -eu
ff() { "${FFMPEG:-ffmpeg}" -nostdin -v error -y -f lavfi "$@"; }
mkdir -p books/emma books/persuasion
for n in 1 2 10; do
  ff -i "sine=frequency=$((200 + 20 * n)):duration=1:sample_rate=44100" -bitexact "books/emma/ch$n.flac"
done
ff -i "sine=frequency=500:duration=1:sample_rate=44100" -bitexact books/persuasion/ch1.flac
ff -i testsrc2=size=96x96 -frames:v 1 -update 1 -bitexact books/emma/cover.png
