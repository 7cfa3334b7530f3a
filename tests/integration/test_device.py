"""The device that psworker computes on: which one it takes and what it says of it; and that a GPU learns what the CPU
learns, and explains it alike by every method. The GPU is tests/cuda, the CUDA backend on a simulated device:
PSD_TEST_CUDA_PLUGIN and PSD_TEST_CUDA_DRIVER name the plugin and the folder of its driver, unless PSD_TEST_CUDA_LEFT_OUT
says why there is none."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np

import test_texts as texts
from harness import BUILD, PSCTL, PSD, PSWORKER, SLOW, SOURCE, Cluster, read_safetensors, run

PLUGIN, DRIVER = os.environ.get("PSD_TEST_CUDA_PLUGIN", ""), os.environ.get("PSD_TEST_CUDA_DRIVER", "")
LEFT_OUT = os.environ["PSD_TEST_CUDA_LEFT_OUT"]
START_MS = 50
# rows of CONTEXT tokens and one more, for the last one's target
EPOCHS, BATCH, CONTEXT, ROWS = 2, 4, 32, 100
STEPS = EPOCHS * ROWS // BATCH
TEXT = ("the quick brown fox jumps over the lazy dog. how vexingly quick daft zebras jump! " * 40)[:ROWS * CONTEXT + 1]


def environment_with(*folders, **more):
    """LD_LIBRARY_PATH begins with folders, and has the simulated driver only if that is one of them: meson puts it
    there for tests that need it built."""
    others = [folder for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":") if folder not in ("", DRIVER)]
    return os.environ | {"LD_LIBRARY_PATH": ":".join([*folders, *others])} | more


def gpu_environment(devices=1, **more):
    return environment_with(DRIVER, PSD_CUDA_PLUGIN=PLUGIN, PS_SHIM_DEVICES=str(devices), **more)


def skip(why):
    print(f"     skipped: {why}")


def driver_is_here():
    load = "import ctypes; ctypes.CDLL('libcuda.so.1')"
    return not subprocess.run([sys.executable, "-c", load], env=environment_with(), capture_output=True,
                              check=False).returncode


# ---- which device ----

def programs_name_no_library_of_cuda():
    for program in (PSD, PSWORKER, PSCTL):
        libraries = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
        assert "libc.so.6" in libraries, libraries
        found = re.findall(r"\S*lib(?:cu|nv)\S*", libraries)
        assert not found, f"{program.name} is linked to {found}"


def processor_ms(pid):
    """What all threads of a process have computed; waiting for a core that others have does not count."""
    tasks = pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e6


def start_worker(config, environment, flags=()):
    """(what psworker logs of its device, milliseconds of its processor time up to that line). Only connecting comes
    after it."""
    process = subprocess.Popen([PSWORKER, "--config", config, *flags], env=environment, stderr=subprocess.PIPE,
                               text=True)
    try:
        for line in process.stderr:
            if "device: " in line:
                return line.split("psworker: ")[1].strip(), processor_ms(process.pid)
        raise AssertionError(f"psworker ended with status {process.wait()}")
    finally:
        process.kill()
        process.communicate()


def auto_without_a_driver_is_the_cpu_and_at_once():
    if driver_is_here():
        return skip("there is a CUDA driver")
    with Cluster() as cluster:
        config = cluster.worker_config("w", device="auto")
        times = []
        for _ in range(5):
            said, ms = start_worker(config, environment_with())
            assert re.fullmatch(r"device: cpu \(no CUDA driver\) .*, 1 thread, (?:AVX-512(?: with BF16)?, )?OpenBLAS \w+(?: by OPENBLAS_CORETYPE)? memory=\d+\.\dGiB tf32=off", said), said
            times.append(ms)
        print(f"     device named after {min(times):.1f} ms of processor time, the best of {len(times)}; at most {max(times):.1f}")
        assert SLOW > 1 or min(times) < START_MS, times


def a_gpu_is_named_with_its_number():
    if LEFT_OUT:
        return skip(LEFT_OUT)
    with Cluster() as cluster:
        cases = [
            ("auto", "", (), "device: cuda:0 psd test device 0 memory=8.0GiB tf32=off"),
            ("cuda", "", (), "device: cuda:0 psd test device 0 memory=8.0GiB tf32=off"),
            ("cuda:1", "tf32: true", (), "device: cuda:1 psd test device 1 memory=8.0GiB tf32=on"),
            ("cpu", "", ["--device", "cuda:1"], "device: cuda:1 psd test device 1 memory=8.0GiB tf32=off"),
            ("cpu", "tf32: true", (), "device: cpu "),
        ]
        for device, extra, flags, words in cases:
            said, _ = start_worker(cluster.worker_config("w", extra, device=device), gpu_environment(devices=2), flags)
            assert said == words if device != "cpu" or flags else said.startswith(words), said


def a_gpu_that_is_not_there_is_refused_with_how_many_there_are():
    if LEFT_OUT:
        return skip(LEFT_OUT)
    with Cluster() as cluster:
        config = cluster.worker_config("w", device="cuda:7")
        done = subprocess.run([PSWORKER, "--config", config], env=gpu_environment(devices=2),
                              capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 1, done
        assert done.stderr.endswith("device cuda: cuda: no GPU 7: the driver shows 2, counted from 0\n"), done.stderr


def the_plugin_is_looked_for_where_it_is_installed():
    if LEFT_OUT:
        return skip(LEFT_OUT)
    installed = json.loads((BUILD / "meson-info/intro-installed.json").read_text()).values()
    places = [place for place in installed if place.endswith("/libpsd-cuda.so")]
    if not places:
        return skip("the plugin is not built here")
    if os.path.exists(places[0]):
        return skip(f"there is a {places[0]}")
    with Cluster() as cluster:
        config = cluster.worker_config("w", device="cuda")
        elsewhere = shutil.copy(PSWORKER, cluster.dir)  # else it takes the build's
        done = subprocess.run([elsewhere, "--config", config], env=environment_with(DRIVER), capture_output=True,
                              text=True, timeout=20, check=False)
        assert done.stderr.endswith(f"device cuda: a CUDA driver, but no plugin {places[0]}\n"), done.stderr


# ---- what is learnt ----

def job(cluster, name, precision, epochs, rate):
    return f"""kind: train
