#!/usr/bin/env python3
"""Test vectors of Wycheproof (github.com/C2SP/wycheproof, testvectors_v1, Apache License 2.0) as lines of words, which
tests/unit/common/security/test_aead.c reads:

    tests/golden/seal/wycheproof.py FOLDER      # a checkout's testvectors_v1; writes the .txt beside this file

aes_gcm.txt: number, valid or invalid, key, nonce, associated data, message, sealed with its tag. hkdf_sha256.txt: number,
valid or invalid, key, salt, info, bytes wanted, what comes out. Bytes are hexadecimal, none are "-".
"""
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
KINDS = {"aes_gcm": lambda t: [t["key"], t["iv"], t["aad"], t["msg"], t["ct"] + t["tag"]],
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
