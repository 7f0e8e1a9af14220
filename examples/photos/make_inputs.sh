#!/bin/sh
# Three pictures, one of them in a folder.
set -eu
mkdir -p album/summer
picture() { "${FFMPEG:-ffmpeg}" -nostdin -v error -y -f lavfi -i "testsrc2=size=$1" -vf "hue=h=$2" -frames:v 1 -update 1 -bitexact "$3"; }
picture 96x64 0 album/img2.jpg
picture 64x96 90 album/img10.jpg
picture 80x60 180 "album/summer/at the sea.png"