name: {name}
model: {{architecture: gpt2, vocab_size: 256, context_length: {CONTEXT}, hidden_size: 32, num_layers: 2, num_heads: 4,
  dropout: 0.1, tokenizer: bytes}}
data: {{format: tokens, train: {{tokens: {cluster.dir}/train.tokens}}}}
train:
  epochs: {epochs}
  batch_size: {BATCH}
  precision: {precision}
  optimizer: {{name: momentum, learning_rate: {rate}}}
  consistency: {{mode: bsp}}
workers: 1
"""


def learn(cluster, worker, name, precision, epochs=EPOCHS, rate=0.05):
    """By the one worker there is: (the loss of each step, the parameters)."""
    job_id = cluster.submit(job(cluster, name, precision, epochs, rate))
    cluster.wait_job(job_id, timeout=120)
    losses = [float(loss) for loss in re.findall(rf"step job={job_id} .* loss=(\S+)", worker.text())]
    path = cluster.dir / f"{name}.safetensors"
    cluster.psctl("export", name, "-o", path)
    return np.array(losses), read_safetensors(path)[1]


def check_alike(precision, start, cpu, gpu):
    """A tensor is judged by how far it has moved from its start: what one device leaves out or gets wrong is a large
    part of that way, however small beside the parameters. What may differ is in which order float32 is added up, some
    units in the last place, and bf16's rounding to 8 bits. Measured: 5e-7 and 1e-6, for bf16 2e-3 and 7e-3."""
    (losses, learnt), (gpu_losses, gpu_learnt) = cpu, gpu
    assert len(losses) == len(gpu_losses) == STEPS, (len(losses), len(gpu_losses))
    assert losses[-5:].mean() < losses[0] - 1, f"nothing was learnt: {losses}"
    apart = np.abs(losses - gpu_losses).max()
    parts = {name: np.linalg.norm(gpu_learnt[name] - learnt[name]) / np.linalg.norm(learnt[name] - start[name])
             for name in start}
    worst = max(parts, key=parts.get)
    print(f"     {precision}: loss {losses[0]:.3f} to {losses[-1]:.3f}, at most {apart:.1e} apart in {STEPS} steps; "
          f"{worst} is {parts[worst]:.1e} of its way off")
    assert apart < {"float32": 1e-5, "bf16": 2e-2}[precision], losses - gpu_losses
    assert parts[worst] < {"float32": 1e-4, "bf16": 5e-2}[precision], parts


# ---- texts ----

