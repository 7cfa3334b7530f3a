"""Every architecture everywhere: a small one is trained, evaluated, generated with past its window, compressed in each way, goes
out in each form that holds it and comes back as the same, takes adapters, and is explained. What it cannot do is one line."""
from harness import Cluster, run
from language import CONTEXT, write_tokens

SIZES = "vocab_size: 256, context_length: 32, hidden_size: 64, num_layers: 2, num_heads: 4, tokenizer: bytes"
DECODER = SIZES + ", intermediate_size: 96, num_kv_heads: 2"
GEMMA = DECODER + ", head_dim: 32, sliding_window: 8, full_attention_every: 2"
MODELS = {
    "gpt2": SIZES + ", attention_dropout: 0.1",
    "gpt_neox": SIZES + ", rope_share: 0.25",
    "llama": DECODER + ", attention_bias: true, mlp_bias: true, rope_type: llama3, rope_factor: 4, rope_original_context: 16",
    "qwen2": DECODER + ", sliding_window: 8, full_attention_first: 1",
    "qwen3": DECODER + ", head_dim: 32",
    "mistral": DECODER + ", sliding_window: 8",
    "gemma2": GEMMA + ", attention_softcap: 50, logit_softcap: 30",
    "gemma3": GEMMA,
}
TARGETS = {"gpt2": "[c_attn, o, up, down]", "gpt_neox": "[query_key_value, o, up, down]"}
# What is refused, and in which words.
NO_PACKS = {"gpt2": "is for models of linear layers"}
WINDOW = "a sliding_window that is less than context_length"
NO_GGUF = {"qwen2": WINDOW, "mistral": WINDOW}
MIXED = "some see a window and others do not"
NO_LAYERS = {"qwen2": MIXED, "gemma2": MIXED, "gemma3": MIXED}
SCALED = "its embedding is times the root of hidden_size"
NO_HIDDEN = {"gemma2": SCALED, "gemma3": SCALED}
NORMED = "passes a norm before it is added"
NO_DIRECT = {"gemma2": NORMED, "gemma3": NORMED}


def data(cluster, train=True):
    files = f"  train: {{tokens: {cluster.dir}/train.tokens}}\n" if train else ""
    return f"data:\n  format: tokens\n  sequence_length: {CONTEXT}\n{files}  test: {{tokens: {cluster.dir}/test.tokens}}\n"


def train(cluster, name, begin, how):
    return cluster.wait_job(cluster.submit(
        f"kind: train\nname: {name}\n{begin}\n{data(cluster)}train: {{{how}, batch_size: 8, optimizer: {{name: adamw, "
        "learning_rate: 0.004}, consistency: {mode: bsp}}\nworkers: 2\n"))


def loss(cluster, name):
    job = cluster.wait_job(cluster.submit(f"kind: evaluate\nname: e\nmodel_name: {name}\n{data(cluster, False)}"))
    return job["result"]["test_loss"]


def refused(cluster, text, words):
    (cluster.dir / "job.yaml").write_text(text)
    done = cluster.psctl("submit", cluster.dir / "job.yaml", check=False)
    assert done.returncode and words in done.stderr and done.stderr.count("\n") == 1, done.stderr


def goes_and_comes(cluster, name, format, no="", tolerance=2e-6):
    path = cluster.dir / f"{name}.{format}"
    done = cluster.psctl("export", name, "--format", format, *(("--dtype", "f32") if tolerance < 1e-5 else ()), "-o", path, check=False)
    if no:
        assert done.returncode == 7 and no in done.stderr and done.stderr.count("\n") == 1, (name, format, done.stderr)
        return
    assert done.returncode == 0, (name, format, done.stderr)
    cluster.psctl("import", path, "back", "--replace")
    assert abs(loss(cluster, "back") - loss(cluster, name)) < tolerance, (name, format)


