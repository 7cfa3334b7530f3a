#!/usr/bin/env python3
"""Sparse matrices, in numpy and float64. tests/unit/worker/compress/test_sparse.c compares ours with them.

    tests/golden/sparse/make.py         # writes sparse.safetensors beside it; needs numpy

sparsegpt, 2of4: the mask is SparseGPT's (Frantar and Alistarh 2023, algorithm 1: the inverse's upper Cholesky factor,
blocks of 128 columns, the least w²/U_cc² of each row's part of a block, or of each four, lazy updates), and what stays is
each row's least squares on its mask, by a direct solver. after_… is what the algorithm itself leaves.
"""
import pathlib
import sys

import numpy

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parent))
from compress import sample, write  # noqa: E402

ROWS, COLUMNS, TOKENS, BLOCK, DAMP = 6, 192, 300, 128, 0.01


def sparsegpt(weights, h, of_four):
    w = weights.astype(numpy.float64)
    upper = numpy.linalg.cholesky(numpy.linalg.inv(h)).T
    mask = numpy.zeros(w.shape, bool)
    for begin in range(0, COLUMNS, BLOCK):
        end = min(COLUMNS, begin + BLOCK)
        cost = w[:, begin:end] ** 2 / numpy.diag(upper)[begin:end] ** 2
        if of_four:
            order = cost.reshape(ROWS, -1, 4).argsort(2, kind="stable")
            goes = (order.argsort(2) < 2).reshape(ROWS, -1)
        else:
            goes = cost.argsort(1, kind="stable").argsort(1) < (end - begin) // 2
        mask[:, begin:end] = goes
        errors = numpy.zeros((ROWS, end - begin))
        for c in range(begin, end):
            error = numpy.where(mask[:, c], w[:, c], 0) / upper[c, c]
            w[:, c:end] -= numpy.outer(error, upper[c, c:end])
            w[mask[:, c], c] = 0
            errors[:, c - begin] = error
        w[:, end:] -= errors @ upper[begin:end, end:]
    return w, mask


def least_squares(weights, h, mask):
    out = numpy.zeros(weights.shape)
    target = weights.astype(numpy.float64) @ h
    for r, goes in enumerate(mask):
        out[r, ~goes] = numpy.linalg.solve(h[numpy.ix_(~goes, ~goes)], target[r, ~goes])
    return out


def main():
    weights, inputs = sample(17, ROWS, COLUMNS, TOKENS)
    sums = inputs.astype(numpy.float64).T @ inputs.astype(numpy.float64)
    mean = numpy.diag(sums).mean()
    damped = sums + DAMP * mean * numpy.eye(COLUMNS)
    tensors = {"weights": weights, "inputs": inputs}
    for name, of_four in ("sparsegpt", False), ("2of4", True):
        after, mask = sparsegpt(weights, damped, of_four)
        tensors[f"after_{name}"] = after.astype(numpy.float32)
        tensors[name] = least_squares(weights, damped, mask).astype(numpy.float32)
    write(HERE / "sparse.safetensors", tensors)


main()
