#!/bin/sh
# Three chapters, whose order by letters would be another.
set -eu
mkdir -p book
for n in 1 2 10; do
  "${FFMPEG:-ffmpeg}" -nostdin -v error -y -f lavfi -i "sine=frequency=$((200 + 20 * n)):duration=1:sample_rate=44100" -bitexact "book/ch$n.flac"
done
