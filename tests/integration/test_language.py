"""Language models from a text to an evaluated model: tokenize, train by two workers, export, and the
same loss from numpy in float64."""

import numpy as np

from harness import Cluster, as_it_ships, read_safetensors, run

CONTEXT = 16
TEXT = ("the quick brown fox jumps over the lazy dog. pack my box with five dozen liquor jugs. "
        "how vexingly quick daft zebras jump! ") * 60
MODELS = {
    "gpt2": "{architecture: gpt2, vocab_size: 256, context_length: 32, hidden_size: 32, num_layers: 2, "
            "num_heads: 4, dropout: 0.05, tokenizer: bytes}",
    "llama": "{architecture: llama, vocab_size: 256, context_length: 32, hidden_size: 32, num_layers: 2, "
             "num_heads: 4, num_kv_heads: 2, intermediate_size: 64, tokenizer: bytes}",
}


def job(cluster, name, mode="asp", train=""):
    return f"""kind: train
name: {name}
model: {MODELS[name]}
data:
  format: tokens
  sequence_length: {CONTEXT}
  train: {{tokens: {cluster.dir}/train.tokens}}
  test: {{tokens: {cluster.dir}/test.tokens}}
train:
  epochs: 12
  batch_size: 8
  optimizer: {{name: adamw, learning_rate: 0.002}}
  consistency: {{mode: {mode}}}
{train}workers: 2
"""


