#!/bin/sh
# Two short episodes, with an intro and an outro.
set -eu
tone() { "${FFMPEG:-ffmpeg}" -nostdin -v error -y -f lavfi -i "sine=frequency=$1:duration=$2:sample_rate=44100" -bitexact "$3"; }
mkdir -p episodes show
tone 440 0.3 show/intro.flac
tone 330 0.3 show/outro.flac
tone 220 1 episodes/one.flac
tone 260 1.2 episodes/two.flac
printf '0 Hello\n0.5 The rest\n' > episodes/one.txt