def write_texts(cluster):
    """A stored model of texts, and a file of some with their classes."""
    folder, *_ = texts.put(cluster, "texts", "embeds")
    rng = np.random.default_rng(3)
    rows = [(texts.words(rng.integers(10, texts.VOCAB, rng.integers(2, 12))), "", ("noun", "verb")[i % 2]) for i in range(60)]
    texts.tokenize(cluster, folder, rows, "texts", "--classes", "noun,verb")
    (cluster.dir / "lines").write_text("".join(row[0] + "\n" for row in rows))


def texts_of(cluster, device):
    """By the one worker there is: what stands for them, and what telling them apart teaches."""
    cluster.psctl("embed", "texts", cluster.dir / "lines", "-o", cluster.dir / f"{device}.npy")
    for precision in ("float32", "bf16"):
        cluster.wait_job(cluster.submit(f"""kind: train
name: {precision}-texts-{device}
initialize_from: texts
model: {texts.MODEL}
data: {{format: tokens, sequence_length: 16, train: {{tokens: {cluster.dir}/texts.tokens}}, test: {{tokens: {cluster.dir}/texts.tokens}}}}
train: {{epochs: 1, batch_size: 20, precision: {precision}, optimizer: {{name: momentum, learning_rate: 0.05}}, consistency: {{mode: bsp}}}}
workers: 1
"""), timeout=120)
        path = cluster.dir / f"{precision}-texts-{device}.safetensors"
        cluster.psctl("export", f"{precision}-texts-{device}", "-o", path)
        yield precision, read_safetensors(path)[1]
    yield "embeddings", np.load(cluster.dir / f"{device}.npy")


def check_texts_alike(start, cpu, gpu):
    apart = np.abs(cpu["embeddings"] - gpu["embeddings"]).max()
    assert apart < 1e-6, apart
    for precision, most in (("float32", 1e-4), ("bf16", 5e-2)):
        parts = {name: np.linalg.norm(gpu[precision][name] - learnt) / np.linalg.norm(learnt - start[name])
                 for name, learnt in cpu[precision].items() if name in start and "self.key.bias" not in name}  # of which nothing depends
        worst = max(parts, key=parts.get)
        print(f"     texts, {precision}: {worst} is {parts[worst]:.1e} of its way off; embeddings {apart:.1e}")
        assert parts[worst] < most, parts


# ---- what is explained ----

METHODS = {
    "tiny": """  behaviour: [calibration, confusion, losses, slices, answer_change]
  attributions:
    - feature_ablation
    - {method: occlusion, window: [2, 2], stride: [1, 1]}
    - saliency
    - gradient_x_input
    - {method: integrated_gradients, steps: 8, steps_max: 8}
    - {method: smooth_grad, samples: 4}
    - {method: gradient_shap, samples: 4}
    - {method: shapley, samples: 64, features: {grid: [2, 3]}}
    - {method: permutation_shapley, permutations: 1}
    - deep_lift
    - lrp
  inside: [{method: conductance, steps: 8, steps_max: 8}, weights, weight_change, loss_path, activations, similarity, pca,
           representation_change, probes, blocks, {method: part_shapley, blocks: 4}]
  quality: [{method: deletion, of: saliency}, {method: insertion, of: saliency}, infidelity,
            {method: sensitivity, of: saliency, samples: 2}, {method: randomisation, of: saliency},
            {method: attribution_change, of: saliency}]
  influence: [tracin, ekfac, {method: trak, sketch: 64}, {method: recorded, job: TRAINING}]
""",
    "features": """  inside: [{method: sae, model: coder, point: post, layer: 0, top: 4}]
""",
    "lens": """  inside: [{method: tuned_lens, model: translators}]
""",
    "float32-cpu": """  behaviour: [calibration, losses, slices, answer_change]
  attributions:
    - feature_ablation
    - {method: occlusion, window: [2]}
    - saliency
    - gradient_x_input
    - {method: integrated_gradients, steps: 4, steps_max: 4}
    - {method: smooth_grad, samples: 2}
    - {method: gradient_shap, samples: 2}
    - {method: shapley, samples: 20}
    - {method: permutation_shapley, permutations: 1}
    - cp_lrp
    - {method: counterfactuals, candidates: 3}
  inside: [{method: conductance, steps: 4, steps_max: 4}, {method: loss_path, steps_max: 2}, logit_lens, direct_logits, attention,
           {method: head_scores, sequences: 8, length: 8}, head_ablation, {method: head_ablation, replace: resample},
           activations, similarity, pca, probes,
           blocks, {method: part_shapley, players: heads, layers: [0]},
           {method: patching, patch: {clean: [84, 104, 101], corrupt: [84, 105, 101], exact_top: 4,
                                      points: [resid_pre, z, pattern]}}]
  quality: [{method: deletion, of: saliency, steps: 4, samples: 2}, {method: insertion, of: saliency, steps: 4, samples: 2},
            {method: infidelity, samples: 8}, {method: sensitivity, of: saliency, samples: 2},
            {method: randomisation, of: saliency}]
""",
}
THROUGH_ANOTHER = {"features": "tiny", "lens": "float32-cpu"}  # what goes through a second model: which model it explains


