"""train.weights: trained in the form that ships. The stored model is what was tested last; its codes, read by numpy, are
what psd keeps rounded to them; pulls are small; training makes up for the rounding; a restart goes on in the form."""
import json
import threading
import time

import numpy as np

from fake_worker import FakeWorker
from harness import Cluster, read_safetensors, run, stubs
from scenes import metrics, wait_share

GROUP = 64


def job(cluster, name, train="", epochs=4, rate=0.003, layers="[64, 128, 4]", more=""):
    text = cluster.tiny_job(name=name, mode="bsp", workers=1, layers=layers, epochs=epochs, more=more)
    return text.replace("train:\n", f"train:\n  {train}\n" if train else "train:\n").replace("0.003", str(rate))


def trained(cluster, *arguments, **options):
    return cluster.wait_job(cluster.submit(job(cluster, *arguments, **options)))["progress"]


def weights(bits):
    return f"weights: int{bits}\n  group: {GROUP}"


def decoded(stored, columns, bits, group=GROUP):
    """Blocks of an integer form: a float16 scale, then codes of so many bits, lowest first, half of them added."""
    blocks = stored.reshape(len(stored), columns // group, -1)
    scale = blocks[:, :, :2].copy().view("<f2").astype(np.float64)
    stream = np.unpackbits(blocks[:, :, 2:], axis=2, bitorder="little").reshape(len(stored), columns // group, group, bits)
    codes = (stream.astype(np.int64) << np.arange(bits)).sum(3) - (1 << (bits - 1))
    return (scale * codes).reshape(len(stored), columns)


def exported(cluster, name):
    """As psd keeps it."""
    return read_safetensors(cluster.dir / "state" / cluster.psctl_json("model", name)["version"])


def loss_of(tensors, x, y):
    for i in (0, 1):
        x = x @ tensors[f"layers.{i}.weight"].T + tensors[f"layers.{i}.bias"].astype(np.float64)
        x = np.maximum(x, 0) if i == 0 else x
    x = x - x.max(1, keepdims=True)
    return (np.log(np.exp(x).sum(1)) - x[np.arange(len(y)), y]).mean()


def check_stored(cluster, name, progress, bits, data):
    """Its file is in the form, and says what the last test of the training did."""
    _, _, x, y = data
    metadata, tensors = exported(cluster, name)
    forms = json.loads(metadata["psd.forms"])
    assert forms == {f"layers.{i}.weight": {"form": f"int{bits}/{GROUP}", "shape": shape}
                     for i, shape in enumerate(([128, 64], [4, 128]))}, forms
    for i, columns in ((0, 64), (1, 128)):
        stored = tensors[f"layers.{i}.weight"]
        assert stored.dtype == np.uint8 and stored.shape[1] == columns // GROUP * (2 + GROUP * bits // 8), stored.shape
        tensors[f"layers.{i}.weight"] = decoded(stored, columns, bits)
    loss = loss_of(tensors, x / 255.0, y)
    assert abs(loss - progress["test_loss"]) < 1e-6 * (1 + loss), (loss, progress["test_loss"])
    found = cluster.psctl_json("evaluate", name, cluster.dir / "test-features.gz", cluster.dir / "test-labels.gz")
    assert abs(found["loss"] - progress["test_loss"]) < 1e-6, (found, progress)
    assert found["accuracy"] == progress["test_accuracy"], (found, progress)


def the_stored_model_is_what_was_tested_last():
    with Cluster() as cluster:
        data = cluster.tiny_data(rows=600, features=64, noise=120)
        cluster.start_server()
        cluster.start_worker("w1")
        trained(cluster, "base", epochs=8)
        for bits in (8, 4, 3):
            progress = trained(cluster, "small", weights(bits), rate=0.0005, more="initialize_from: base\n")
            check_stored(cluster, "small", progress, bits, data)
        shown = cluster.psctl_json("model", "small")
        assert shown["bytes"] < 0.5 * cluster.psctl_json("model", "base")["bytes"], shown


def two_bits_train_better_than_they_round():
    """At least 40 % of what rounding to two bits loses comes back."""
    with Cluster() as cluster:
        data = cluster.tiny_data(rows=600, features=64, noise=120)
        cluster.start_server()
        cluster.start_worker("w1")
        base = trained(cluster, "base", epochs=8)
        rounded = trained(cluster, "rounded", weights(2), epochs=1, rate=1e-12, more="initialize_from: base\n")
        better = trained(cluster, "better", weights(2), epochs=8, rate=0.001, more="initialize_from: base\n")
        lost, left = (p["test_loss"] - base["test_loss"] for p in (rounded, better))
        assert lost > 0 and left < 0.6 * lost, (base["test_loss"], rounded["test_loss"], better["test_loss"])
        check_stored(cluster, "better", better, 2, data)


def pulls_are_an_eighth():
    with Cluster() as cluster:
        cluster.tiny_data(rows=320, features=64)
        cluster.start_server()
        cluster.start_worker("w1")
        sent = []
        for train in ("", weights(4), weights(2)):
            before = metrics(cluster)
            trained(cluster, "wide", train, epochs=2, layers="[64, 4096, 4]")
            after = metrics(cluster)
            assert after["psd_pulls_total"] - before["psd_pulls_total"] == 2 * 10 + 2
            sent.append(after["psd_sent_bytes_total"] - before["psd_sent_bytes_total"])
        print("bytes sent, float32, 4 and 2 bits:", *sent)
        assert sent[0] > 6.5 * sent[1] and sent[0] > 11 * sent[2], sent


def ask(worker, job_id, asked, stop):
    """On the connection of the pull, so on its loop of psd."""
    while not stop.is_set():
        began = time.monotonic()
        worker.parameters.Describe(worker.parameters_pb.DescribeRequest(job_id=job_id), timeout=60)
        asked.append(time.monotonic() - began)


def psd_answers_while_it_makes_blocks():
    """q4_k takes long: some million numbers a second."""
    with Cluster() as cluster:
        cluster.tiny_data()
        cluster.start_server()
        cluster.make_client("worker", "w1")
        jobs_pb, jobs_grpc = stubs()["jobs"]
        with cluster.channel() as user, cluster.channel("w1") as channel:
            spec = job(cluster, "blocks", "weights: q4_k")
            job_id = jobs_grpc.JobsStub(user).Submit(jobs_pb.SubmitRequest(spec=spec)).job_id
            worker = FakeWorker(channel, [("w", [2048, 2048])], form="q4_k")
            worker.task()
            asked, stop = [], threading.Event()
            asking = threading.Thread(target=ask, args=(worker, job_id, asked, stop))
            asking.start()
            began = time.monotonic()
            request = worker.parameters_pb.PullRequest(job_id=job_id, forms=True)
            got = sum(len(r.payload) for r in worker.parameters.Pull(request, timeout=100))
            took = time.monotonic() - began
            stop.set()
            asking.join()
            worker.close()
    assert got == 2048 * 2048 // 256 * 144, got
    assert len(asked) > 4 and max(asked) < took / 2, (len(asked), max(asked), took)


def a_restart_goes_on_in_the_form():
    with Cluster() as cluster:
        data = cluster.tiny_data(rows=600, features=64, noise=120)
        cluster.start_server()
        cluster.start_worker("w1")
        late = cluster.submit(job(cluster, "late", weights(4), epochs=60, rate=0.0005))
        wait_share(cluster, late, 0.2)
        cluster.server.stop()
        cluster.start_server()
        check_stored(cluster, "late", cluster.wait_job(late)["progress"], 4, data)



TEXT = "pack my box with five dozen liquor jugs. how vexingly quick daft zebras jump! " * 60
LLAMA = ("{architecture: llama, vocab_size: 256, context_length: 16, hidden_size: 32, num_layers: 2, num_heads: 2, "
         "num_kv_heads: 1, intermediate_size: 96, tokenizer: bytes}")


def a_language_model_trains_its_blocks_in_a_form():
    """Embeddings, norms and head stay float32, and groups are as large as each matrix's rows allow."""
    with Cluster() as cluster:
        cluster.start_server()
        cluster.start_worker("w1")
        (cluster.dir / "text.txt").write_text(TEXT)
        cluster.psctl("tokenize", cluster.dir / "text.txt", "-o", cluster.dir / "text.tokens")
        files = f"{{tokens: {cluster.dir}/text.tokens}}"
        done = cluster.wait_job(cluster.submit(f"""kind: train
name: lm
model: {LLAMA}
data: {{format: tokens, sequence_length: 16, train: {files}, test: {files}}}
train: {{epochs: 4, batch_size: 8, weights: int4, optimizer: {{name: adamw, learning_rate: 0.003}}, consistency: {{mode: bsp}}}}
"""))["progress"]
        metadata, tensors = read_safetensors(cluster.dir / "state" / cluster.psctl_json("model", "lm")["version"])
        forms = json.loads(metadata["psd.forms"])
        blocks = {name for name in tensors if "_proj.weight" in name}
        assert set(forms) == blocks and len(blocks) == 2 * 7, forms
        assert {form["form"] for form in forms.values()} == {"int4/32"}, forms
        found = cluster.psctl_json("evaluate", "lm", cluster.dir / "text.tokens")
        assert abs(found["loss"] - done["test_loss"]) < 1e-6 * (1 + found["loss"]), (found, done)
        assert found["loss"] < 2, found


GPT2 = ("{architecture: gpt2, vocab_size: 256, context_length: 16, hidden_size: 64, num_layers: 1, num_heads: 2, "
        "tokenizer: bytes}")


def gpt2_has_its_matrices_transposed():
    """[in, out] in the model, and groups along the input all the same; in two column blocks; through a restart."""
    with Cluster() as cluster:
        cluster.start_server()
        cluster.start_worker("w1")
        (cluster.dir / "text.txt").write_text(TEXT)
        cluster.psctl("tokenize", cluster.dir / "text.txt", "-o", cluster.dir / "text.tokens")
        files = f"{{tokens: {cluster.dir}/text.tokens}}"

        def begin(name, train, more):
            return cluster.submit(f"""kind: train
name: {name}
{more}
data: {{format: tokens, sequence_length: 16, train: {files}, test: {files}}}
train: {{{train}, batch_size: 16, keep_moments: true, consistency: {{mode: bsp}}}}
""")

        def finish(job_id, name):
            return cluster.wait_job(job_id)["progress"], exported(cluster, name)

        adam = "optimizer: {name: adamw, learning_rate: 0.003}"
        base, (_, w) = finish(begin("base", f"epochs: 2, {adam}", f"model: {GPT2}"), "base")
        form = "weights: int4, group: 32"
        still = f"epochs: 1, {form}, optimizer: {{name: adamw, learning_rate: 1.0e-12}}"
        held, (metadata, stored) = finish(begin("held", still, "initialize_from: base\ncolumn_blocks: 2"), "held")
        forms = json.loads(metadata["psd.forms"])
        blocks = {name for name in w if name.startswith("h.") and w[name].ndim == 2}
        assert len(blocks) == 4 and forms == {
            name: {"form": "int4/32", "shape": list(w[name].shape), "transposed": True} for name in blocks}, forms
        for name in blocks:
            turned = w[name].T.astype(np.float64)
            scale = np.abs(turned.reshape(len(turned), -1, 32)).max(2, keepdims=True) / 7
            far = np.abs(decoded(stored[name], turned.shape[1], 4, 32) - turned).reshape(len(turned), -1, 32)
            assert (far <= 0.51 * scale).all(), (name, (far / scale).max())
        late = begin("late", f"epochs: 12, {form}, {adam}", "initialize_from: base\ncolumn_blocks: 2")
        wait_share(cluster, late, 0.3)
        cluster.server.stop()
        cluster.start_server()
        late, _ = finish(late, "late")
        assert late["test_loss"] < min(base["test_loss"], held["test_loss"]), (base, held, late)
        for name, progress in (("held", held), ("late", late)):
            found = cluster.psctl_json("evaluate", name, cluster.dir / "text.tokens")
            assert abs(found["loss"] - progress["test_loss"]) < 1e-6 * (1 + found["loss"]), (found, progress)


run([the_stored_model_is_what_was_tested_last, two_bits_train_better_than_they_round, pulls_are_an_eighth,
     psd_answers_while_it_makes_blocks, a_restart_goes_on_in_the_form, a_language_model_trains_its_blocks_in_a_form,
     gpt2_has_its_matrices_transposed])
