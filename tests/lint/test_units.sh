#!/bin/bash
# test_units.sh PSD_SERVICE PSWORKER_SERVICE: systemd can read the units, and the exposure that
# systemd-analyze computes is at most 1.2 for psd and 1.7 for psworker, which needs devices, its
# users' data and code made at run time (it counts in tenths).
set -euo pipefail
command -v systemd-analyze >/dev/null || exit 77
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# judge UNIT NAME MOST: verify wants a program that is there
judge() {
  sed 's|^ExecStart=[^ ]*|ExecStart=/bin/true|' "$1" >"$folder/$2"
  systemd-analyze verify --man=no "$folder/$2" 2>"$folder/said"
  if grep -F "$2" "$folder/said"; then # an unknown key is only a warning
    return 1
  fi
  systemd-analyze security --offline=true --no-pager --threshold="$3" "$folder/$2" | tail -n 1
}
judge "$1" psd.service 12
judge "$2" psworker@.service 17