def coder_job(cluster):
    """An autoencoder of what the first activation of `tiny` gives."""
    return f"""kind: train
name: coder
model: {{architecture: sae, layers: [32, 48, 32], top_k: 6}}
data:
  format: activations
  activations: {{model: tiny, format: idx}}
  train: {{features: {cluster.dir}/train-features.gz}}
train: {{epochs: 5, batch_size: 64, optimizer: {{name: adamw, learning_rate: 0.003}}}}
workers: 1
"""


def lens_job(cluster):
    """Translators of what `float32-cpu` has behind its blocks."""
    return f"""kind: train
name: translators
model: {{architecture: tuned_lens, hidden_size: 32, num_layers: 2}}
data:
  format: activations
  activations: {{model: float32-cpu, format: tokens, rows: 40}}
  sequence_length: 16
  train: {{tokens: {cluster.dir}/train.tokens}}
train: {{epochs: 1, batch_size: 64, optimizer: {{name: adamw, learning_rate: 0.01}}}}
workers: 1
"""


def explain(cluster, name, device, training):
    """By the one worker there is, each method that this sort of model has; what goes through a second one in a job of its own.
    The arrays, and (result, name) of each."""
    model = THROUGH_ANOTHER.get(name, name)
    language = model == "float32-cpu"
    other = "" if name in THROUGH_ANOTHER else f"  compare_to: {'start' if language else 'other'}\n"
    data = f"{{format: tokens, sequence_length: 8, test: {{tokens: {cluster.dir}/train.tokens}}}}" if language else \
        f"{{format: idx, " + ", ".join(
            f"{part}: {{features: {cluster.dir}/{part}-features.gz, labels: {cluster.dir}/{part}-labels.gz}}"
            for part in ("train", "test")) + "}"
    job_id = cluster.submit(f"kind: explain\nname: {name}-{device}\nmodel_name: {model}\ndata: {data}\nexplain:\n"
                            f"  rows: {{first: 0, count: {4 if language else 16}}}\n  target: {{class: 2}}\n{other}"
                            f"  baseline: {'{token: 32}' if language else 'zero'}\n"
                            f"{METHODS[name].replace('TRAINING', str(training))}")
    cluster.wait_job(job_id, timeout=120)
    for file in ("explain.json", "explain.safetensors"):
        cluster.psctl("fetch", job_id, file, "-o", cluster.dir / f"{job_id}-{file}")
    manifest = json.loads((cluster.dir / f"{job_id}-explain.json").read_text())
    # nothing is left out, and what one model cannot have the other has
    assert not [r["method"] for r in manifest["results"] if not r["arrays"]], manifest["results"]
    return read_safetensors(cluster.dir / f"{job_id}-explain.safetensors")[1], {
        a["array"]: (result["method"], a["name"]) for result in manifest["results"] for a in result["arrays"]}


# Of itself 1e-5 of an array may be off; what is a small difference of scores, or is divided by one, that much of the scores.
ALIKE, ALIKE_BY_DIFFERENCES = 1e-5, 1e-3
DIFFERENCES = ("head_ablation", "part_shapley", "patching", "deletion", "insertion", "infidelity", "sensitivity")
NOTHING = ("residual", "discarded")  # what is 0 but for rounding


