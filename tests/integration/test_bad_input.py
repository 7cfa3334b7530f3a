"""What is wrong in a configuration, a job, a data file, a model file, a key or a folder: one clear line that says what,
where and what to do; an exit status; and nothing changed."""
import contextlib
import json
import os
import re
import sqlite3
import struct
import subprocess

import numpy as np

from harness import PSD, PSWORKER, REPORTS, SLOW, Cluster, run, write_idx

MISUSE, FAILED = 2, 1  # exit status of the daemons


def start(command, seconds=20):
    """A daemon that must not start: its exit status and what it says."""
    try:
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=seconds * SLOW,
                              stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"{command} runs") from None
    assert not any(mark in done.stderr for mark in REPORTS), done.stderr
    return done.returncode, done.stderr.strip()


def refused(command, status, words):
    found, line = start(command)
    assert words in line, f"'{words}' is not in: {line}"
    assert found == status, f"exit status {found}: {line}"


def server_yaml(cluster, state="other-state"):
    return f"""listen: {{address: 127.0.0.1, port: 0}}
metrics: {{address: 127.0.0.1, port: 0}}
data_dir: {cluster.dir}/{state}
tls: {{ca: {cluster.certs}/ca.pem, certificate: {cluster.certs}/psd.pem, key: {cluster.certs}/psd.key}}
"""


def worker_yaml(cluster):
    return f"""server: localhost:1
tls: {{ca: {cluster.certs}/ca.pem, certificate: {cluster.certs}/w1.pem, key: {cluster.certs}/w1.key}}
"""


def wrong_keys_of_psd_are_named_with_file_and_line():
    # what stands on line 5, and what is said after "FILE:5: "
    cases = [
        ("lisen: 3", "lisen: unknown key; did you mean 'listen'? allowed: listen, metrics, data_dir, tls, "),
        ("checkpoint: {every: 3s}", "checkpoint.every: unknown key; allowed: interval, keep"),
        ("limits: {streams: many}", "limits.streams: expected an integer, got 'many'"),
        ("limits: {streams: 0}", "limits.streams: 0 is out of range, allowed 1 to 10000"),
        ("limits: {message_bytes: 1KiB}", "limits.message_bytes: 1KiB is out of range, allowed 64KiB to 1GiB"),
        ("limits: {call_bytes: 128MiB}", "limits.call_bytes: is more than limits.connection_bytes"),
        ("limits: [1]", "limits: expected keys and values, got a list"),
        ("log: {level: loud}", "log.level: 'loud' is not known; allowed: error, warning, notice, info, debug, trace"),
        ("jobs: {heartbeat: 3}", "jobs.heartbeat: expected a duration such as 30s, 5m or 250ms, got '3'"),
        ("jobs: {lease_timeout: 1s, heartbeat: 2s}", "jobs.lease_timeout: must be at least twice jobs.heartbeat"),
        ("keepalive: {interval: 10ms}", "keepalive.interval: 10ms is out of range, allowed 1s to 1d"),
        ("loops: 1.5", "loops: expected an integer, got '1.5'"),
        ("loops: -1", "loops: -1 is out of range, allowed 0 to 256"),
        ("audit_log:", "audit_log: expected a text, got nothing"),
        ("metrics: {enabled: perhaps}", "metrics: written twice, first on line 2"),
        ("\tloops: 1", "not valid YAML: "),
    ]
    with Cluster() as cluster:
        path = cluster.dir / "wrong.yaml"
        for text, words in cases:
            path.write_text(server_yaml(cluster) + text + "\n")
            refused([PSD, "--config", path], MISUSE, f"psd: {path}:5: {words}")
        path.write_text("data_dir: /nowhere\n")
        for part in ("ca", "certificate", "key"):
            refused([PSD, "--config", path], MISUSE, f"psd: {path}:1: tls.{part}: missing; a text is required here")
        path.write_text(server_yaml(cluster))
        flags = [
            (["--config", "/no/such/file"], "/no/such/file: No such file or directory"),
            (["--config", cluster.dir], "Is a directory"),
            (["--config"], "--config needs a value; see --help"),
            (["--confg"], "--confg is not an option of psd; see --help"),
            (["extra"], "'extra': psd takes no arguments; see --help"),
            (["--config", path, "--log-level", "loud"], "--log-level: 'loud' is not known; allowed: error, "),
            (["--config", path, "--listen", "127.0.0.1:99999"], "--listen: "),
        ]
        for arguments, words in flags:
            refused([PSD, *arguments], MISUSE, words)
        assert not (cluster.dir / "other-state").exists(), "a psd that did not start made its folder"


