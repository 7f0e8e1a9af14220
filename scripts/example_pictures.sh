#!/bin/sh
# Builds some of the examples and puts a picture of each into docs/examples.png: sh scripts/example_pictures.sh
# The inputs are larger than those of the tests, so that there is something to see.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python}
FFMPEG=$("$python" -c 'from mediabuild.media.ffmpeg import ffmpeg_path; print(ffmpeg_path())')
export FFMPEG
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build() { # EXAMPLE: a copy of it, with larger inputs, built
  mkdir "$work/$1"
  cd "$work/$1"
  "$python" -m mediabuild init --example "$1" >/dev/null
  sed -e 's/128x72/640x360/; s/64x36/640x360/; s/96x64/480x320/; s/64x96/320x480/; s/80x60/400x300/; s/96x96/400x400/' make_inputs.sh >larger.sh
  sed -i.old -e 's/64x36/640x360/; s/scale=64:-2/scale=400:-2/; s/height = 36/height = 180/; s/height = 72/height = 360/; s/32:24/320:240/g; s/\[32, 64\]/[320, 640]/; s/jpg:32/jpg:320/' pipeline.toml
  sh larger.sh
  "$python" -m mediabuild >/dev/null
  cd "$root"
}

tile() { # NUMBER FILE [FRAME]: a picture of a video or picture
  "$FFMPEG" -nostdin -v error -y -i "$2" -frames:v 1 -update 1 \
    -vf "select='gte(n,${3:-0})',scale=320:180:force_original_aspect_ratio=decrease,pad=320:180:-1:-1:color=white,format=rgb24" "$work/tile$1.png"
}

for example in hls photos karaoke lectures music audiobook; do build "$example"; done
tile 1 "$work/hls/site/one/poster.jpg"
tile 2 "$work/photos/site/sheet.jpg"
tile 3 "$work/karaoke/out/it's a [live], one.mp4" 5
tile 4 "$work/lectures/site/l01.mp4" 5
tile 5 "$work/music/out/first/track1.png"
tile 6 "$work/audiobook/out/emma.jpg"
"$FFMPEG" -nostdin -v error -y -i "$work/tile%d.png" -vf tile=3x2:padding=4:color=white -frames:v 1 -update 1 -bitexact "$root/docs/examples.png"
