"""Writes a file as a C array: embed.py INPUT OUTPUT.c NAME (and the size as NAME_size)."""
import sys

source, output, name = sys.argv[1:]
data = open(source, "rb").read()
rows = [", ".join(str(b) for b in data[i : i + 20]) for i in range(0, len(data), 20)]
with open(output, "w") as f:
    f.write(f'#include "grpc/descriptors.h"\n\nconst unsigned char {name}[] = {{\n    ')
    f.write(",\n    ".join(rows))
    f.write(f"\n}};\nconst unsigned long {name}_size = {len(data)};\n")
