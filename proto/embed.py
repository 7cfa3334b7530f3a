"""Writes files as C arrays: embed.py HEADER OUTPUT.c NAME=INPUT…

HEADER declares, for each, NAME and NAME_size; and for a name that ends in _js NAME_sha256, its SHA-256 in base64, as a
Content-Security-Policy has it.
"""
import base64
import hashlib
import sys

header, output, *pairs = sys.argv[1:]
with open(output, "w") as f:
    f.write(f'#include "{header}"\n')
    for name, source in (pair.split("=", 1) for pair in pairs):
        data = open(source, "rb").read()
        rows = [", ".join(str(b) for b in data[i : i + 20]) for i in range(0, len(data), 20)]
        f.write(f"\nconst unsigned char {name}[] = {{\n    ")
        f.write(",\n    ".join(rows))
        f.write(f"\n}};\nconst unsigned long {name}_size = {len(data)};\n")
        if name.endswith("_js"):
            digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
            f.write(f'const char {name}_sha256[] = "{digest}";\n')
