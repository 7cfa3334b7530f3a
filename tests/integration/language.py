"""Small language models: a text, jobs that train on it, and the loss of a model from numpy in float64."""
import json

import numpy as np

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


def write_prompts(cluster, path):
    """The test text as prompts and responses; which of its tokens are of these."""
    text, learnt = TEXT[: len(TEXT) // 3], []
    with (cluster.dir / "prompts.jsonl").open("w") as lines:
        for at in range(0, len(text), 100):
            prompt, response = text[at:at + 13 + at // 9 % 60], text[at + 13 + at // 9 % 60:at + 100]
            learnt += [False] * len(prompt) + [True] * len(response)
            lines.write(json.dumps({"turn": {"asked": prompt}, "said": response}) + "\n")
    said = cluster.psctl("tokenize", "--prompt", "turn.asked", "--response", "said", cluster.dir / "prompts.jsonl", "-o", path)
    assert f"{sum(learnt)} tokens of them to learn" in said.stdout, said
    return np.array(learnt)


def write_documents(cluster, path):
    """The test text as documents of 3 to 39 tokens; where they begin."""
    text, begins = TEXT[: len(TEXT) // 3], [0]
    while begins[-1] < len(text):
        begins.append(min(begins[-1] + 3 + len(begins) * 11 % 37, len(text)))
    with (cluster.dir / "documents.jsonl").open("w") as lines:
        for begin, end in zip(begins, begins[1:]):
            lines.write(json.dumps({"text": text[begin:end]}) + "\n")
    cluster.psctl("tokenize", "--jsonl", "text", "--documents", cluster.dir / "documents.jsonl", "-o", path)
    return begins


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


def kept(out, x):
    if out is not None:
        out.append(x)
    return x


def gpt2(w, tokens, heads=4, seen=None, stream=None, normed=None):
    """Logits [T, V], in float64 and from the paper. Lists that get: seen, what each attention gives, [T, heads·d]; stream, what
    comes into each block, and out of the last; normed, what each norm gives."""
    x = w["wte.weight"][tokens] + w["wpe.weight"][: len(tokens)]
    layer = 0
    while f"h.{layer}.ln_1.weight" in w:
        if stream is not None:
            stream.append(x)
        p = {k.removeprefix(f"h.{layer}."): v for k, v in w.items() if k.startswith(f"h.{layer}.")}
        h = kept(normed, layernorm(x, p["ln_1.weight"], p["ln_1.bias"])) @ p["attn.c_attn.weight"] + p["attn.c_attn.bias"]
        q, k, v = np.split(h, 3, 1)
        parts = zip(np.split(q, heads, 1), np.split(k, heads, 1), np.split(v, heads, 1))
        mixed = np.concatenate([attention(*part) for part in parts], 1)
        if seen is not None:
            seen.append(mixed)
        x = x + mixed @ p["attn.c_proj.weight"] + p["attn.c_proj.bias"]
        h = kept(normed, layernorm(x, p["ln_2.weight"], p["ln_2.bias"])) @ p["mlp.c_fc.weight"] + p["mlp.c_fc.bias"]
        h = 0.5 * h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))
        x = x + h @ p["mlp.c_proj.weight"] + p["mlp.c_proj.bias"]
        layer += 1
    if stream is not None:
        stream.append(x)
    return kept(normed, layernorm(x, w["ln_f.weight"], w["ln_f.bias"])) @ w["wte.weight"].T


def rmsnorm(x, gain):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * gain


def rope(x):
    """[T, d] of one head: halves are turned."""
    half = x.shape[1] // 2
    angles = np.arange(len(x))[:, None] / 10000.0 ** (np.arange(half) / half)
    a, b = x[:, :half], x[:, half:]
    return np.concatenate([a * np.cos(angles) - b * np.sin(angles), b * np.cos(angles) + a * np.sin(angles)], 1)


def llama(w, tokens, heads=4, kv_heads=2, seen=None, stream=None, normed=None):
    x = w["model.embed_tokens.weight"][tokens]
    layer = 0
    while f"model.layers.{layer}.input_layernorm.weight" in w:
        if stream is not None:
            stream.append(x)
        prefix = f"model.layers.{layer}."
        p = {k.removeprefix(prefix).removesuffix(".weight"): v for k, v in w.items() if k.startswith(prefix)}
        h = kept(normed, rmsnorm(x, p["input_layernorm"]))
        q = np.split(h @ p["self_attn.q_proj"].T, heads, 1)
        k = np.split(h @ p["self_attn.k_proj"].T, kv_heads, 1)
        v = np.split(h @ p["self_attn.v_proj"].T, kv_heads, 1)
        share = heads // kv_heads
        mixed = np.concatenate([attention(rope(q[i]), rope(k[i // share]), v[i // share]) for i in range(heads)], 1)
        if seen is not None:
            seen.append(mixed)
        x = x + mixed @ p["self_attn.o_proj"].T
        h = kept(normed, rmsnorm(x, p["post_attention_layernorm"]))
        gate = h @ p["mlp.gate_proj"].T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ p["mlp.up_proj"].T)) @ p["mlp.down_proj"].T
        layer += 1
    if stream is not None:
        stream.append(x)
    return kept(normed, rmsnorm(x, w["model.norm.weight"])) @ w["lm_head.weight"].T


def numpy_loss(model, tensors, learnt=None, begins=(), **sizes):
    """sizes: heads, and of llama kv_heads, where they are not those of MODELS. learnt: which tokens count; all. begins: where
    documents do that are apart."""
    w = {name: values.astype(np.float64) for name, values in tensors.items()}
    tokens = np.frombuffer(TEXT[: len(TEXT) // 3].encode(), np.uint8).astype(int)
    losses, right = [], []
    learnt = np.ones(len(tokens), bool) if learnt is None else learnt
    rows = (len(tokens) - 1) // CONTEXT
    for row in range(rows):
        begin = row * CONTEXT
        parts = np.split(tokens[begin:begin + CONTEXT], [at - begin for at in begins if begin < at < begin + CONTEXT])
        logits = np.concatenate([{"gpt2": gpt2, "llama": llama}[model](w, part, **sizes) for part in parts])
        labels = tokens[begin + 1:begin + CONTEXT + 1]
        counts = learnt[begin + 1:begin + CONTEXT + 1] & ~np.isin(np.arange(begin + 1, begin + CONTEXT + 1), begins)
        losses += list(-np.log(softmax(logits)[np.arange(CONTEXT), labels])[counts])
        right += list((logits.argmax(1) == labels)[counts])
    return np.mean(losses), np.mean(right)