def write_tokens(cluster):
    for name, text in (("train", TEXT), ("test", TEXT[: len(TEXT) // 3])):
        path = cluster.dir / f"{name}.txt"
        path.write_text(text)
        cluster.psctl("tokenize", path, "-o", cluster.dir / f"{name}.tokens")


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attention(q, k, v):
    """[T, d] each; causal."""
    scores = q @ k.T / np.sqrt(q.shape[1])
    scores[np.triu_indices(len(q), 1)] = -np.inf
    return softmax(scores) @ v


def layernorm(x, gain, bias):
    d = x - x.mean(-1, keepdims=True)
    return d / np.sqrt((d * d).mean(-1, keepdims=True) + 1e-5) * gain + bias


def gpt2(w, tokens, heads=4):
    """Logits [T, V], in float64 and from the paper."""
    x = w["wte.weight"][tokens] + w["wpe.weight"][: len(tokens)]
    layer = 0
    while f"h.{layer}.ln_1.weight" in w:
        p = {k.removeprefix(f"h.{layer}."): v for k, v in w.items() if k.startswith(f"h.{layer}.")}
        h = layernorm(x, p["ln_1.weight"], p["ln_1.bias"]) @ p["attn.c_attn.weight"] + p["attn.c_attn.bias"]
        q, k, v = np.split(h, 3, 1)
        parts = zip(np.split(q, heads, 1), np.split(k, heads, 1), np.split(v, heads, 1))
        mixed = np.concatenate([attention(*part) for part in parts], 1)
        x = x + mixed @ p["attn.c_proj.weight"] + p["attn.c_proj.bias"]
        h = layernorm(x, p["ln_2.weight"], p["ln_2.bias"]) @ p["mlp.c_fc.weight"] + p["mlp.c_fc.bias"]
        h = 0.5 * h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))
        x = x + h @ p["mlp.c_proj.weight"] + p["mlp.c_proj.bias"]
        layer += 1
    return layernorm(x, w["ln_f.weight"], w["ln_f.bias"]) @ w["wte.weight"].T


def rmsnorm(x, gain):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * gain


def rope(x):
    """[T, d] of one head: halves are turned."""
    half = x.shape[1] // 2
    angles = np.arange(len(x))[:, None] / 10000.0 ** (np.arange(half) / half)
    a, b = x[:, :half], x[:, half:]
    return np.concatenate([a * np.cos(angles) - b * np.sin(angles), b * np.cos(angles) + a * np.sin(angles)], 1)


def llama(w, tokens, heads=4, kv_heads=2):
    x = w["model.embed_tokens.weight"][tokens]
    layer = 0
    while f"model.layers.{layer}.input_layernorm.weight" in w:
        prefix = f"model.layers.{layer}."
        p = {k.removeprefix(prefix).removesuffix(".weight"): v for k, v in w.items() if k.startswith(prefix)}
        h = rmsnorm(x, p["input_layernorm"])
        q = np.split(h @ p["self_attn.q_proj"].T, heads, 1)
        k = np.split(h @ p["self_attn.k_proj"].T, kv_heads, 1)
        v = np.split(h @ p["self_attn.v_proj"].T, kv_heads, 1)
        share = heads // kv_heads
        mixed = np.concatenate([attention(rope(q[i]), rope(k[i // share]), v[i // share]) for i in range(heads)], 1)
        x = x + mixed @ p["self_attn.o_proj"].T
        h = rmsnorm(x, p["post_attention_layernorm"])
        gate = h @ p["mlp.gate_proj"].T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ p["mlp.up_proj"].T)) @ p["mlp.down_proj"].T
        layer += 1
    return rmsnorm(x, w["model.norm.weight"]) @ w["lm_head.weight"].T


def numpy_loss(model, tensors):
    w = {name: values.astype(np.float64) for name, values in tensors.items()}
    tokens = np.frombuffer(TEXT[: len(TEXT) // 3].encode(), np.uint8).astype(int)
    losses, right = [], 0
    rows = (len(tokens) - 1) // CONTEXT
    for row in range(rows):
        begin = row * CONTEXT
        logits = {"gpt2": gpt2, "llama": llama}[model](w, tokens[begin:begin + CONTEXT])
        labels = tokens[begin + 1:begin + CONTEXT + 1]
        losses += list(-np.log(softmax(logits)[np.arange(CONTEXT), labels]))
        right += (logits.argmax(1) == labels).sum()
    return np.mean(losses), right / (rows * CONTEXT)


def trained(model, mode="asp", train="", tolerance=1e-5):
    with Cluster() as cluster:
        write_tokens(cluster)
        cluster.start_server()
        cluster.start_worker("w1")
        cluster.start_worker("w2")
        progress = cluster.wait_job(cluster.submit(job(cluster, model, mode, train)), timeout=180)["progress"]
        assert progress["test_loss"] < 2.0, progress
        assert abs(progress["test_perplexity"] / np.exp(progress["test_loss"]) - 1) < 1e-6, progress
        assert f"test perplexity  {progress['test_perplexity']:.4f}" in cluster.psctl("model", model).stdout
        cluster.psctl("export", model, "-o", cluster.dir / "model.safetensors")
        _, tensors = read_safetensors(cluster.dir / "model.safetensors")
        loss, accuracy = numpy_loss(model, tensors)
        print(f"     {model} {mode}: loss {loss:.4f}, accuracy {accuracy:.3f}")
        assert abs(progress["test_loss"] - loss) < tolerance * loss, (progress, loss)
        assert abs(progress["test_accuracy"] - accuracy) < 0.001 + 100 * tolerance, (progress, accuracy)


def gpt2_trains_and_agrees_with_numpy():
    trained("gpt2")


@as_it_ships
def llama_trains_and_agrees_with_numpy():
    trained("llama")


def batches_add_up_and_blocks_are_computed_again_under_bsp():
    trained("gpt2", "bsp", "  accumulate: 2\n  recompute: true\n")


@as_it_ships
def bfloat16_trains_as_well():
    trained("llama", train="  precision: bf16\n", tolerance=0.01)


def what_does_not_fit_is_one_clear_line():
    with Cluster() as cluster:
        write_tokens(cluster)
        cluster.start_server()
        cluster.start_worker("w1")
        (cluster.dir / "train.tokens").write_bytes(b"PSDTOKEN" + bytes(100))
        failed = cluster.wait_job(cluster.submit(job(cluster, "gpt2")), states=("failed",))
        assert "train.tokens" in failed["reason"], failed["reason"]
        small = job(cluster, "llama").replace("vocab_size: 256", "vocab_size: 300").replace("train.tokens", "test.tokens")
        small = small.replace("tokenizer: bytes", "tokenizer: ''").replace("vocab_size: 300", "vocab_size: 64")
        failed = cluster.wait_job(cluster.submit(small), states=("failed",))
        assert "vocabulary of 256, but model.vocab_size is 64" in failed["reason"], failed["reason"]


if __name__ == "__main__":
    run([gpt2_trains_and_agrees_with_numpy, llama_trains_and_agrees_with_numpy,
         batches_add_up_and_blocks_are_computed_again_under_bsp, bfloat16_trains_as_well,
         what_does_not_fit_is_one_clear_line])
