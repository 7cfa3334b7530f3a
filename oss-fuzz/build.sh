#!/bin/bash -eu
# build.sh: psd's fuzz targets, as OSS-Fuzz wants them: in $OUT, each with its corpus and its options, and the libraries that the
# machine which runs them lacks. $CC, $CFLAGS, $LIB_FUZZING_ENGINE, $SRC, $WORK and $OUT are its own.
#
# Elsewhere, with any engine that has a main(): see tests/README.md.
cd "$SRC/psd"
# libraries beside the targets; an engine in C++ has its library
meson setup "$WORK/psd" -Dtests=enabled -Dcuda=disabled -Dfuzz=enabled -Dbuildtype=plain -Db_lundef=false -Db_pie=false \
  -Dfuzz_engine="$LIB_FUZZING_ENGINE" -Dc_link_args="-Wl,-rpath,\$ORIGIN/lib ${FUZZ_LINK_ARGS:--lc++}"
mapfile -t targets < <(ninja -C "$WORK/psd" -t targets all | sed -n 's|^\(tests/fuzz/fuzz-[a-z0-9_]*\): c_LINKER.*|\1|p')
ninja -C "$WORK/psd" "${targets[@]}"

mkdir -p "$OUT/lib"
for target in "${targets[@]}"; do
  name=$(basename "$target")
  cp "$WORK/psd/$target" "$OUT/"
  cp "$WORK/psd/$target.options" "$OUT/"
  (cd "tests/fuzz/corpus/${name#fuzz-}" && zip -q -r "$OUT/${name}_seed_corpus.zip" .)
  ldd "$WORK/psd/$target" | sed -n 's|.* => \(/[^ ]*\) .*|\1|p' | grep -vE '/(libc|libm|libdl|librt|libpthread|libgcc_s)\.so' |
    xargs -r cp -n -L -t "$OUT/lib"
done
