#!/bin/sh
# The lines of two places.
set -eu
mkdir -p lines
printf 'id,voice,text,comment\ngreet,en,"Hello, stranger!",warm\nbye,en,Good bye.,\nrumour,en,They say the well is dry.,whispers\n' > lines/tavern.csv
printf 'id,voice,text,comment\nhalt,en,Halt!,loud\n' > lines/gate.csv
