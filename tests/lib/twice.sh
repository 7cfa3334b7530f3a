#!/bin/bash
# twice.sh SOURCE [COMMIT [OPTION…]]: builds one commit twice, with these options of meson, and compares all that would be
# installed, byte for byte.
#
# The two differ in what a build may not depend on: folder and its depth, place of the build in it, time, time zone, language,
# umask, number of compilers, order in which the file system lists names (as far as it gives another). Nothing comes from a
# cache. With SOURCE_DATE_EPOCH, the commit's own time, as packagers have it.
set -euo pipefail
source=$1 commit=${2:-HEAD}
options=("${@:3}")
work=$(mktemp -d "${TMPDIR:-/tmp}/psd-twice.XXXXXX")
trap 'rm -rf "$work"' EXIT
SOURCE_DATE_EPOCH=$(git -C "$source" log -1 --format=%ct "$commit")
export SOURCE_DATE_EPOCH CCACHE_DISABLE=1
unset CC CXX CFLAGS

# build NAME FOLDER BUILD JOBS: what is installed, below $work/NAME
build() {
  mkdir -p "$2"
  git -C "$source" archive "$commit" | tar -x -C "$2"
  meson setup "$3" "$2" --prefix=/usr -Dcuda=disabled "${options[@]}" >"$work/$1.log"
  ninja -C "$3" -j "$4" >>"$work/$1.log" || { tail -n 30 "$work/$1.log"; return 1; }
  ninja -C "$3" sbom >>"$work/$1.log"
  DESTDIR=$work/$1 meson install --no-rebuild -C "$3" >>"$work/$1.log"
  cp "$3/deploy/psd.spdx.json" "$work/$1/"
}

(umask 022 && TZ=UTC LC_ALL=C build one "$work/a" "$work/a/build" 4)
(umask 077 && TZ=Pacific/Kiritimati LC_ALL=C.UTF-8 build two "$work/another/folder/deeper" "$work/elsewhere" 2)

files=$(cd "$work/one" && find . -type f | wc -l)
[ "$files" -gt 20 ] || { echo "only $files files were installed"; exit 1; }
if ! diff -rq "$work/one" "$work/two"; then
  echo "two builds of $commit differ"
  exit 1
fi
echo "two builds of $(git -C "$source" rev-parse --short "$commit") are the same: $files files"
(cd "$work/one" && sha256sum usr/bin/*)
