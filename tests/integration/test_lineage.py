"""Where a model comes from: what psd knows of it stays with it, goes with it, and is signed with it; and whether somebody
else's word for a folder counts. What psctl signs, openssl's own commands verify: no code of psd's is in that."""
import base64
import datetime
import hashlib
import json
import shutil
import subprocess

from harness import run, wait_until
from scenes import QUICK, Scene, job_text, key, sealing, wait_share


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def lineage(cluster, name):
    return cluster.psctl_json("model", name, "--lineage")


def contributors(record):
    return {c["identity"]: (c["pushes"], c["refused"]) for c in record["contributors"]}


def signers(cluster):
    """A signers' CA with anna, in a folder of its own; the words that sign, and those that check."""
    folder = cluster.dir / "signers"
    folder.mkdir(exist_ok=True)
    cluster.psctl("cert", "create-signer", "--name", "anna", "--cluster", "test", "--dir", folder)
    return (["--signer-key", folder / "anna.key", "--signer-cert", folder / "anna.pem"],
            ["--signer-ca", folder / "signer-ca.pem"], folder)


def a_models_lineage_survives_restarts_and_what_it_came_from():
    with Scene() as cluster:
        cluster.begin(sealing(key(cluster, "kek")))
        first = cluster.submit(job_text(cluster, "first", more="checkpoint: {every: 200ms}"))
        wait_share(cluster, first, 0.3)
        with cluster.wire.slowly():
            folder = cluster.dir / f"state/checkpoints/{first}"
            wait_until("a checkpoint is there", lambda: list(folder.glob("checkpoint-[0-9]*")))
            cluster.server.kill()
            cluster.start_server(sealing(cluster.dir / "kek"))
        cluster.wait_job(first, timeout=90)
        record = lineage(cluster, "first")
        exported = cluster.dir / "first.safetensors"
        cluster.psctl("export", "first", "-o", exported)
        assert record["format"] == "psd-provenance/1" and record["cluster"] == "test", record
        assert record["model"]["sha256"] == sha256(exported) and record["model"]["bytes"] == exported.stat().st_size
        text = (cluster.dir / "job.yaml").read_text()
        assert record["job_file"] == {"sha256": hashlib.sha256(text.encode()).hexdigest(), "text": text}
        assert record["made"]["how"] == "train" and record["made"]["job"] == first
        assert record["made"]["by"] == "spiffe://test/submitter/alice" and record["began_from"] == []
        data = {(d["path"], d["sha256"], d["read_by"]) for d in record["data"]}
        for part in ("train-features", "train-labels", "test-features", "test-labels"):
            file = cluster.dir / f"{part}.gz"
            assert any(d[:2] == (str(file), sha256(file)) for d in data), (file, data)
        assert {d[2] for d in data} == {"spiffe://test/worker/w1", "spiffe://test/worker/w2"}, data
        counts = contributors(record)
        assert set(counts) == {"spiffe://test/worker/w1", "spiffe://test/worker/w2"}, counts
        # each push of an mlp is one update under asp: those that a crash undid are not counted twice
        assert sum(pushes for pushes, _ in counts.values()) == record["updates"], (counts, record["updates"])
        assert all(refused == 0 for _, refused in counts.values()) and record["checkpoint"] > 1
        head = record["audit_head"]
        assert head in {f"{n}:{h}" for n, h in heads(cluster)}, head

        # a model that began from it, when both it and the jobs are gone
        child = cluster.submit(job_text(cluster, "child", epochs=1, more="initialize_from: first"))
        cluster.wait_job(child, timeout=90)
        cluster.psctl("delete", "first")
        cluster.psctl("delete-job", first)
        kept = lineage(cluster, "child")
        assert [(b["as"], b["name"], b["sha256"]) for b in kept["began_from"]] == [("parent", "first", sha256(exported))]
        compressed = cluster.submit(f"""kind: compress
name: small
model_name: child
data: {{format: idx, test: {{features: {cluster.dir}/test-features.gz, labels: {cluster.dir}/test-labels.gz}}}}
compress:
  quantise: {{scheme: int8, method: round, group: row}}
workers: 2
""")
        cluster.wait_job(compressed)
        small = lineage(cluster, "small")
        assert [b["name"] for b in small["began_from"]] == ["child"] and [a["name"] for a in small["ancestors"]] == ["first"]
        assert small["began_from"][0]["sha256"] == kept["model"]["sha256"] and small["made"]["how"] == "compress"
        assert {d["path"] for d in small["data"]} == {f"{cluster.dir}/test-features.gz", f"{cluster.dir}/test-labels.gz"}

        # one that came from outside
        cluster.psctl("import", exported, "back")
        back = lineage(cluster, "back")
        assert back["made"]["how"] == "import" and back["model"]["sha256"] == sha256(exported) and "job_file" not in back
        shown = cluster.psctl("model", "small", "--lineage").stdout
        assert "child" in shown and "spiffe://test/worker/w" in shown and small["model"]["sha256"] in shown, shown
        assert b"spiffe://test/worker/w1" not in (cluster.dir / "state/psd.db").read_bytes(), "it is not sealed"


