"""What psd keeps is sealed: not a weight of it lies on the disk as it is, and only its own keys open it."""
import struct

from harness import read_safetensors, run, wait_until
from scenes import QUICK, Scene, ends_as_if_calm, job_text, key, sealing, wait_share

EVERY = "checkpoint: {every: 200ms}"
JOB = (b"-features.gz", b"learning_rate", b"test accuracy", b"tensors of")  # what the catalog has of jobs


def keys(cluster):
    """As psctl shows them, the current one last. The catalog's is one of the files."""
    return sorted(cluster.psctl_json("key", "status", who="root")["keys"], key=lambda k: k["current"])


def sealed_files(cluster):
    state = cluster.dir / "state"
    return [p for folder in ("models", "artifacts", "checkpoints") for p in (state / folder).rglob("*")
            if p.is_file() and p.suffix != ".key" and p.name != "manifest"]


def weights(cluster, name):
    """The exported file, and 32 bytes of each of its larger tensors."""
    out = cluster.dir / f"{name}.safetensors"
    cluster.psctl("export", name, "-o", out, "--force")
    data = out.read_bytes()
    start = 8 + struct.unpack_from("<Q", data)[0]
    found = [data[at:at + 32] for at in range(start, len(data) - 32, max(32, (len(data) - start) // 16))]
    assert len(found) >= 8 and len(set(found)) == len(found)
    return data, found


def nowhere(cluster, patterns):
    for path in (cluster.dir / "state").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(p in data for p in [*patterns, *JOB]), f"{path} has weights, or words of a job, as they are"


def refuses_to_start(cluster, config, words):
    server = cluster.start_server(config, wait=False)
    wait_until("it gives up", lambda: not server.alive())
    assert words in server.text(), server.text()
    cluster.processes.remove(server)  # its status is no fault


def a_training_is_sealed_from_its_first_checkpoint_and_survives_kill_9():
    with Scene() as cluster:
        kek = key(cluster, "kek")
        cluster.begin(sealing(kek, require=True))
        job_id = cluster.submit(job_text(cluster, "sealed", more=EVERY))
        wait_share(cluster, job_id, 0.3)
        folder = cluster.dir / f"state/checkpoints/{job_id}"
        with cluster.wire.slowly():
            wait_until("a checkpoint is there", lambda: list(folder.glob("checkpoint-[0-9]*.key")))
            cluster.server.kill()
            for path in sealed_files(cluster):
                data = path.read_bytes()
                assert data[0] == 40 and b"PSD" not in data[:64], path
            cluster.start_server(sealing(kek, require=True))
        ends_as_if_calm(cluster, job_id, "asp")
        plain, patterns = weights(cluster, "sealed")
        assert read_safetensors(cluster.dir / "sealed.safetensors")
        nowhere(cluster, patterns)
        assert all(path.with_name(path.name + ".key").exists() for path in sealed_files(cluster))

        # another key: the old one is asked for by its name
        assert cluster.psctl("key", "rotate", check=False, who="alice").returncode, "for an admin"
        (old_id,) = keys(cluster)
        assert old_id["files"] == len(sealed_files(cluster)) + 1 and old_id["current"], old_id
        cluster.server.stop()
        new = key(cluster, "new")
        refuses_to_start(cluster, sealing(new),
                         f"key {old_id['id']} is needed and is not here: name it under sealing.previous")

        # nor is another key made for the catalog that one has sealed
        catalog_key = cluster.dir / "state/psd.db.key"
        kept = catalog_key.read_bytes()
        catalog_key.unlink()
        refuses_to_start(cluster, sealing(kek), "psd.db.key is gone, and the catalog is sealed by it")
        assert not catalog_key.exists()
        catalog_key.write_bytes(kept)

        # the key is changed while psd runs: not a byte of a file is written
        cluster.start_server(sealing(kek))
        before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in sealed_files(cluster)}
        config = cluster.dir / "psd.yaml"
        config.write_text(config.read_text().replace(sealing(kek), sealing(new, kek)))
        cluster.psctl("key", "rotate", "--wait", who="root")
        assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in sealed_files(cluster)} == before
        old, now = keys(cluster)
        assert (old["id"], now["files"], old["files"], old["present"]) == (old_id["id"], len(before) + 1, 0, True), (old, now)
        said = cluster.psctl("key", "retire", now["id"], who="root", check=False)
        assert said.returncode and "is the current key" in said.stderr, said.stderr
        broken = next(iter(before))
        broken = broken.with_name(broken.name + ".key")
        kept = broken.read_bytes()
        broken.write_bytes(b"{")
        said = cluster.psctl("key", "retire", old["id"], who="root", check=False)
        assert said.returncode and f"whether a file needs {old['id']} is not known" in said.stderr, said.stderr
        broken.write_bytes(kept)
        cluster.psctl("key", "retire", old["id"], who="root")
        assert [k["id"] for k in keys(cluster)] == [now["id"]]
        assert weights(cluster, "sealed")[0] == plain
        cluster.server.stop()
        cluster.start_server(sealing(new))
        assert weights(cluster, "sealed")[0] == plain

        # a byte that was changed is found, and where
        cluster.server.stop()
        (model,) = (cluster.dir / "state/models").glob("*.safetensors")
        data = bytearray(model.read_bytes())
        data[len(data) // 2] ^= 1
        model.write_bytes(data)
        cluster.start_server(sealing(new))
        said = cluster.psctl("export", "sealed", "-o", cluster.dir / "x", check=False)
        assert said.returncode and "segment 0 does not authenticate (byte 40)" in said.stderr, said.stderr

        # without a key psd does not take sealed files for damaged ones
        cluster.server.stop()
        refuses_to_start(cluster, QUICK, "is sealed: name its key under sealing.kek")


def a_killed_seal(cluster, by, out):
    """--force, killed before the new key has its name, and after: the files are put so by hand."""
    sealed, key, beside, others = (cluster.dir / name for name in ("sealed", "sealed.key", "sealed.sealing", "others.key"))
    others.write_text("a key of something else")
    (cluster.dir / "second").write_bytes(b"second")
    for after in (False, True):
        old, old_key, plain = sealed.read_bytes(), key.read_bytes(), out.read_bytes()
        key.unlink()
        sealed.unlink()
        cluster.psctl("seal", cluster.dir / "second", *by, "-o", sealed)
        sealed.rename(beside)
        sealed.write_bytes(old)
        if not after:
            key.write_bytes(old_key)
        said = cluster.psctl("unseal", sealed, *by, "-o", out, "--force", check=False)
        assert bool(said.returncode) == after, said
        assert not after or "sealed.sealing is there: a psctl seal --force was killed" in said.stderr, said
        said = cluster.psctl("seal", cluster.dir / "second", *by, "-o", sealed, check=False)
        assert "brought to its end" in said.stderr and "is there already" in said.stderr and not beside.exists(), said
        cluster.psctl("unseal", sealed, *by, "-o", out, "--force")
        assert out.read_bytes() == (b"second" if after else plain) and others.exists()


def a_folder_that_was_plain_is_sealed_in_the_background():
    with Scene() as cluster:
        cluster.begin(QUICK)
        cluster.wait_job(cluster.submit(job_text(cluster, "plain", epochs=1)))
        plain, patterns = weights(cluster, "plain")
        (model,) = (cluster.dir / "state/models").glob("*.safetensors")
        assert patterns[0] in model.read_bytes()
        cluster.server.stop()
        kek = key(cluster, "kek")
        cluster.start_server(sealing(kek))
        wait_until("it is sealed", model.with_name(model.name + ".key").exists)
        wait_until("and psd says so", lambda: cluster.psctl_json("status")["files_plain"] == 0)
        said = cluster.psctl_json("status")
        assert said["files_sealed"] == len(sealed_files(cluster)) + 1 and said["sealing_key"].startswith("k-"), said
        cluster.server.stop()
        cluster.start_server(sealing(kek, require=True))
        assert weights(cluster, "plain")[0] == plain
        nowhere(cluster, patterns)

        # a file of a backup, by itself, and what psctl seals by itself
        copy, out = cluster.dir / "backup/models" / model.name, cluster.dir / "out"
        copy.parent.mkdir(parents=True)
        for ending in ("", ".key"):
            copy.with_name(copy.name + ending).write_bytes(model.with_name(model.name + ending).read_bytes())
        cluster.psctl("unseal", copy, "--kek", f"file:{kek}", "--cluster", "test", "-o", out)
        assert out.read_bytes() == plain and out.stat().st_mode & 0o077 == 0
        said = cluster.psctl("unseal", copy, "--kek", f"file:{kek}", "--cluster", "other", "-o", out, "--force", check=False)
        assert said.returncode and "does not authenticate" in said.stderr and out.read_bytes() == plain, said.stderr
        cluster.psctl("key", "create", cluster.dir / "mine")
        by = ["--kek", f"file:{cluster.dir}/mine", "--as", "a text"]
        cluster.psctl("seal", out, *by, "-o", cluster.dir / "sealed")
        assert cluster.psctl("seal", out, *by, "-o", cluster.dir / "sealed", check=False).returncode
        assert cluster.psctl("seal", cluster.dir / "no-such", *by, "-o", cluster.dir / "sealed", "--force", check=False).returncode
        cluster.psctl("unseal", cluster.dir / "sealed", *by, "-o", out, "--force")
        assert out.read_bytes() == plain
        a_killed_seal(cluster, by, out)


if __name__ == "__main__":
    run([a_training_is_sealed_from_its_first_checkpoint_and_survives_kill_9,
         a_folder_that_was_plain_is_sealed_in_the_background])
