"""An independent reader of safetensors: for each tensor, in the file's order, a line

    NAME DTYPE SHAPE first=V last=V sum=V

for F32 and BF16; and for each pair of the metadata `KEY=VALUE`. Checked by Hugging Face's own
package too, where it is installed.
"""
import json
import math
import struct
import sys

raw = open(sys.argv[1], "rb").read()
(n,) = struct.unpack("<Q", raw[:8])
assert n % 8 == 0, "header is not padded to 8"
header = json.loads(raw[8 : 8 + n].decode("utf-8"))
data = raw[8 + n :]
for key, value in header.pop("__metadata__", {}).items():
    print(f"{key}={value}")
end = 0
for name, t in header.items():
    begin, until = t["data_offsets"]
    assert begin == end, "a hole or an overlap"
    end = until
    part = data[begin:until]
    if t["dtype"] == "BF16":
        part = b"".join(b"\0\0" + part[i : i + 2] for i in range(0, len(part), 2))
    values = struct.unpack(f"<{len(part) // 4}f", part)
    assert len(values) == math.prod(t["shape"]), "shape and data differ"
    shape = "x".join(map(str, t["shape"]))
    print(f"{name} {t['dtype']} {shape} first={values[0]:g} last={values[-1]:g} sum={sum(values):g}")
assert end == len(data), "bytes after the last tensor"

try:
    import safetensors
except ImportError:
    safetensors = None
if safetensors:
    theirs = dict(safetensors.deserialize(raw))
    assert sorted(theirs) == sorted(header), "Hugging Face's reader sees other tensors"
    for name, t in header.items():
        begin, until = t["data_offsets"]
        assert bytes(theirs[name]["data"]) == data[begin:until], name
        assert list(theirs[name]["shape"]) == t["shape"], name