def wrong_keys_of_psworker_are_named_with_file_and_line():
    cases = [
        ("devise: cpu", "devise: unknown key; did you mean 'device'? allowed: server, name, tls, device, "),
        ("device: tpu", "device: 'tpu' is not known; did you mean 'cpu'? allowed: auto, cpu, cuda, cuda:N (N: which GPU, from 0)"),
        ("device: 'cuda:'", "device: 'cuda:' is not known; did you mean 'cuda:N'? allowed: auto, cpu, cuda, cuda:N (N: "),
        ("device: 'cuda:01'", "device: 'cuda:01' is not known; "),
        ("device: cuda:-1", "device: 'cuda:-1' is not known; "),
        ("device: [cuda:0, cuda:1]", "device: expected a text, got a list"),
        ("tf32: yes", "tf32: expected true or false, got 'yes'"),
        ("threads: 2000", "threads: 2000 is out of range, allowed 0 to 1024"),
        ("threads: x", "threads: expected an integer, got 'x'"),
        ("data_roots: /x", "data_roots: expected a list of texts, got '/x'"),
        ("memory_bytes: 1KiB", "memory_bytes: 1KiB is out of range, allowed 1MiB to 32TiB"),
        ("reconnect: {min: 1ms}", "reconnect.min: 1ms is out of range, allowed 10ms to 10m"),
        ("reconnect: {min: 5s, max: 1s}", "reconnect.min: is more than reconnect.max"),
    ]
    with Cluster() as cluster:
        cluster.make_client("worker", "w1")
        path = cluster.dir / "wrong.yaml"
        for text, words in cases:
            path.write_text(worker_yaml(cluster) + text + "\n")
            refused([PSWORKER, "--config", path], MISUSE, f"psworker: {path}:3: {words}")
        path.write_text(worker_yaml(cluster))
        refused([PSWORKER, "--config", path, "--device", "cuda:x"], MISUSE,
                "psworker: --device: 'cuda:x' is not known; did you mean 'cuda:N'? allowed: auto, cpu, cuda, cuda:N (N: ")
        path.write_text(worker_yaml(cluster).replace("w1.key", "alice.key"))
        refused([PSWORKER, "--config", path], FAILED, "does not belong to the certificate")
        path.write_text(worker_yaml(cluster).replace("w1.", "psd."))
        refused([PSWORKER, "--config", path], FAILED, "is not one for a client (clientAuth)")


