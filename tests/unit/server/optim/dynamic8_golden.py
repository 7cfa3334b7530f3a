#!/usr/bin/python3
"""Golden values of the 8-bit code of server/optim/dynamic8.h, made with exact fractions and a search through all codes.

    tests/unit/server/optim/dynamic8_golden.py > tests/unit/server/optim/dynamic8_golden.h

The table is that of arXiv 1511.04561 and 2110.02861: for each of seven decades up to 1, the interval from a tenth of it
to the whole is cut into equal parts, 1, 2, 4 ... 64 of them (twice as many without a sign), and the codes are their
means; with them 0 and 1, and with a sign the means' negatives. bitsandbytes.functional.create_dynamic_map gives the
same 256 numbers, but for the last bit of some, which it rounds on the way.
"""
import random
import struct
from fractions import Fraction


def codes(signed):
    out = [Fraction(0), Fraction(1)]
    for decade in range(7):
        parts = 2 ** decade if signed else 2 ** (decade + 1)
        top = Fraction(10) ** (decade - 6)
        edges = [top * (Fraction(1, 10) + Fraction(9, 10) * k / parts) for k in range(parts + 1)]
        means = [(a + b) / 2 for a, b in zip(edges, edges[1:])]
        out += means
        if signed:
            out += [-m for m in means]
    return sorted(out)


def float32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def nearest(table, x, signed):
    k = min(range(256), key=lambda i: abs(table[i] - x))
    return 1 if not signed and x > 0 and k == 0 else k


def clear(table, x):
    """Not so near to the middle of two codes that a float's rounding decides."""
    two = sorted(abs(c - x) for c in table)[:2]
    return two[1] - two[0] > abs(x) / 2 ** 20


def samples(table, signed, rng):
    out = []
    while len(out) < 96:
        x = float32(10 ** rng.uniform(-8, 0))
        if len(out) % 3 == 0:  # about a border of two codes, where a decade begins above all
            k = rng.choice([1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 254, 255])
            x = float32((table[k - 1] + table[k]) / 2 * (1 + Fraction(rng.choice([-1, 1]), 10 ** 4)))
        elif signed and rng.random() < 0.5:
            x = -x
        if abs(x) < 1 and clear(table, Fraction(x)):
            out.append((x, nearest(table, Fraction(x), signed)))
    return out


def text(x):
    """A float's C literal that reads back as the same float."""
    digits = f"{float32(x):.9g}"
    return digits + ("f" if set(digits) & set(".e") else ".0f")


def lines(items, per):
    return "\n".join("    " + " ".join(f"{i}," for i in items[k:k + per]) for k in range(0, len(items), per))


def main():
    rng = random.Random(8)
    print("/* By dynamic8_golden.py. */\n#ifndef PS_TEST_DYNAMIC8_GOLDEN_H\n#define PS_TEST_DYNAMIC8_GOLDEN_H\n")
    print("#include <stdint.h>\n\ntypedef struct golden_sample {\n    float number;\n    uint8_t byte;\n} golden_sample;\n")
    print("/* clang-format off */")
    for name, signed in (("signed", True), ("unsigned", False)):
        table = codes(signed)
        values = [text(c) for c in table]
        print(f"static const float golden_{name}[256] = {{\n{lines(values, 6)}\n}};")
        pairs = [f"{{{text(x)}, {k}}}" for x, k in samples(table, signed, rng)]
        print(f"static const golden_sample golden_{name}_samples[96] = {{\n{lines(pairs, 4)}\n}};")
    print("/* clang-format on */\n\n#endif")


if __name__ == "__main__":
    main()
