#!/usr/bin/env python3
"""Sealed files as Google's own Tink makes them (PyPI: tink, cryptography), and Tink's opinion of psd's.

    tests/golden/seal/make.py                    # writes tink.key, tink-0.sealed and tink-11.sealed beside it
    tests/golden/seal/make.py open KEK AAD FILE  # opens FILE (and FILE.key) and writes the bytes to standard output

tink.key wraps the data key of both files by the KEK of bytes 0 to 31 for the associated data "psd/v1 lab model x 3". Byte
i of what is sealed is (7 i + 3) & 255. Tests: tests/unit/common/seal.
"""
import io
import os
import pathlib
import sys

import tink
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tink import aead, json_proto_keyset_format, streaming_aead

HERE = pathlib.Path(__file__).parent
AAD = b"psd/v1 lab model x 3"


class Kek(aead.Aead):
    """What a key-management service would do, with a key in hand."""

    def __init__(self, key):
        self.cipher = AESGCM(key)

    def encrypt(self, plaintext, associated_data):
        nonce = os.urandom(12)
        return nonce + self.cipher.encrypt(nonce, plaintext, associated_data)

    def decrypt(self, ciphertext, associated_data):
        return self.cipher.decrypt(ciphertext[:12], ciphertext[12:], associated_data)


def make():
    handle = tink.new_keyset_handle(streaming_aead.streaming_aead_key_templates.AES256_GCM_HKDF_1MB)
    (HERE / "tink.key").write_text(json_proto_keyset_format.serialize_encrypted(handle, Kek(bytes(range(32))), AAD))
    for n in (0, 11):
        sealed = io.BytesIO()
        sealed.close = lambda: None
        stream = handle.primitive(streaming_aead.StreamingAead).new_encrypting_stream(sealed, AAD)
        stream.write(bytes((7 * i + 3) & 255 for i in range(n)))
        stream.close()
        (HERE / f"tink-{n}.sealed").write_bytes(sealed.getvalue())


def open_one(kek, aad, path):
    aad = aad.encode()
    text = pathlib.Path(path + ".key").read_text()
    handle = json_proto_keyset_format.parse_encrypted(text, Kek(pathlib.Path(kek).read_bytes()), aad)
    with open(path, "rb") as sealed:
        with handle.primitive(streaming_aead.StreamingAead).new_decrypting_stream(sealed, aad) as stream:
            while piece := stream.read(1 << 20):
                sys.stdout.buffer.write(piece)


streaming_aead.register()
if len(sys.argv) == 1:
    make()
elif sys.argv[1] == "open" and len(sys.argv) == 5:
    open_one(*sys.argv[2:])
else:
    sys.exit(__doc__)