def wrong_keys_of_a_job_are_named_with_file_and_line():
    with Cluster() as cluster:
        cluster.start_server()
        good = cluster.tiny_job()
        path = cluster.dir / "wrong-job.yaml"
        # what is replaced by what, on which line, and what is said
        cases = [
            ("epochs", "epoks", 9, "train.epoks: unknown key; did you mean 'epochs'? allowed: epochs, batch_size, "),
            ("epochs: 5", "epochs: five", 9, "train.epochs: expected an integer, got 'five'"),
            ("epochs: 5", "epochs: 0", 9, "train.epochs: 0 is out of range, allowed 1 to 1000000"),
            ("batch_size: 32", "batch_size: 3.5", 10, "train.batch_size: expected an integer, got '3.5'"),
            ("adamw", "adam", 11, "train.optimizer.name: 'adam' is not known; did you mean 'adamw'? allowed: sgd, "),
            ("0.003", ".nan", 11, "train.optimizer.learning_rate: expected a number, got '.nan'"),
            ("mode: asp", "mode: later", 12, "train.consistency.mode: 'later' is not known; allowed: asp, bsp"),
            ("mlp", "forest", 3, "model.architecture: 'forest' is not known; allowed: "),
            ("[16, 32, 4]", "[16]", 3, "model.layers: 1 entries, allowed 2 to 256"),
            ("[16, 32, 4]", "[16, -3]", 3, "model.layers[1]: -3 is out of range, allowed 1 to "),
            ("[16, 32, 4]", "16", 3, "model.layers: expected a list of integers, got '16'"),
            ("kind: train", "kind: tain", 1, "kind: 'tain' is not known; did you mean 'train'? allowed: train, "),
            ("kind: train\n", "", 1, "kind: missing; "),
            ("name: tiny", "name: Tiny Job", 2, "name: 'Tiny Job' is not a name; allowed: 1 to 64 of a-z 0-9 . _ -"),
            ("workers: 2", "workers: 0", 13, "workers: 0 is out of range, allowed 1 to 4096"),
            ("workers: 2", "workers: 2\nworkers: 3", 14, "workers: written twice, first on line 13"),
            ("workers: 2", "workers: 1\nmin_workers: 2", 14, "min_workers: 2 is more than workers, 1"),
            ("format: idx", "format: parquet", 5, "data.format: 'parquet' is not known; allowed: idx, csv"),
            ("  test: ", "  tets: ", 7, "data.tets: unknown key; did you mean 'test'?"),
            (f"features: {cluster.dir}", "features: .", 6, "must be an absolute path: workers open it"),
        ]
        for old, new, line, words in cases:
            assert old in good, old
            path.write_text(good.replace(old, new, 1))
            done = cluster.psctl("submit", path, check=False)
            assert f"psctl: submit: {path}:{line}: " in done.stderr and words in done.stderr, (new, done.stderr)
            assert done.returncode == 6 and not done.stdout, (new, done)
        done = cluster.psctl("submit", cluster.dir / "nothing.yaml", check=False)
        assert done.returncode == 5 and "nothing.yaml: No such file or directory" in done.stderr, done
        assert cluster.psctl_json("jobs")["jobs"] == [], "a refused job exists"


