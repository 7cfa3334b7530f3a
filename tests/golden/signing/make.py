#!/usr/bin/env python3
"""A small model and what PyPI's model-signing 1.1.1 signs of it, by its own command and library, with keys and certificates
of openssl's; tests/unit/common/signing/test_model_sign.c holds psd's check against them:

    python3 -m venv V && V/bin/pip install model-signing==1.1.1 pyopenssl && V/bin/python tests/golden/signing/make.py

model/ is signed in key.sig, certificate.sig, shards.sig. The certificate is in force for a hundred years, so that the files
need not be made anew. Each run makes others: the private keys are not kept.

    V/bin/python tests/golden/signing/make.py check PSCTL

holds the tool against what psctl signs: by key, by certificate, with model.slsa.sig beside; and that it refuses what psctl's
check refuses, but for what it does not look at. What model.slsa.sig says, in-toto-attestation's messages of SLSA's provenance
take (model-signing brings that package along); so they do slsa.json, which is what tests/unit/common/signing/test_slsa.c
wants psd to make of psd-provenance.json here.
"""
import base64
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import model_signing
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2

HERE = pathlib.Path(__file__).parent
TOOL = pathlib.Path(sys.executable).parent / "model_signing"


def do(*words, cwd=None, good=True):
    done = subprocess.run([str(w) for w in words], cwd=cwd, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == good, (words, done.stdout, done.stderr)
    return done.stdout + done.stderr


def key(folder, name):
    do("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}.key", cwd=folder)
    do("openssl", "pkey", "-in", f"{name}.key", "-pubout", "-out", f"{name}.pub", cwd=folder)


def certificates(folder):
    """A signers' CA and one signer, as psctl cert create-signer makes them, but by openssl and for longer."""
    for name in "ca", "anna":
        key(folder, name)
    (folder / "ca.cnf").write_text("[x]\nbasicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n"
                                   "extendedKeyUsage=codeSigning\nsubjectAltName=URI:spiffe://lab\n"
                                   "subjectKeyIdentifier=hash\n")
    (folder / "anna.cnf").write_text("[x]\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
                                     "extendedKeyUsage=codeSigning\nsubjectAltName=URI:spiffe://lab/signer/anna\n"
                                     "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
    for name, subject in ("ca", "/O=lab/CN=signers"), ("anna", "/O=lab/CN=anna"):
        do("openssl", "req", "-new", "-key", f"{name}.key", "-subj", subject, "-out", f"{name}.csr", cwd=folder)
    do("openssl", "x509", "-req", "-in", "ca.csr", "-signkey", "ca.key", "-days", "36500", "-extfile", "ca.cnf", "-extensions", "x",
       "-out", "ca.pem", cwd=folder)
    do("openssl", "x509", "-req", "-in", "anna.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "36400",
       "-extfile", "anna.cnf", "-extensions", "x", "-out", "anna.pem", cwd=folder)


def shards(model, signature, private):
    """What the command cannot, the library does."""
    hashing = model_signing.hashing.Config().use_shard_serialization(shard_size=1000)
    hashing.set_ignored_paths(paths=[signature])
    model_signing.signing.Config().use_elliptic_key_signer(private_key=private).set_hashing_config(hashing).sign(model, signature)


def make():
    model = HERE / "model"
    shutil.rmtree(model, ignore_errors=True)
    (model / "sub").mkdir(parents=True)
    (model / "config.json").write_text('{"made": "for psd"}\n')
    (model / "sub/weights.bin").write_bytes(bytes(range(256)) * 10)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        certificates(folder)
        key(folder, "key")
        do(TOOL, "sign", "key", model, "--signature", HERE / "key.sig", "--private_key", folder / "key.key")
        do(TOOL, "sign", "certificate", model, "--signature", HERE / "certificate.sig", "--private_key", folder / "anna.key",
           "--signing_certificate", folder / "anna.pem", "--certificate_chain", folder / "ca.pem")
        shards(model, HERE / "shards.sig", folder / "key.key")
        shutil.copy(folder / "key.pub", HERE)
        shutil.copy(folder / "ca.pem", HERE)


def slsa(statement):
    """Members that in-toto's and SLSA's messages do not have, and texts that are no times, are errors here."""
    provenance = json_format.ParseDict(statement["predicate"], provenance_pb2.Provenance())
    json_format.ParseDict(statement, statement_pb2.Statement())
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    definition, run = provenance.build_definition, provenance.run_details
    assert definition.build_type == "https://psd/train/v1" and run.builder.id == "spiffe://lab/server/psd"
    assert [d.digest["sha256"][:4] for d in definition.resolved_dependencies] == ["e3b0", "", "e3b0"]
    assert run.metadata.started_on.ToMilliseconds() == 1764630001000 and run.metadata.invocation_id == "7"
    assert run.byproducts[0].annotations["contributors"][0]["pushes"] == 3


def check(psctl):
    slsa(json.loads((HERE / "slsa.json").read_text()))
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        certificates(folder)
        key(folder, "key")
        model, signature = folder / "model", folder / "model/model.sig"
        shutil.copytree(HERE / "model", model)
        by_key = lambda good=True: do(TOOL, "verify", "key", model, "--signature", signature, "--public_key", folder / "key.pub",
                                      good=good)
        by_certificate = lambda good=True: do(TOOL, "verify", "certificate", model, "--signature", signature,
                                              "--certificate_chain", folder / "ca.pem", good=good)
        do(psctl, "model", "sign", model, "--signer-key", folder / "key.key")
        print("by key:", by_key().strip())
        do(psctl, "model", "sign", model, "--signer-key", folder / "anna.key", "--signer-cert", folder / "anna.pem", "--force")
        print("by certificate:", by_certificate().strip())
        for file, edit in ("config.json", "changed"), ("more.bin", "extended"):
            before = (model / file).read_bytes() if (model / file).exists() else None
            (model / file).write_text("else")
            by_certificate(good=False)
            do(psctl, "model", "verify", model, "--signer-ca", folder / "ca.pem", good=False)
            print(f"{edit}: both refuse it")
            (model / file).write_bytes(before) if before is not None else (model / file).unlink()
        do(psctl, "model", "verify", model, "--signer-ca", folder / "ca.pem")
        shutil.copy(HERE / "psd-provenance.json", model)
        do(psctl, "model", "sign", model, "--signer-key", folder / "anna.key", "--signer-cert", folder / "anna.pem", "--force")
        print("with model.slsa.sig:", by_certificate().strip())
        envelope = json.loads((model / "model.slsa.sig").read_text())["dsseEnvelope"]
        slsa(json.loads(base64.b64decode(envelope["payload"])))
        do(psctl, "model", "verify", model, "--signer-ca", folder / "ca.pem")


if __name__ == "__main__":
    check(pathlib.Path(sys.argv[2]).resolve()) if len(sys.argv) > 1 and sys.argv[1] == "check" else make()
