#!/usr/bin/env python3
"""Test vectors of age (github.com/C2SP/CCTV, age/testdata; copyright 2022 The age Authors, of the licences 0BSD, CC0 and
Unlicense, "to your choice") as lines of words, which tests/unit/common/age/test_vectors.c reads:

    tests/golden/age/cctv.py FOLDER              # a checkout's age/testdata; writes cctv.txt beside this file
    tests/golden/age/cctv.py FOLDER OUT          # all of them, the large ones too, into OUT: PSD_AGE_VECTORS=OUT has the test
                                                 # read these

A line: name, what is expected (with _ for spaces), is it of a kind that psd knows (x25519, other), SHA-256 of the payload,
identities with commas between, is the file compressed (zlib, plain), the file in hexadecimal. None is "-".
"""
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
LARGE = 8192
# Of the kinds that psd refuses, a few.
OTHERS = ["armor_x25519", "armor_crlf", "armor_garbage_leading", "hybrid", "hybrid_and_x25519", "hybrid_bad_tag", "hybrid_no_match",
          "scrypt", "scrypt_and_x25519", "scrypt_double", "scrypt_uppercase", "scrypt_work_factor_23"]


def line_of(path):
    head, _, body = path.read_bytes().partition(b"\n\n")
    keys = {}
    for text in head.decode().split("\n"):
        key, _, value = text.partition(": ")
        keys.setdefault(key, []).append(value)
    identities = keys.get("identity", [])
    other = "armored" in keys or "passphrase" in keys or any(i.startswith("AGE-SECRET-KEY-PQ-") for i in identities)
    return other, " ".join([path.name, keys["expect"][0].replace(" ", "_"), "other" if other else "x25519",
                            keys.get("payload", ["-"])[0], ",".join(identities) or "-", keys.get("compressed", ["plain"])[0],
                            body.hex() or "-"])


def main():
    every = len(sys.argv) > 2
    lines = []
    for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
        other, line = line_of(path)
        if every or (path.stat().st_size <= LARGE and (not other or path.name in OTHERS)):
            lines.append(line)
    (pathlib.Path(sys.argv[2]) if every else HERE / "cctv.txt").write_text("\n".join(lines) + "\n")


main()