def openssl_says(cluster, folder, ca, name="model.sig"):
    """Whether openssl's commands find the signature good: over DSSE's encoding, by the leaf, which the CA has signed."""
    bundle = json.loads((folder / name).read_text())
    envelope, dir = bundle["dsseEnvelope"], cluster.dir / "openssl"
    dir.mkdir(exist_ok=True)
    payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"]
    (dir / "signed").write_bytes(b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload))
    (dir / "signature").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    leaf = bundle["verificationMaterial"]["x509CertificateChain"]["certificates"][0]["rawBytes"]
    (dir / "leaf.der").write_bytes(base64.b64decode(leaf))
    openssl = lambda *words: subprocess.run(["openssl", *map(str, words)], cwd=dir, check=True, capture_output=True, text=True)
    openssl("x509", "-inform", "der", "-in", "leaf.der", "-out", "leaf.pem")
    openssl("verify", "-CAfile", ca, "leaf.pem")
    (dir / "leaf.pub").write_text(openssl("x509", "-in", "leaf.pem", "-noout", "-pubkey").stdout)
    assert "OK" in openssl("dgst", "-sha256", "-verify", "leaf.pub", "-signature", "signature", "signed").stdout
    # and that a TLS client of this certificate would be let in nowhere
    tls = subprocess.run(["openssl", "verify", "-purpose", "sslclient", "-CAfile", str(ca), "leaf.pem"], cwd=dir,
                         capture_output=True, text=True, check=False)
    assert tls.returncode and "unsuitable certificate purpose" in tls.stderr, tls.stderr
    return json.loads(payload)


def said_for_slsa(statement, signed, out):
    """As SLSA v1.0 has it, about the same model, of what the record says."""
    record = json.loads((out / "psd-provenance.json").read_text())
    assert statement["subject"] == signed["subject"] and statement["predicateType"] == "https://slsa.dev/provenance/v1"
    definition, run = (statement["predicate"][part] for part in ("buildDefinition", "runDetails"))
    assert definition["buildType"] == "https://psd/train/v1"
    assert definition["externalParameters"] == {"model": "m", "job_file": record["job_file"]["text"]}
    data = {(d["uri"], d["digest"]["sha256"], d["annotations"]["read_by"]) for d in definition["resolvedDependencies"]}
    assert data and data == {("file://" + d["path"], d["sha256"], d["read_by"]) for d in record["data"]}, (data, record["data"])
    assert run["builder"] == {"id": "spiffe://test/server/psd", "version": {"psd": record["psd"]}}, run["builder"]
    made, metadata = record["made"], run["metadata"]
    ms = lambda text: round(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)
    assert metadata["invocationId"] == str(made["job"])
    assert [ms(metadata[key]) for key in ("startedOn", "finishedOn")] == [made["started_ms"], made["written_ms"]]
    assert run["byproducts"][0]["digest"]["sha256"] == sha256(out / "psd-provenance.json")
    assert run["byproducts"][0]["annotations"]["contributors"] == record["contributors"]


