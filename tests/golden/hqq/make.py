#!/usr/bin/env python3
"""Blocks of forms with a zero by HQQ, in numpy and float64 (Badri and Shaji, Half-Quadratic Quantization, 2023, the
proximal solver: the zero moves, the scale stays). tests/unit/worker/compress/test_hqq.c compares ours with them.

    tests/golden/hqq/make.py            # writes hqq.safetensors beside it; needs numpy

What is the house's own is written here once more: a range has 0 in it; scales are float16; remainders are counted in
steps of the scale; zeros are multiples of 1/256 among the codes, and whole where they begin from 4 bits on; of all
turns the zero that loses least, by the norm, is taken.
"""
import pathlib
import sys

import numpy

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parent))
from compress import write  # noqa: E402

ROWS, COLUMNS = 4, 128
NORM, STIFF, STIFFER, TURNS = 0.7, 10, 1.01, 20


def sample():
    draw = numpy.random.default_rng(5)
    weights = draw.standard_t(5, (ROWS, COLUMNS)) * 0.05
    weights[1] = abs(weights[1])  # whose zero is at an end
    return weights.astype(numpy.float32)


def block(x, bits):
    x, most = x.astype(numpy.float64), 2**bits - 1
    low, high = min(0, x.min()), max(0, x.max())
    scale = float(numpy.float16(numpy.float32((high - low) / most)))
    steps = x / scale

    def writable(zero):
        return numpy.rint(min(max(zero, 0), most) * 256) / 256

    zero = writable(numpy.rint(-low / scale) if bits >= 4 else -low / scale)
    best, stiff = None, STIFF
    for turn in range(TURNS + 1):
        codes = numpy.clip(numpy.rint(steps + zero), 0, most)
        left = steps - (codes - zero)
        loss = (abs(left) ** NORM).sum()
        if best is None or loss < best[0]:
            best = loss, zero, codes
        size = numpy.maximum(abs(left), 1e-300)
        given_up = numpy.sign(left) * numpy.maximum(0, size - size ** (NORM - 1) / stiff)
        zero = writable((codes - (steps - given_up)).mean())
        stiff *= STIFFER
    stream = sum(int(code) << i * bits for i, code in enumerate(best[2]))
    parts = int(best[1] * 256)
    return numpy.float16(scale).tobytes() + bytes([parts >> 8, parts & 255]) + stream.to_bytes(len(x) * bits // 8, "little")


def main():
    weights = sample()
    tensors = {"weights": weights}
    for bits, group in ((2, 32), (3, 64), (4, 128), (8, 128)):
        rows = [b"".join(block(row[at:at + group], bits) for at in range(0, COLUMNS, group)) for row in weights]
        tensors[f"uint{bits}/{group}"] = numpy.array([list(row) for row in rows], numpy.uint8)
    write(HERE / "hqq.safetensors", tensors)


main()
