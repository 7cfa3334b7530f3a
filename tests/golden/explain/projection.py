"""The projection of a sketch, as docs/record.md says."""
import numpy


def philox(counter, key):
    """Philox 4x32-10."""
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def projection(elements, width, unit, draw=0):
    """[width, elements]"""
    out, key = numpy.zeros((width, elements)), (unit, 0x70736431)
    for i in range(elements):
        word = philox((i // 128, 0, 0, draw), key)[i % 128 // 32]
        run = i // width
        turn = 0 if width == elements else philox((run, 0, 1, draw), key)[0] * width >> 32
        out[(i + turn) % width, i] = -1 if word >> (i % 32) & 1 else 1
    return out
