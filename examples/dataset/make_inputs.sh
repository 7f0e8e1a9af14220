#!/bin/sh
# Two recordings, each with a table: which stretch is which sentence.
set -eu
mkdir -p recordings
for n in 1 2; do
  "${FFMPEG:-ffmpeg}" -nostdin -v error -y -f lavfi -i "sine=frequency=$((200 * n)):duration=2" -bitexact "recordings/talk$n.wav"
  printf 'id,start,end,text\na,0,0.5,Hello there %s.\nb,0.5,1.2,"Second, line."\nc,1.2,2,The end.\n' "$n" > "recordings/talk$n.csv"
done
