#!/bin/sh
# covered.sh BUILD FOLDER PROGRAM …: runs the programs on the CUDA backend that counts its lines, whose
# objects are in FOLDER, and asks for 95 % of every .cu file. The environment names the plugin.
set -eu
command -v gcov >/dev/null || { echo "no gcov: coverage is left out"; exit 77; }
build=$1 folder=$2
shift 2
find "$folder" -name '*.gcda' -delete
for program; do "$program"; done
exec "$(dirname "$0")/coverage" "$build" --at-least 95
