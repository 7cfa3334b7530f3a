#!/bin/sh
# linked.sh PLUGIN PROGRAM …: the programs name no library of CUDA, the plugin names cuBLAS and neither
# the runtime, which is part of it, nor a folder of stubs, which hold no code.
set -eu
plugin=$1
shift
status=0
wrong() { echo "$1"; status=1; }
for program; do
  readelf -d "$program" | grep -E 'NEEDED.*lib(cu|nv)' && wrong "$program is linked to CUDA"
done
dynamic=$(readelf -d "$plugin")
echo "$dynamic" | grep -q 'NEEDED.*libcublas\.so' || wrong "$plugin does not name cuBLAS"
echo "$dynamic" | grep -E 'NEEDED.*lib(cudart|cuda)\.so' && wrong "$plugin names more of CUDA"
echo "$dynamic" | grep -E 'R(UN)?PATH.*stubs' && wrong "$plugin looks for stubs"
exit $status