class Failing:
    """Jobs that fail, one after the other, on one psd and one worker."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.job = cluster.tiny_job(workers=1, epochs=1)

    def expect(self, text, *words):
        job = self.cluster.wait_job(self.cluster.submit(text), ("failed",), 20)
        for word in words:
            assert word in job["reason"], f"'{word}' is not in: {job['reason']}"

    def with_features(self, name, *words):
        """A file in place of the features to train on."""
        self.expect(self.job.replace("train-features.gz", name), f"/{name}", *words)


def wrong_data_fails_the_job_with_file_and_offset():
    with Cluster() as cluster:
        train_x, train_y, _, _ = cluster.tiny_data()
        cluster.start_server()
        cluster.start_worker("w1")
        wrong, folder = Failing(cluster), cluster.dir
        wrong.with_features("nothere.gz", "worker w1: training data: ", ": No such file or directory")
        wrong.expect(wrong.job.replace("test-labels", "nothere"), "test data: ", "No such file or directory")

        write_idx(folder / "whole.idx", train_x.reshape(-1, 4, 4))
        whole, packed = (folder / "whole.idx").read_bytes(), (folder / "train-features.gz").read_bytes()
        flipped = bytearray(packed)
        flipped[len(packed) // 2] ^= 0xFF
        files = [
            ("short.idx", whole[:1000], "truncated, its header says 2000 rows of 16 values from byte 16 on"),
            ("long.idx", whole + b"x", "byte 32016: more bytes than the header says"),
            ("empty.idx", b"", "byte 0: truncated, 4 more bytes expected"),
            ("header.idx", whole[:10], "byte 10: truncated"),
            ("text.idx", b"1,2,3\n" * 100, "byte 0: not an idx file, its first bytes are 31 2c 32 2c"),
            ("short.gz", packed[:len(packed) // 2], "gzip data is cut short: the file ends here"),
            ("flipped.gz", bytes(flipped), "gzip data is damaged ("),
        ]
        for name, data, words in files:
            (folder / name).write_bytes(data)
            wrong.with_features(name, words)
        assert "<fd:" not in cluster.server.text(), "zlib's name of a file"

        labels = train_y.copy()
        labels[1234] = 9
        write_idx(folder / "labels.gz", labels)
        wrong.expect(wrong.job.replace("train-labels", "labels"), "labels.gz: byte 1242: row 1234 has label 9, allowed "
                     "0 to 3")
        write_idx(folder / "labels.gz", train_y[:1999])
        wrong.expect(wrong.job.replace("train-labels", "labels"), "labels.gz has 1999 rows, but ", " has 2000")
        wrong.expect(wrong.job.replace("[16, 32, 4]", "[17, 32, 4]"), ": 16 numbers a row, but the model takes 17")

        row = ",".join("1" * 16)
        csv = re.sub(r", labels: [^}]*", "", wrong.job.replace("format: idx", "format: csv"))
        for text, words in [(f"{row},0\n{row},1\n{row},x\n", "a.csv:3: column 16: 'x' is not a number"),
                            (f"{row},0\n{row}\n", "a.csv:2: 16 columns, but the first line has 17"),
                            (f"{row},0\n{row},7\n", "a.csv:2: row 1 has label 7, allowed 0 to 3"),
                            (f"{row},0\n{row},nan\n", "a.csv:2: column 16 is 'nan'; a row needs its label"),
                            ("", "a.csv: no rows")]:
            (folder / "a.csv").write_text(text)
            wrong.expect(csv.replace("train-features.gz", "a.csv").replace("test-features.gz", "a.csv"), words)

        (folder / "link.idx").symlink_to("/etc/passwd")
        os.mkfifo(folder / "pipe.idx")
        features, outside = f"{folder}/train-features.gz", "not below a folder that this worker lets jobs read"
        wrong.expect(wrong.job.replace(features, "/etc/passwd"), f"/etc/passwd: {outside} (data_roots: {folder}, ")
        wrong.expect(wrong.job.replace(features, f"{folder}/../../etc/passwd"), outside)
        wrong.expect(wrong.job.replace(features, f"{folder}/link.idx"), outside)
        wrong.expect(wrong.job.replace(features, f"{folder}/pipe.idx"), "not a regular file")
        wrong.expect(wrong.job.replace(features, str(folder)), "not a regular file")

        assert cluster.psctl_json("models")["models"] == []
        cluster.wait_job(cluster.submit(wrong.job))  # and the worker works


def a_model_of_other_shapes_is_not_overwritten():
    with Cluster() as cluster:
        cluster.tiny_data()
        cluster.start_server()
        cluster.start_worker("w1")
        wrong, folder = Failing(cluster), cluster.dir
        cluster.wait_job(cluster.submit(wrong.job))
        before = cluster.psctl_json("model", "tiny")
        other = wrong.job.replace("[16, 32, 4]", "[16, 8, 4]")
        wrong.expect(other, "model 'tiny' exists with other shapes: tensor layers.0.weight is [32, 16] there and "
                     "[8, 16] in this job; use another name or delete it")
        assert cluster.psctl_json("model", "tiny") == before

        def fails(status, words, *arguments):
            done = cluster.psctl(*arguments, check=False)
            assert words in done.stderr, f"'{words}' is not in: {done.stderr}"
            assert done.returncode == status and not done.stdout, (arguments, done)

        started = other.replace("name: tiny", "name: next\ninitialize_from: tiny")
        for text, status, words in (
                (started, 6, "started.yaml:4: model: leave the section out, or write in it what model tiny is, which the job begins from: "
                 "model.layers is [16, 8, 4] here and [16, 32, 4] there"),
                (started.replace("from: tiny", "from: nobody"), 5, "model 'nobody' does not exist")):
            (folder / "started.yaml").write_text(text)
            fails(status, words, "submit", folder / "started.yaml")

        write_idx(folder / "wide.gz", np.zeros((10, 5, 5), np.uint8))
        fails(1, "wide.gz: 25 numbers a row, but the model takes 16", "predict", "tiny", folder / "wide.gz")
        fails(2, "format idx keeps labels in a file of their own: psctl evaluate tiny FEATURES LABELS",
              "evaluate", "tiny", folder / "test-features.gz")
        fails(6, "psctl: compare: --labels: missing", "compare", "tiny", "tiny", "--data", folder / "test-features.gz")
        fails(1, "test-labels.gz has 500 rows, but ", "evaluate", "tiny", folder / "wide.gz", folder / "test-labels.gz")
        fails(5, "model 'nobody' does not exist", "predict", "nobody", folder / "test-features.gz")
        fails(5, "model 'nobody' does not exist", "export", "nobody", "-o", folder / "nothing")
        assert not (folder / "nothing").exists()

        model = folder / "model.safetensors"
        cluster.psctl("export", "tiny", "-o", model)
        good = model.read_bytes()
        (length,) = struct.unpack("<Q", good[:8])
        head, body = good[8:8 + length], good[8 + length:]

        def changed(old, new):
            assert old in head
            text = head.replace(old, new, 1)
            return struct.pack("<Q", len(text)) + text + body
        files = [
            ("cut", good[:-4], f"is cut off: it has {len(good) - 4} of {len(good)} bytes; fetch it anew"),
            ("longer", good + b"1234", "bytes, its header says"),
            ("empty", b"", "model.safetensors is empty"),
            ("huge header", b"\xff" * 8 + good[8:], "a header of 18446744073709551615 bytes, allowed 2 to 100000000"),
            ("text", b"garbage!" * 1000, "is text; a model is a safetensors or GGUF file"),
            ("no JSON", good[:8] + b"x" + good[9:], "the header does not start with {"),
            ("half floats", changed(b"F32", b"F16"), "shape and dtype take 1024 bytes, but data_offsets are [0, 2048]"),
            ("another shape", changed(b"[32,16]", b"[32,17]"), "tensor layers.0.weight: shape and dtype take 2176"),
            ("overlap", changed(b"[2048,2176]", b"[2044,2172]"), "tensor layers.0.bias"),
            ("architecture", changed(b"{architecture: mlp", b"{architecture: foo"), "'foo' is not known"),
        ]
        for what, data, words in files:
            model.write_bytes(data)
            done = cluster.psctl("import", model, "wrong", check=False)
            assert done.returncode == 6 and words in done.stderr, (what, done)
            assert str(cluster.dir / "state") not in done.stderr, f"where psd keeps its files: {done.stderr}"
        assert not any("wrong" in p.name for p in (folder / "state").rglob("*")), "refused files are kept"
        model.write_bytes(good)
        fails(7, "model tiny: it exists; say that it is to be replaced (--replace)", "import", model, "tiny")
        fails(6, "'../tiny' cannot be a model's name; allowed: 1 to 64 of a-z 0-9 . _ -", "import", model, "../tiny")
        assert cluster.psctl_json("model", "tiny") == before

        # weights that are finite, and outputs that are not
        model.write_bytes(good[:8 + length] + np.full(len(body) // 4, 3e38, "<f4").tobytes())
        cluster.psctl("import", model, "steep")
        test = [folder / "test-features.gz", folder / "test-labels.gz"]
        fails(1, f"in rows 0 to 255 of {test[0]}; has the model NaN or infinity in it", "evaluate", "steep", *test)
        said = cluster.psctl("--output", "json", "predict", "steep", test[0], "--rows", "1:3")
        assert json.loads(said.stdout)["predictions"] == [
            {"row": row, "class": None, "probabilities": [None] * 4} for row in (1, 2)], said.stdout
        assert "2 of 2 rows have outputs that are not finite (null)" in said.stderr, said.stderr


@contextlib.contextmanager
def without_privileges():
    """The command that starts another one which the modes of files hold for, root or not."""
    drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]
    yield drop if os.getuid() == 0 else []


def keys_folders_and_ports_that_cannot_be_used_are_said():
    with Cluster() as cluster, without_privileges() as drop:
        cluster.make_client("worker", "w1")
        path, certs = cluster.dir / "other.yaml", cluster.certs

        def fails(words, old="", new="", text=None):
            text = text or server_yaml(cluster)
            assert old in text
            path.write_text(text.replace(old, new))
            refused([*drop, PSD, "--config", path], FAILED, words)

        (certs / "locked.key").write_bytes((certs / "psd.key").read_bytes())
        (certs / "locked.key").chmod(0)
        (certs / "garbage.key").write_text("garbage\n")
        (certs / "garbage.key").chmod(0o600)
        fails(f"private key {certs}/locked.key: Permission denied", "psd.key", "locked.key")
        fails(f"private key {certs}/none.key: No such file or directory", "psd.key", "none.key")
        fails(f"private key {certs}/garbage.key: holds no PEM private key", "psd.key", "garbage.key")
        fails(f"certificate {certs}/garbage.key: holds no PEM certificate", "psd.pem", "garbage.key")
        fails(f"private key {certs}/w1.key does not belong to the certificate {certs}/psd.pem", "psd.key", "w1.key")
        fails("is not one for a server (serverAuth)", "/psd.", "/w1.")

        state = f"{cluster.dir}/other-state"
        (cluster.dir / "file").write_text("")
        (cluster.dir / "readonly").mkdir(mode=0o555)
        fails(f"{cluster.dir}/no/such/folder: No such file or directory", state, f"{cluster.dir}/no/such/folder")
        fails(f"{cluster.dir}/file", state, f"{cluster.dir}/file")
        fails(f"{cluster.dir}/readonly", state, f"{cluster.dir}/readonly")

        cluster.start_server()
        fails(f"data_dir {cluster.dir}/state: another psd works in it, process {cluster.server.popen.pid}",
              state, f"{cluster.dir}/state")
        fails(f"listen on 127.0.0.1 port {cluster.port}: Address already in use", "port: 0}\nm",
              f"port: {cluster.port}}}\nm")
        fails(f"127.0.0.1 port {cluster.metrics_port}: Address already in use", "metrics: {address: 127.0.0.1, port: 0",
              f"metrics: {{address: 127.0.0.1, port: {cluster.metrics_port}")
        fails("listen on nosuchhost.invalid: ", "listen: {address: 127.0.0.1", "listen: {address: nosuchhost.invalid")
        cluster.psctl("jobs")


def a_damaged_catalog_stops_psd_with_a_clear_line():
    with Cluster() as cluster:
        cluster.tiny_data()
        cluster.start_server()
        cluster.start_worker("w1")
        cluster.wait_job(cluster.submit(cluster.tiny_job(workers=1, epochs=1)))
        assert cluster.server.stop() == 0
        catalog, path = cluster.dir / "state/psd.db", cluster.dir / "psd.yaml"
        good = catalog.read_bytes()
        other = cluster.dir / "other.db"
        with contextlib.closing(sqlite3.connect(other)) as database:
            database.execute("CREATE TABLE somebody_elses (x)")
            database.commit()
        for what, data, words in [
                ("garbage", b"garbage!" * 1024, "is damaged"),
                ("cut", good[:len(good) // 2], "is damaged"),
                ("a page", good[:4096] + b"\xa5" * 4096 + good[8192:], "is damaged"),
                ("another program's", other.read_bytes(), "is not a catalog of psd; move it away"),
                ("a later version's", good[:60] + struct.pack(">I", 999) + good[64:], "schema 999 is of a newer psd")]:
            catalog.write_bytes(data)
            for side in ("psd.db-wal", "psd.db-shm"):
                (cluster.dir / "state" / side).unlink(missing_ok=True)
            status, line = start([PSD, "--config", path])
            assert status == FAILED and str(catalog) in line and words in line, f"{what}: {status} {line}"
        catalog.write_bytes(good)
        cluster.start_server()
        assert [m["name"] for m in cluster.psctl_json("models")["models"]] == ["tiny"]


run([wrong_keys_of_psd_are_named_with_file_and_line, wrong_keys_of_psworker_are_named_with_file_and_line,
     wrong_keys_of_a_job_are_named_with_file_and_line, wrong_data_fails_the_job_with_file_and_offset,
     a_model_of_other_shapes_is_not_overwritten, keys_folders_and_ports_that_cannot_be_used_are_said,
     a_damaged_catalog_stops_psd_with_a_clear_line])
