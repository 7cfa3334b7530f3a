#!/bin/sh
# run_target.sh PROGRAM CORPUS WORK MAX_LEN: one libFuzzer target for PSD_FUZZ_SECONDS (2).
# What it learns goes to WORK/found, which later runs start from; an input that breaks it to
# WORK/crash-…: mend the bug, then add that file to CORPUS.
# Status 1 for such an input: of itself libFuzzer has 77, which meson takes for a test that was skipped.
set -eu
program=$1 corpus=$2 work=$3 max_len=$4
mkdir -p "$work/found"
exec "$program" -max_total_time="${PSD_FUZZ_SECONDS:-1}" -max_len="$max_len" -timeout=10 \
  -rss_limit_mb=2048 -error_exitcode=1 -print_final_stats=1 -artifact_prefix="$work/" "$work/found" "$corpus"
