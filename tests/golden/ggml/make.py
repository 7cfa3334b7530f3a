#!/usr/bin/env python3
"""The bytes that ggml's own quantisers write, and the numbers they are read as.

    pip install --no-deps libgguf==0.2.2 gguf==0.19.0      # ggml's code as a module; gguf-py's reading; numpy
    tests/golden/ggml/make.py                              # writes blocks.safetensors beside it
    tests/golden/ggml/make.py compare BUILD [COLUMNS]      # psd's against them, 10^6 numbers a type

blocks.safetensors: numbers [rows, 512] and importance [512], and of each type the blocks without importance
(NAME), with it (NAME.importance), with none at all for some blocks (NAME.holes), and what the first rows of NAME
are read as (NAME.read). tests/unit/common/form/test_ggml.c compares. `compare` needs a C compiler and a build of psd.
"""
import ctypes
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import gguf
import libgguf
import numpy

HERE = pathlib.Path(__file__).parent
COLUMNS, READ = 512, 4
TYPES = "q8_0 q4_0 q4_1 q5_0 q5_1 q2_k q3_k q4_k q5_k q6_k iq4_nl mxfp4".split()


def type_of(name):
    return getattr(gguf.GGMLQuantizationType, name.upper())


def quantised(name, numbers, importance):
    rows = libgguf.quantize_rows(numbers, int(type_of(name)), importance)
    return numpy.asarray(rows).view(numpy.uint8).reshape(len(numbers), -1)


def importances(random, columns):
    whole = (random.chisquare(1, columns) + 1e-6).astype(numpy.float32)
    holes = whole.copy()
    holes[random.random(columns) < 0.3] = 0
    holes[:columns // 2] = 0
    return whole, holes


def hard_rows(random):
    """Rows that quantisers stumble over."""
    normal = random.standard_normal(COLUMNS)
    rows = [normal, random.standard_t(3, COLUMNS) * 0.02, normal * 1e-9, normal * 1000, numpy.abs(normal) + 1,
            numpy.zeros(COLUMNS), numpy.full(COLUMNS, -0.75), normal * 1e-41,
            numpy.where(random.random(COLUMNS) < 0.9, 0, normal), numpy.round(normal * 2) / 2]
    rows[1][100] = 30
    rows[0][32:64] = 0
    return numpy.stack(rows).astype(numpy.float32)


def save(path, tensors):
    header, at = {}, 0
    for name, array in tensors.items():
        dtype = {"float32": "F32", "uint8": "U8"}[array.dtype.name]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(a.tobytes() for a in tensors.values()))


def make():
    random = numpy.random.default_rng(10)
    numbers = hard_rows(random)
    whole, holes = importances(random, COLUMNS)
    tensors = {"numbers": numbers, "importance": whole, "holes": holes}
    for name in TYPES:
        plain = quantised(name, numbers, None)
        tensors[name] = plain
        tensors[name + ".importance"] = quantised(name, numbers, whole)
        tensors[name + ".holes"] = quantised(name, numbers, holes)
        tensors[name + ".read"] = gguf.quants.dequantize(plain[:READ], type_of(name)).astype(numpy.float32)
    order = sorted(tensors.items(), key=lambda item: item[1].dtype.name)  # float32 before uint8
    save(HERE / "blocks.safetensors", dict(order))


# ---- comparing ----

SHIM = """
#include "common/form/form.h"
#define API __attribute__((visibility("default")))
static ps_form form_of(const char *name) { ps_form f = {0}; return ps_form_parse(name, &f) ? f : (ps_form){0}; }
API uint64_t bytes_of(const char *name, uint64_t columns) { return ps_form_row_bytes(form_of(name), columns); }
API void encode(const char *name, const float *x, const float *importance, uint64_t rows, uint64_t columns, uint8_t *out)
{ ps_form_encode(form_of(name), x, importance, rows, columns, out); }
API void decode(const char *name, const uint8_t *x, uint64_t rows, uint64_t columns, float *out)
{ ps_form_decode(form_of(name), x, rows, columns, out); }
"""


class Psd:
    """psd's forms, from the library of a build."""

    def __init__(self, build):
        source = HERE.parents[2]
        with tempfile.TemporaryDirectory() as folder:
            shim = pathlib.Path(folder) / "shim.so"
            subprocess.run(["cc", "-shared", "-fPIC", f"-I{source}", "-x", "c", "-", "-x", "none", "-o", shim,
                            pathlib.Path(build) / "common/libpsd-common.a", "-lutf8proc", "-lm"], check=True,
                           input=SHIM.encode())
            self.library = ctypes.CDLL(str(shim))
        self.library.bytes_of.restype = ctypes.c_uint64

    @staticmethod
    def pointer(array):
        return None if array is None else array.ctypes.data_as(ctypes.c_void_p)

    def encode(self, name, x, importance):
        rows, columns = (ctypes.c_uint64(side) for side in x.shape)
        out = numpy.empty((len(x), self.library.bytes_of(name.encode(), columns)), numpy.uint8)
        self.library.encode(name.encode(), self.pointer(x), self.pointer(importance), rows, columns, self.pointer(out))
        return out

    def decode(self, name, blocks, columns):
        out = numpy.empty((len(blocks), columns), numpy.float32)
        self.library.decode(name.encode(), self.pointer(blocks), ctypes.c_uint64(len(blocks)),
                            ctypes.c_uint64(columns), self.pointer(out))
        return out


def compare(build, columns):
    psd, random, different = Psd(build), numpy.random.default_rng(5), 0
    rows = -(-10**6 // columns)
    whole, holes = importances(random, columns)
    for kind, x in (("normal", random.standard_normal((rows, columns))),
                    ("Student-t(3)", random.standard_t(3, (rows, columns)))):
        x = (x * 0.02).astype(numpy.float32)
        for name in TYPES:
            for word, importance in (("plain", None), ("importance", whole), ("holes", holes)):
                ours, theirs = psd.encode(name, x, importance), quantised(name, x, importance)
                wrong = int((ours != theirs).sum())
                read = gguf.quants.dequantize(theirs, type_of(name)).astype(numpy.float32)
                unread = int((psd.decode(name, theirs, columns).view(numpy.uint32) != read.view(numpy.uint32)).sum())
                different += wrong + unread
                print(f"{name:7} {kind:12} {word:10} {x.size} numbers: {wrong} of {ours.size} bytes differ, "
                      f"{unread} numbers are read otherwise")
    return different


if __name__ == "__main__":
    if sys.argv[1:2] == ["compare"]:
        sys.exit(compare(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 2048) != 0)
    make()
