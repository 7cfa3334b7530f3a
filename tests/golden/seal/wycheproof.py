#!/usr/bin/env python3
"""Test vectors of Wycheproof (github.com/C2SP/wycheproof, testvectors_v1, Apache License 2.0) as lines of words, which
tests/unit/common/security/test_aead.c and test_x25519.c read:

    tests/golden/seal/wycheproof.py FOLDER      # a checkout's testvectors_v1; writes the .txt beside this file

aes_gcm.txt, chacha20_poly1305.txt: number, valid or invalid, key, nonce, associated data, message, sealed with its tag.
hkdf_sha256.txt: number, valid or invalid, key, salt, info, bytes wanted, what comes out. x25519.txt: number, valid or acceptable,
secret, point, what comes out, which is refused where it is zeros. Bytes are hexadecimal, none are "-".
"""
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
AEAD = lambda t: [t["key"], t["iv"], t["aad"], t["msg"], t["ct"] + t["tag"]]  # noqa: E731
KINDS = {"aes_gcm": AEAD,
         "chacha20_poly1305": AEAD,
         "x25519": lambda t: [t["private"], t["public"], t["shared"]],
         "hkdf_sha256": lambda t: [t["ikm"], t["salt"], t["info"], str(t["size"]), t["okm"]]}


def main():
    folder = pathlib.Path(sys.argv[1])
    for kind, words in KINDS.items():
        lines = []
        for group in json.loads((folder / f"{kind}_test.json").read_text())["testGroups"]:
            for t in group["tests"]:
                lines.append(" ".join([str(t["tcId"]), t["result"]] + [w or "-" for w in words(t)]))
        (HERE / f"{kind}.txt").write_text("\n".join(lines) + "\n")


main()
