#!/usr/bin/env python3
"""Test vectors of Wycheproof (github.com/C2SP/wycheproof, testvectors_v1, Apache License 2.0) for ECDSA as lines of words,
which tests/unit/common/security/test_ecdsa.c reads:

    tests/golden/signing/wycheproof.py FOLDER      # a checkout's testvectors_v1; writes the .txt beside this file

"key" and a public key (SubjectPublicKeyInfo, DER), for all up to the next one; else number, valid or invalid, message,
signature. Bytes are hexadecimal, none are "-".
"""
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent


def main():
    folder = pathlib.Path(sys.argv[1])
    for kind in "ecdsa_secp256r1_sha256", "ecdsa_secp384r1_sha384":
        lines = []
        for group in json.loads((folder / f"{kind}_test.json").read_text())["testGroups"]:
            lines.append(f"key {group['publicKeyDer']}")
            for t in group["tests"]:
                lines.append(" ".join([str(t["tcId"]), t["result"], t["msg"] or "-", t["sig"] or "-"]))
        (HERE / f"{kind}.txt").write_text("\n".join(lines) + "\n")


main()
