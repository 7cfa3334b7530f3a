"""Distillation: a student half as wide as its teacher, against one without; a teacher that is deleted meanwhile; what is
in the way of one; language models, with what both say computed once more from their exported weights."""
import hashlib
import json
import signal
import time

import numpy as np

from harness import Cluster, as_it_ships, read_safetensors, run, wait_until
from scenes import LATENCY, QUICK, Proxy, Scene, wait_share


def job(cluster, name, layers="[16, 32, 4]", epochs=2, more="", model=""):
    text = cluster.tiny_job(name=name, mode="bsp", workers=1, layers=layers, epochs=epochs, more=more)
    return text.replace("learning_rate: 0.003", "learning_rate: 0.02").replace("activation: relu", "activation: relu" + model)


def trained(cluster, *arguments, **options):
    return cluster.wait_job(cluster.submit(job(cluster, *arguments, **options)))["progress"]


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def logits(cluster, name, x):
    path = cluster.dir / f"{name}.safetensors"
    cluster.psctl("export", name, "--force", "-o", path)
    _, w = read_safetensors(path)
    for i in range(len(w) // 2):
        x = x @ w[f"layers.{i}.weight"].astype(np.float64).T + w[f"layers.{i}.bias"]
        if i + 1 < len(w) // 2:
            x = np.maximum(x, 0)
    return x


def a_student_learns_faster_with_a_teacher():
    """It is better after 6 epochs than another after 10 alone; the divergence is what numpy finds."""
    with Cluster() as cluster:
        _, _, x, y = cluster.tiny_data(rows=600, noise=90)
        cluster.start_server()
        cluster.start_worker("w1")
        trained(cluster, "large", "[16, 64, 4]", 15)
        alone = trained(cluster, "alone", epochs=10)
        student = trained(cluster, "student", epochs=6, more="distil: {teacher: large, alpha: 0.9, temperature: 2}\n")
        assert student["test_loss"] < alone["test_loss"], (student, alone)
        assert student["test_accuracy"] >= alone["test_accuracy"], (student, alone)
        p, q = (softmax(logits(cluster, name, x / 255.0) / 2) for name in ("large", "student"))
        far = (p * np.log(p / q)).sum(1).mean()
        assert abs(student["test_divergence"] - far) < 1e-5, (student, far)
        told = softmax(logits(cluster, "student", x / 255.0))
        assert abs(student["test_loss"] + np.log(told[np.arange(len(y)), y]).mean()) < 1e-5, "the loss is that of labels"
        assert "test_divergence" not in alone


@as_it_ships
def hidden_states_can_be_followed():
    """A student as wide, and less deep; the divergence is what numpy finds."""
    with Cluster() as cluster:
        _, _, x, _ = cluster.tiny_data(rows=600, noise=90)
        cluster.start_server()
        cluster.start_worker("w1")
        trained(cluster, "large", "[16, 48, 32, 4]", 12)
        how = "distil: {teacher: large, loss: hidden, student_layers: [1], teacher_layers: [2], alpha: 0.5}\n"
        few, more = (trained(cluster, "student", epochs=epochs, more=how) for epochs in (1, 6))
        assert more["test_divergence"] < 0.7 * few["test_divergence"] and more["test_loss"] < few["test_loss"], (few, more)
        states = []
        for name, layers in (("large", 2), ("student", 1)):
            _, w = read_safetensors(cluster.dir / "state" / cluster.psctl_json("model", name)["version"])
            h = x / 255.0
            for i in range(layers):
                h = np.maximum(h @ w[f"layers.{i}.weight"].astype(np.float64).T + w[f"layers.{i}.bias"], 0)
            states.append(h)
        far = ((states[0] - states[1]) ** 2).mean()
        assert abs(more["test_divergence"] - far) < 1e-4 * far, (more, far)


def a_teacher_stays_until_the_job_has_ended():
    with Cluster() as cluster:
        cluster.tiny_data(rows=400)
        cluster.start_server()
        worker = cluster.start_worker("w1")
        trained(cluster, "large", "[16, 64, 4]", 4)
        worker.stop()
        late = cluster.submit(job(cluster, "late", more="distil: {teacher: large}\n"))
        cluster.psctl("delete", "large")
        cluster.start_worker("w2")
        assert cluster.wait_job(late)["progress"]["test_divergence"] < 0.5


def a_teacher_may_be_stored_in_a_form():
    with Cluster() as cluster:
        cluster.tiny_data(rows=400)
        cluster.start_server()
        cluster.start_worker("w1")
        text = job(cluster, "large", "[16, 64, 4]", 4).replace("train:\n", "train:\n  weights: int4\n")
        cluster.wait_job(cluster.submit(text))
        assert "int4/64" in cluster.psctl_json("model", "large")["forms"]
        student = trained(cluster, "student", epochs=3, more="distil: {teacher: large}\n")
        assert student["test_divergence"] < 0.5 and student["test_accuracy"] > 0.9, student


def what_cannot_teach_is_said_in_a_line():
    with Cluster() as cluster:
        cluster.tiny_data(rows=400)
        cluster.start_server()
        cluster.start_worker("w1")
        trained(cluster, "large", "[16, 8, 4]", 1)
        trained(cluster, "wide", "[16, 8, 5]", 1)

        def refused(text):
            path = cluster.dir / "refused.yaml"
            path.write_text(text)
            done = cluster.psctl("submit", path, check=False)
            assert done.returncode != 0
            lines = done.stderr.strip().splitlines()
            assert len(lines) == 1, done.stderr
            return lines[0]

        assert "model 'nobody' does not exist" in refused(job(cluster, "s", more="distil: {teacher: nobody}\n"))
        assert "teacher wide: it has 5 classes, and the student 4" in refused(
            job(cluster, "s", more="distil: {teacher: wide}\n"))
        assert "teacher large: it has 16 inputs, and the student 9" in refused(
            job(cluster, "s", layers="[9, 4]", more="distil: {teacher: large}\n"))
        assert "distil: only with model.loss cross_entropy" in refused(
            job(cluster, "s", model=", loss: squared_error", more="distil: {teacher: large}\n"))
        language = (f"kind: train\nname: s\nmodel: {SMALL}\ndata: {{format: tokens, train: {{tokens: /x}}}}\n"
                    "train: {epochs: 1, optimizer: {name: sgd, learning_rate: 1}}\ndistil: {teacher: large}\n")
        assert "teacher large: it is of architecture mlp, which does not read what llama does" in refused(language)


TEXT = "pack my box with five dozen liquor jugs. how vexingly quick daft zebras jump! " * 60
SMALL = ("{architecture: llama, vocab_size: 256, context_length: 16, hidden_size: 16, num_layers: 1, num_heads: 2, "
         "num_kv_heads: 1, intermediate_size: 32, tokenizer: bytes}")
LARGE = SMALL.replace("hidden_size: 16, num_layers: 1", "hidden_size: 32, num_layers: 2").replace("256", "272")


@as_it_ships
def a_language_model_is_taught_by_a_larger_one():
    """Whose vocabulary is padded to another size; a teacher for shorter rows is refused."""
    with Cluster() as cluster:
        cluster.start_server()
        cluster.start_worker("w1")
        for name, text in (("train", TEXT), ("test", TEXT[: len(TEXT) // 3])):
            (cluster.dir / f"{name}.txt").write_text(text)
            cluster.psctl("tokenize", cluster.dir / f"{name}.txt", "-o", cluster.dir / f"{name}.tokens")

        def language(name, model, epochs, more=""):
            return f"""kind: train
name: {name}
model: {model}
data: {{format: tokens, sequence_length: 16, train: {{tokens: {cluster.dir}/train.tokens}}, test: {{tokens: {cluster.dir}/test.tokens}}}}
train: {{epochs: {epochs}, batch_size: 8, optimizer: {{name: adamw, learning_rate: 0.003}}, consistency: {{mode: bsp}}}}
{more}
"""
        def run_one(*arguments):
            return cluster.wait_job(cluster.submit(language(*arguments)))["progress"]
        run_one("large", LARGE, 12)
        how = "distil: {teacher: large, loss: %s, alpha: %s, top_k: 8}"
        for loss in ("kl", "jsd"):
            few = run_one("student", SMALL, 1, how % (loss, 1))
            more = run_one("student", SMALL, 4, how % (loss, 1))
            assert more["test_divergence"] < 0.7 * few["test_divergence"], (few, more)
            assert more["test_loss"] < 0.7 * few["test_loss"], "of labels that it was not shown"
        long = language("s", SMALL.replace("context_length: 16", "context_length: 64"), 1, how % ("kl", 1))
        (cluster.dir / "long.yaml").write_text(long.replace("sequence_length: 16", "sequence_length: 64"))
        said = cluster.psctl("submit", cluster.dir / "long.yaml", check=False).stderr
        assert "teacher large: its context_length is 16, and rows have 64 tokens" in said, said


def a_student_may_go_on_itself():
    """Half of the batches: the same numbers once more, and where the worker is killed and another takes its place."""
    with Scene() as cluster:
        cluster.start_server(QUICK)
        cluster.wire = Proxy(cluster.port)
        first = cluster.join("w1")
        for name, text in (("train", TEXT), ("test", TEXT[: len(TEXT) // 3])):
            (cluster.dir / f"{name}.txt").write_text(text)
            cluster.psctl("tokenize", cluster.dir / f"{name}.txt", "-o", cluster.dir / f"{name}.tokens")

        def begin(name, model, epochs, more=""):
            return cluster.submit(f"""kind: train
name: {name}
model: {model}
data: {{format: tokens, sequence_length: 16, train: {{tokens: {cluster.dir}/train.tokens}}, test: {{tokens: {cluster.dir}/test.tokens}}}}
train: {{epochs: {epochs}, batch_size: 8, optimizer: {{name: adamw, learning_rate: 0.003}}, consistency: {{mode: bsp}}}}
shards: {{rows_per_task: 16}}
{more}
""")
        cluster.wait_job(begin("large", LARGE, 6))
        how = "distil: {teacher: large, alpha: 1, on_policy: %s}"
        followed = cluster.wait_job(begin("followed", SMALL, 2, how % 0))["progress"]
        own = cluster.wait_job(begin("own", SMALL, 2, how % 0.5))["progress"]
        cluster.wait_job(begin("again", SMALL, 2, how % 0.5))
        assert numbers_of(cluster, "own") == numbers_of(cluster, "again") != numbers_of(cluster, "followed")
        assert abs(own["test_divergence"] - followed["test_divergence"]) < 0.3 * followed["test_divergence"], (own, followed)
        cluster.wire.delay = LATENCY["bsp"]
        lost = begin("lost", SMALL, 2, how % 0.5)
        wait_share(cluster, lost, 0.2)
        first.kill()
        cluster.join("w2")
        cluster.wait_job(lost)
        assert numbers_of(cluster, "lost") == numbers_of(cluster, "own")


def staged(cluster, name, quantise="", limits="", workers=1, train=""):
    files = lambda part: f"{{features: {cluster.dir}/{part}-features.gz, labels: {cluster.dir}/{part}-labels.gz}}"
    return f"""kind: compress
name: {name}
model_name: large
data: {{format: idx, train: {files('train')}, test: {files('test')}}}
compress:
  prune: {{what: rows, ratio: 0.5}}
{quantise}
{limits}
distil: {{alpha: 0.9, temperature: 2}}
train: {{epochs: 5, batch_size: 32, optimizer: {{name: adamw, learning_rate: 0.003}}, consistency: {{mode: bsp}}{train}}}
workers: {workers}
checkpoint: {{every: 100ms}}
"""


def numbers_of(cluster, name):
    _, tensors = read_safetensors(cluster.dir / "state" / cluster.psctl_json("model", name)["version"])
    return {key: values.tobytes() for key, values in sorted(tensors.items())}


def wait_phase(cluster, job_id, phase):
    wait_until(phase, lambda: cluster.psctl_json("job", job_id)["progress"].get("phase") == phase)


def hold_in(cluster, job_id, phase, worker):
    """psd is killed while the job is in that phase, with a checkpoint of it."""
    wait_phase(cluster, job_id, phase)
    began = time.time()
    folder = cluster.dir / f"state/checkpoints/{job_id}"
    wait_until("a checkpoint is there", lambda: any(f.stat().st_mtime > began for f in folder.glob("checkpoint-[0-9]*")))
    worker.signal(signal.SIGSTOP)
    cluster.server.kill()
    cluster.start_server(QUICK)
    worker.signal(signal.SIGCONT)


def what_is_pruned_is_distilled_in_the_same_job():
    """As two jobs would: the same numbers, also where psd is killed while it distils, and while it quantises. What comes
    out is measured against the model that the job began with."""
    with Scene() as cluster:
        cluster.tiny_data(rows=600, noise=90)
        cluster.start_server(QUICK)
        cluster.wire = Proxy(cluster.port)
        worker = cluster.join("w1")
        large = trained(cluster, "large", "[16, 64, 4]", 5)
        cluster.wait_job(cluster.submit(staged(cluster, "half").replace("distil:", "#").replace("train: {e", "# {e")))
        by_hand = job(cluster, "by-hand", epochs=5, more="initialize_from: half\ndistil: {teacher: large, alpha: 0.9, temperature: 2}\n")
        by_hand = by_hand.replace("0.02", "0.003").replace(", weight_decay: 0.01", "")
        by_hand = cluster.wait_job(cluster.submit("".join(line for line in by_hand.splitlines(True) if "model:" not in line)))
        done = cluster.wait_job(cluster.submit(staged(cluster, "student", limits="  limits: {loss: 0.3}")))
        assert numbers_of(cluster, "student") == numbers_of(cluster, "by-hand")
        assert abs(done["result"]["test_loss"] - by_hand["progress"]["test_loss"]) < 1e-6, (done, by_hand)
        assert abs(done["result"]["parent_test_loss"] - large["test_loss"]) < 1e-6, (done, large)
        assert (done["name"], done["kind"]) == ("student", "compress"), done
        report = json.loads(cluster.psctl("fetch", done["id"], "report.json", "-o", "-").stdout)
        before = cluster.psctl_json("model", "large")
        stored = hashlib.sha256((cluster.dir / "state" / before["version"]).read_bytes()).hexdigest()
        assert report["parent"]["name"] == "large" and report["parent"]["sha256"] == stored, report["parent"]
        assert report["total"]["parent_parameters"] == before["parameters"], report["total"]
        assert abs(report["distilled"]["test_loss"] - by_hand["progress"]["test_loss"]) < 1e-6, report["distilled"]
        assert any("prune" in t.get("solved", {}) for t in report["pruned"]["tensors"]), report["pruned"]
        data = report["compared"]["data"]
        assert data["calibration_rows"] == 600 and data["shared_rows"] == 0, "it was trained on all of data.train: " + str(data)
        known = cluster.psctl_json("models")["models"]
        assert sorted(m["name"] for m in known) == ["by-hand", "half", "large", "student"], known

        int8 = "  quantise: {scheme: int8, group: row}"
        cluster.wire.delay = LATENCY["bsp"]
        killed = cluster.submit(staged(cluster, "small", int8))
        hold_in(cluster, killed, "distilling", worker)
        cluster.wire.delay = 0.0
        done = cluster.wait_job(killed)
        cluster.wait_job(cluster.submit(f"""kind: compress
name: small-by-hand
model_name: by-hand
compress: {{quantise: {{scheme: int8, group: row}}}}
"""))
        assert numbers_of(cluster, "small") == numbers_of(cluster, "small-by-hand")
        assert "goes on from its checkpoint: epoch" in cluster.psctl("watch", killed).stdout
        wait_until("drafts are gone", lambda: len(list((cluster.dir / "state/models").glob("*.safetensors"))) == 6)


def what_cannot_be_distilled_after_pruning_is_said():
    with Cluster() as cluster:
        cluster.tiny_data(rows=400)
        cluster.start_server()
        cluster.start_worker("w1")
        trained(cluster, "large", "[16, 8, 4]", 1)
        trained(cluster, "wide", "[16, 8, 5]", 1)

        def refused(text):
            (cluster.dir / "refused.yaml").write_text(text)
            done = cluster.psctl("submit", cluster.dir / "refused.yaml", check=False)
            assert done.returncode != 0
            return done.stderr.strip()

        text = staged(cluster, "s")
        assert "teacher wide: it has 5 classes, and the student 4" in refused(text.replace("{alpha", "{teacher: wide, alpha"))
        assert "train: missing; distil is a training" in refused(text.replace("train: {e", "# {e"))
        assert "train: kind compress trains only with section distil" in refused(text.replace("distil:", "#"))
        assert "train.weights: not for kind compress" in refused(staged(cluster, "s", train=", weights: int8"))
        assert "distil: nothing of the model is removed before it" in refused(text.replace("what: rows", "what: unstructured"))
        assert "keep: 'conv' names no tensor" in refused(staged(cluster, "s", "  quantise: {scheme: int8, keep: [conv]}"))


run([a_student_learns_faster_with_a_teacher, hidden_states_can_be_followed, a_teacher_stays_until_the_job_has_ended,
     a_teacher_may_be_stored_in_a_form, what_cannot_teach_is_said_in_a_line,
     a_language_model_is_taught_by_a_larger_one, a_student_may_go_on_itself, what_is_pruned_is_distilled_in_the_same_job,
     what_cannot_be_distilled_after_pruning_is_said])