def compressed(cluster, kind):
    def text(name, how, train=True):
        overlap = "allow_overlap: true, " * train
        return f"kind: compress\nname: {kind}-{name}\nmodel_name: {kind}\n{data(cluster, train)}compress: {{{overlap}{how}}}\nworkers: 2\n"
    for name, how in {"int4": "calibrate: {rows: 64}, quantise: {scheme: int4, group: 32, method: gptq}",
                      "uint4": "calibrate: {rows: 64}, quantise: {scheme: uint4, group: 32, method: awq}",
                      "heads": "prune: {what: heads, ratio: 0.5}", "ffn": "prune: {what: ffn, ratio: 0.25, by: activation}",
                      "lowrank": "lowrank: {rank: 0.5, what: ffn}"}.items():
        result = cluster.wait_job(cluster.submit(text(name, how)))["result"]
        more = result["test_loss"] - result["parent_test_loss"]
        assert more < (1 if name == "heads" else 0.05), (kind, name, result)
    for what, no in (("layers", NO_LAYERS), ("hidden", NO_HIDDEN)):
        pruned = text(what, f"prune: {{what: {what}, ratio: {0.5 if what == 'layers' else 0.25}}}")
        if kind in no:
            refused(cluster, pruned, no[kind])
            continue
        result = cluster.wait_job(cluster.submit(pruned))["result"]
        assert result["test_loss"] - result["parent_test_loss"] < 1.5, (kind, what, result)
    for form, formats in {"int4": ("hf-ct", "hf-gptq", "hf-awq"), "uint4": ("hf-gptq", "hf-awq")}.items():
        for format in formats:
            goes_and_comes(cluster, f"{kind}-{form}", format, NO_PACKS.get(kind, ""), tolerance=3e-4)
    goes_and_comes(cluster, f"{kind}-ffn", "hf")
    goes_and_comes(cluster, f"{kind}-lowrank", "hf")


def adapted(cluster, kind):
    targets = TARGETS.get(kind, "[q, k, v, o, gate, up, down]")
    job = train(cluster, "adapted", f"initialize_from: {kind}", f"epochs: 1, lora: {{rank: 4, alpha: 8, targets: {targets}}}")
    folder = cluster.dir / f"{kind}-adapter"
    folder.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        cluster.psctl("fetch", job["id"], name, "-o", folder / name)
    cluster.psctl("import", folder, "back", "--base", kind, "--replace")
    found = loss(cluster, "adapted")
    assert abs(loss(cluster, "back") - found) < 1e-6 and found < loss(cluster, kind), (kind, found)
    cluster.psctl("delete", "adapted")


def explained(cluster, kind):
    patch = "{method: patching, patch: {clean: [84, 104, 101], corrupt: [84, 105, 101], exact_top: 4}}"
    def look(inside, states=("done",)):
        return cluster.wait_job(cluster.submit(
            f"kind: explain\nname: look\nmodel_name: {kind}\nexplain:\n  prompts: [[84, 104, 101], {list(b' fox the lazy')}]\n"
            f"  inside: [{inside}]\n"), states=states)
    job = look(f"logit_lens, attention, head_ablation, blocks, {patch}")
    report = cluster.psctl_json("report", job["id"])["report"]
    assert report["warnings"] == [] and all(r.get("residual", {}).get("met", True) for r in report["results"]), (kind, report)
    direct = look("direct_logits", states=("done", "failed"))
    assert NO_DIRECT[kind] in direct["reason"] if kind in NO_DIRECT else direct["state"] == "done", (kind, direct)
    taught = cluster.wait_job(cluster.submit(
        f"kind: explain\nname: taught\nmodel_name: {kind}\n{data(cluster)}explain: {{rows: {{first: 2}}, influence: [{{method: tracin}}]}}\n"))
    warnings = cluster.psctl_json("report", taught["id"])["report"]["warnings"]
    assert any("not counted are" in line and ("the 10 products" in line) == (kind in NO_DIRECT) for line in warnings), (kind, warnings)


def every_architecture_does_everything():
    with Cluster() as cluster:
        cluster.start_server()
        for worker in ("w1", "w2"):
            cluster.start_worker(worker)
        write_tokens(cluster)
        for kind, model in MODELS.items():
            job = train(cluster, kind, f"model: {{architecture: {kind}, {model}}}", "epochs: 3")
            assert abs(loss(cluster, kind) - job["progress"]["test_loss"]) < 1e-6 and job["progress"]["test_loss"] < 3, (kind, job)
            said = cluster.psctl_json("generate", kind, "--prompt", "the quick", "--tokens", 20, "--temperature", 0, "--cache", "float32")
            again = "the quick" + bytes(said["tokens"][:10]).decode()
            more = cluster.psctl_json("generate", kind, "--prompt", again, "--tokens", 10, "--temperature", 0, "--cache", "float32")
            assert said["tokens"][10:] == more["tokens"], (kind, said, more)
            goes_and_comes(cluster, kind, "hf")
            goes_and_comes(cluster, kind, "gguf", NO_GGUF.get(kind, ""))
            compressed(cluster, kind)
            adapted(cluster, kind)
            explained(cluster, kind)


if __name__ == "__main__":
    run([every_architecture_does_everything])
