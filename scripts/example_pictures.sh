#!/bin/sh
# Builds the examples and puts a picture of what each makes into docs/examples/: sh scripts/example_pictures.sh
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

picture() { # EXAMPLE FILE [FILTER]: what is seen in a video or picture
  "$FFMPEG" -nostdin -v error -y -i "$work/$1/$2" -frames:v 1 -update 1 -bitexact \
    -vf "${3:+$3,}scale=320:180:force_original_aspect_ratio=decrease,pad=320:180:-1:-1:color=white,format=rgb24" \
    "$root/docs/examples/$1.png"
}

sound() { # EXAMPLE FILTER FILE...: the files one after the other, as a picture
  example=$1 filter=$2 count=$(($# - 2))
  shift 2
  for file; do
    set -- "$@" -i "$work/$example/$file"
    shift
  done
  "$FFMPEG" -nostdin -v error -y "$@" -filter_complex "concat=n=$count:v=0:a=1,aformat=channel_layouts=mono,$filter[v]" \
    -map "[v]" -frames:v 1 -update 1 -bitexact -pix_fmt rgb24 "$root/docs/examples/$example.png"
}

mkdir -p "$root/docs/examples"
for example in hls podcast dataset karaoke photos audiobook lectures music archive game; do build "$example"; done
picture hls site/one/poster.jpg
sound podcast "showspectrumpic=s=320x180:legend=0:scale=log:stop=1000" feed/one.mp3
sound dataset "showspectrumpic=s=320x180:legend=0:scale=log:stop=2000" corpus/wavs/talk1/a.wav corpus/wavs/talk2/b.wav corpus/wavs/talk1/c.wav
picture karaoke "out/it's a [live], one.mp4" "select='gte(n,5)'"
picture photos site/sheet1.jpg
picture audiobook out/emma.jpg
picture lectures site/l01.mp4 "select='gte(n,5)'"
picture music out/first/track1.png
picture archive proxy/1999/film.mp4 "select='gte(n,5)'"
sound game "showwavespic=s=320x180:scale=sqrt:colors=0xa04020" voice/tavern/greet.opus voice/tavern/bye.opus voice/tavern/rumour.opus
