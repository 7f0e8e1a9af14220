#!/bin/sh
# Two albums; a track of the first is quiet.
set -eu
mkdir -p albums/first albums/second
track() { "${FFMPEG:-ffmpeg}" -nostdin -v error -y -f lavfi -i "sine=frequency=$1:duration=1" -af "volume=$2" -bitexact "albums/$3.flac"; }
track 330 0.9 first/track1
track 360 0.8 first/track2
track 600 0.2 first/track10
track 440 0.5 second/track1
