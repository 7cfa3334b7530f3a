#!/usr/bin/env python3
"""Bytes of matrices that GPTQ has solved, the textbook way, in float64: one column after the other, each loss
handed to the columns that are left by the inverse Hessian's row, and the column taken out of the inverse
(Frantar and others, Optimal Brain Compression, 2022, algorithm 1 with a fixed order, which is what GPTQ's
Cholesky computes). tests/unit/worker/compress/test_gptq.c compares ours with them.

    tests/golden/gptq/make.py           # writes gptq.safetensors beside it; needs numpy

What is the house's own is written here once more: the scale of a block is its range; of q4_0 ggml's search with
its importance matrix, for which a column without input counts 1e-4 of the mean; columns in falling order of the
Hessian's diagonal; a column without input is rounded.
"""
import pathlib
import sys

import numpy

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parent))
from compress import sample, write  # noqa: E402

ROWS, COLUMNS, TOKENS, GROUP, DEAD = 5, 160, 96, 32, 77


class Integer:
    """Blocks of GROUP: float16 scale, a zero if it is affine, codes in bits from the lowest on."""

    def __init__(self, bits, affine):
        self.bits, self.affine = bits, affine
        self.least, self.most = (0, 2**bits - 1) if affine else (-2**(bits - 1), 2**(bits - 1) - 1)
        if bits == 8 and not affine:
            self.least += 1

    def of_range(self, low, high):
        steps = 2**self.bits - 1
        if self.affine:
            return self.with_zero(low, high, steps)
        full = 127 if self.bits == 8 else steps / 2
        scale = float(numpy.float16(numpy.float32(max(-low, high) / full)))
        return scale, 0

    def with_zero(self, low, high, steps):
        """The zero is the nearest whole one."""
        scale = (high - low) / steps
        return float(numpy.float16(numpy.float32(scale))), int(min(numpy.rint(-low / scale), steps))

    def code(self, value, grid):
        return int(min(max(numpy.rint(value / grid[0]) + grid[1], self.least), self.most))

    def value(self, code, grid):
        return grid[0] * (code - grid[1])

    def grid(self, x, importance, row):
        return self.of_range(min(0, x.min()), max(0, x.max()))

    def block(self, codes, grid):
        stream = 0
        for i, code in enumerate(codes):
            stream |= (code if self.affine else code + 2**(self.bits - 1)) << (i * self.bits)
        head = numpy.float16(grid[0]).tobytes() + (bytes([grid[1], 0]) if self.affine else b"")
        return head + stream.to_bytes(len(codes) * self.bits // 8, "little")


class Q4_0:
    """ggml's: float16 d, number j in the lower half of byte j, j + 16 in its upper one."""

    def code(self, value, grid):
        return int(min(max(numpy.rint(value / grid) + 8, 0), 15))

    def value(self, code, grid):
        return grid * (code - 8)

    def grid(self, x, importance, row):
        w = importance * numpy.sqrt((row**2).mean() + x**2)
        top, best, d = x[numpy.abs(x).argmax()], None, 0
        for k in [0] + [k for k in range(-9, 10) if k]:
            codes = numpy.clip(numpy.rint(-(8 + 0.1 * k) / top * x), -8, 7)
            product, square = (w * x * codes).sum(), (w * codes**2).sum()
            if square > 0 and (best is None or product**2 / square > best):
                best, d = product**2 / square, product / square
        return float(numpy.float16(numpy.float32(d)))

    def block(self, codes, grid):
        return numpy.float16(grid).tobytes() + bytes(codes[j] | codes[j + 16] << 4 for j in range(16))


def solve(form, weights, sums, ordered, damp=0.01):
    importance = (numpy.diag(sums) / TOKENS).astype(numpy.float32).astype(numpy.float64)
    importance = numpy.maximum(importance, numpy.float32(1e-4 * importance[importance > 0].mean()))
    w = weights.astype(numpy.float64)
    blocks = range(0, COLUMNS, GROUP)
    grids = [[form.grid(w[r, b:b + GROUP], importance[b:b + GROUP], w[r]) for b in blocks] for r in range(ROWS)]
    alive = numpy.diag(sums) > 0
    h = sums.copy()
    mean = numpy.diag(sums)[alive].mean()
    h[~alive, ~alive] = mean
    inverse = numpy.linalg.inv(h + damp * mean * numpy.eye(COLUMNS))
    order = sorted(range(COLUMNS), key=lambda c: (-sums[c, c] if ordered else 0, c))
    codes = numpy.zeros((ROWS, COLUMNS), int)
    for c in order:
        for r in range(ROWS):
            codes[r, c] = form.code(w[r, c], grids[r][c // GROUP])
            loss = w[r, c] - form.value(codes[r, c], grids[r][c // GROUP])
            w[r] -= loss / inverse[c, c] * inverse[c]
        inverse -= numpy.outer(inverse[:, c], inverse[c]) / inverse[c, c]
        inverse[c, c] = 1  # it is done: nothing is divided by it any more
    return numpy.array([list(b"".join(form.block([int(v) for v in codes[r, b:b + GROUP]], grids[r][b // GROUP])
                                      for b in blocks)) for r in range(ROWS)], numpy.uint8)


def main():
    weights, inputs = sample(11, ROWS, COLUMNS, TOKENS)
    inputs[:, DEAD] = 0
    sums = inputs.astype(numpy.float64).T @ inputs.astype(numpy.float64)
    tensors = {"weights": weights, "inputs": inputs}
    forms = {f"{'u' * affine}int{bits}/{GROUP}": Integer(bits, affine)
             for bits in (2, 3, 4, 8) for affine in (False, True)}
    for name, form in {**forms, "q4_0": Q4_0()}.items():
        tensors[name] = solve(form, weights, sums, False)
        tensors[name + " ordered"] = solve(form, weights, sums, True)
    write(HERE / "gptq.safetensors", tensors)


main()