def what_is_exported_is_signed_and_checked():
    with Scene() as cluster:
        cluster.begin(QUICK)
        cluster.wait_job(cluster.submit(job_text(cluster, "m", epochs=1)))
        sign, check, folder = signers(cluster)
        out = cluster.dir / "out"
        said = cluster.psctl("export", "m", "--sign", *sign, "--to", out).stdout
        assert "signed by spiffe://test/signer/anna" in said, said
        assert {p.name for p in out.iterdir()} == {"m.safetensors", "psd-provenance.json", "model.sig", "model.slsa.sig"}
        assert json.loads((out / "psd-provenance.json").read_text()) == lineage(cluster, "m")
        statement = openssl_says(cluster, out, folder / "signer-ca.pem")
        resources = {r["name"]: r["digest"] for r in statement["predicate"]["resources"]}
        assert resources == {name: sha256(out / name) for name in ("m.safetensors", "psd-provenance.json")}
        root = hashlib.sha256(b"".join(bytes.fromhex(resources[name]) for name in sorted(resources))).hexdigest()
        assert statement["subject"] == [{"name": "out", "digest": {"sha256": root}}], statement["subject"]

        said_for_slsa(openssl_says(cluster, out, folder / "signer-ca.pem", "model.slsa.sig"), statement, out)
        assert cluster.psctl_json("model", "provenance", out, "--slsa")["subject"] == statement["subject"]

        verify = lambda *words: cluster.psctl("model", "verify", out, *words, check=False)
        found = cluster.psctl_json("model", "verify", out, *check, "--identity", "spiffe://test/signer/anna")
        assert found["root"] == root and found["signer"] == "spiffe://test/signer/anna" and found["provenance"] and found["slsa"], found
        assert "spiffe://test/worker/w1" in cluster.psctl("model", "provenance", out).stdout
        record = (out / "psd-provenance.json").read_text()
        for text, why in (("", "a value is expected"), (record[:-9], "does not end"), (record + "x", "something follows"),
                          ('{"format": "other"}', "it is no psd-provenance")):
            (cluster.dir / "psd-provenance.json").write_text(text)
            done = cluster.psctl("--output", "json", "model", "provenance", cluster.dir, check=False)
            assert done.returncode and why in done.stderr and not done.stdout, done

        shutil.copytree(out, cluster.dir / "copy")
        (cluster.dir / "copy/model.slsa.sig").write_text((out / "model.sig").read_text())
        done = cluster.psctl("model", "verify", cluster.dir / "copy", *check, check=False)
        assert done.returncode and "model.slsa.sig: statement: predicateType" in done.stderr, done.stderr

        # nothing is left of an export that fails, nor is one replaced
        again = cluster.psctl("export", "m", "--sign", *sign, "--to", out, check=False)
        assert again.returncode and "there already" in again.stderr, again.stderr
        unnamed = cluster.psctl("export", "m", "--sign", *sign, "--to", "", check=False)
        assert unnamed.returncode == 2 and "the name of a folder to write is empty" in unnamed.stderr, unnamed.stderr
        worker = ["--signer-key", cluster.certs / "w1.key", "--signer-cert", cluster.certs / "w1.pem"]
        refused = cluster.psctl("export", "m", "--sign", *worker, "--to", cluster.dir / "never", check=False)
        assert refused.returncode and "spiffe://test/worker/w1 is no signer" in refused.stderr, refused.stderr
        assert not list(cluster.dir.glob("never*"))

        # whom to believe is who checks' to say
        for words, why in ((["--signer-ca", cluster.certs / "ca.pem"], "is not one of signers"),
                           ([*check, "--identity", "spiffe://test/signer/bert"], "not by spiffe://test/signer/bert"),
                           ([], "whom do you trust?")):
            done = verify(*words)
            assert done.returncode and why in done.stderr, (words, done.stderr)
        cluster.psctl("cert", "crl", "--ca-cert", folder / "signer-ca.pem", "--ca-key", folder / "signer-ca.key")
        assert verify(*check, "--crl", folder / "signer-ca.crl").returncode == 0
        cluster.psctl("cert", "revoke", "anna", "--reason", "keyCompromise", "--ca-cert", folder / "signer-ca.pem", "--ca-key",
                      folder / "signer-ca.key")
        done = verify(*check, "--crl", folder / "signer-ca.crl")
        assert done.returncode and "was revoked on" in done.stderr and "keyCompromise" in done.stderr, done.stderr

        # a model may be called sign
        called = cluster.psctl("model", "--", "sign", check=False)
        assert "model 'sign' does not exist" in called.stderr, called.stderr


def heads(cluster):
    """Of each line of the audit log: its number and its SHA-256."""
    for line in (cluster.dir / "audit.log").read_bytes().splitlines():
        yield json.loads(line).get("seq"), hashlib.sha256(line).hexdigest()


if __name__ == "__main__":
    run([a_models_lineage_survives_restarts_and_what_it_came_from, what_is_exported_is_signed_and_checked])