def check_explained_alike(cpu, gpu):
    """Of each array how far the largest difference is, over its largest number."""
    worst = {}
    for name, expected in cpu[0].items():
        found = gpu[0][name]
        assert found.shape == expected.shape and (np.isnan(found) == np.isnan(expected)).all(), name
        what = cpu[1].get(name, ("rows", name))
        there = ~np.isnan(expected) & (found != expected)
        if what[1] in NOTHING or not there.any():
            continue
        apart = np.abs(found[there].astype(float) - expected[there])
        worst[what] = max(worst.get(what, 0), apart.max() / np.nanmax(np.abs(expected)))
    exact = {what: value for what, value in worst.items() if what[0] not in DIFFERENCES}
    name = max(exact, key=exact.get)
    print(f"     {len(cpu[0])} arrays, {len(worst)} not to the bit; {' of '.join(name[::-1])} is {exact[name]:.1e} of itself off")
    assert exact[name] <= ALIKE and max(worst.values()) <= ALIKE_BY_DIFFERENCES, worst


def check_all_methods_are_there():
    rows = (SOURCE / "common/conf/explain_rows.h").read_text()
    named = set(re.findall(r"\w+", " ".join(METHODS.values())))
    missing = [name for name, section in re.findall(r"(?m)^ +ROW\((\w+), (\w+),", rows) if name not in named]
    assert not missing, f"explained by neither model: {missing}"


def a_gpu_learns_and_explains_what_the_cpu_does():
    check_all_methods_are_there()
    if LEFT_OUT:
        return skip(LEFT_OUT)
    learnt, explained, of_texts = {}, {}, {}
    with Cluster() as cluster:
        (cluster.dir / "text").write_text(TEXT)
        cluster.psctl("tokenize", cluster.dir / "text", "-o", cluster.dir / "train.tokens")
        cluster.start_server()
        write_texts(cluster)
        for device, environment in (("cpu", None), ("cuda", gpu_environment())):
            worker = cluster.start_worker(device, "log: {level: debug}", environment, device=device)
            for precision in ("float32", "bf16"):
                learnt[device, precision] = learn(cluster, worker, f"{precision}-{device}", precision)
            if device == "cpu":  # all jobs have one seed
                _, start = learn(cluster, worker, "start", "float32", epochs=1, rate=1e-12)
                cluster.tiny_data(rows=400)
                for name, epochs in (("other", 1), ("tiny", 2)):
                    training = cluster.submit(cluster.tiny_job(name=name, workers=1, epochs=epochs, mode="bsp",  # the same each time
                                                               more="record: {influence: {sketch: 256}}"))
                    cluster.wait_job(training)
                for another in (coder_job, lens_job):
                    cluster.wait_job(cluster.submit(another(cluster)))
            of_texts[device] = dict(texts_of(cluster, device))
            explained[device] = {name: explain(cluster, name, device, training) for name in METHODS}
            worker.stop()
        cluster.psctl("export", "texts", "-o", cluster.dir / "texts.safetensors")
        check_texts_alike(read_safetensors(cluster.dir / "texts.safetensors")[1], of_texts["cpu"], of_texts["cuda"])
    for precision in ("float32", "bf16"):
        check_alike(precision, start, learnt["cpu", precision], learnt["cuda", precision])
    for name in METHODS:
        check_explained_alike(explained["cpu"][name], explained["cuda"][name])


def a_gpu_that_is_lost_costs_its_worker_and_not_the_job():
    if LEFT_OUT:
        return skip(LEFT_OUT)
    with Cluster() as cluster:
        (cluster.dir / "text").write_text(TEXT)
        cluster.psctl("tokenize", cluster.dir / "text", "-o", cluster.dir / "train.tokens")
        cluster.start_server()
        broken = cluster.start_worker("w1", env=gpu_environment(PS_SHIM_LOSE_AT="2000"), device="cuda")
        job_id = cluster.submit(job(cluster, "lost", "float32", 2, 0.05))
        status = broken.popen.wait(60 * SLOW)
        assert status == 1, f"psworker ended with {status}: {broken.text()}"
        cluster.processes.remove(broken)
        said = re.search(r"psworker: the device is lost, .*: (cuda: .*)", broken.text())
        assert said and "cudaErrorLaunchFailure" in said[1], broken.text()
        cluster.start_worker("w2", env=gpu_environment(), device="cuda")  # as its supervisor starts it anew
        cluster.wait_job(job_id, timeout=120)


if __name__ == "__main__":
    run([programs_name_no_library_of_cuda, auto_without_a_driver_is_the_cpu_and_at_once, a_gpu_is_named_with_its_number,
         a_gpu_that_is_not_there_is_refused_with_how_many_there_are, the_plugin_is_looked_for_where_it_is_installed,
         a_gpu_learns_and_explains_what_the_cpu_does, a_gpu_that_is_lost_costs_its_worker_and_not_the_job])
