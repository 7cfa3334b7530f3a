#!/bin/bash
# test_units.sh PSD_SERVICE PSWORKER_SERVICE PSD PSWORKER SYSCONFDIR: units and programs look for the configuration in one
# place; a wrong one is not started again and again, and whatever else ends a daemon does not keep it down; systemd can
# read the units, and the exposure that systemd-analyze computes is at most 1.0 for psd,
# and 1.7 for psworker, which needs devices, its users' data and code made at run time (it counts in tenths).
set -euo pipefail
grep -qx "ExecStart=.*/psd --config $5/psd/psd.yaml" "$1"
grep -qx "ExecStart=.*/psworker --config $5/psd/psworker-%i.yaml" "$2"
"$3" --help | grep -qF "$5/psd/psd.yaml"
"$4" --help | grep -qF "$5/psd/psworker.yaml"
for unit in "$1" "$2"; do
  grep -qx RestartPreventExitStatus=2 "$unit"
  grep -qx StartLimitIntervalSec=0 "$unit"
done
command -v systemd-analyze >/dev/null || exit 77
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# a conflict with a group of the distribution would be told to every admin
if command -v systemd-sysusers >/dev/null; then
  mkdir -p "$folder/root/etc" "$folder/root/usr/lib/sysusers.d"
  cp /usr/lib/sysusers.d/basic.conf "$folder/root/usr/lib/sysusers.d/"
  cp "$(dirname "$0")/../../deploy/systemd/psd.sysusers" "$folder/root/usr/lib/sysusers.d/psd.conf"
  systemd-sysusers --dry-run --root="$folder/root" >"$folder/said" 2>&1
  if grep psd.conf "$folder/said"; then exit 1; fi
fi

# judge UNIT NAME MOST: verify wants a program that is there
judge() {
  sed 's|^ExecStart=[^ ]*|ExecStart=/bin/true|' "$1" >"$folder/$2"
  systemd-analyze verify --man=no "$folder/$2" 2>"$folder/said"
  if grep -F "$2" "$folder/said"; then # an unknown key is only a warning
    return 1
  fi
  systemd-analyze security --offline=true --no-pager --threshold="$3" "$folder/$2" | tail -n 1
}
judge "$1" psd.service 10
judge "$2" psworker@.service 17
