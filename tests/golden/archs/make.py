#!/usr/bin/env python3
"""Tiny models of each architecture, as Hugging Face's transformers on PyTorch computes them in float64:
loss, the tokens that it says, and what gradients are. tests/unit/worker/models/test_archs.c compares
ours with them.

    pip install torch transformers==5.24.0
    tests/golden/archs/make.py llama qwen2        # writes llama.txt, qwen2.txt beside it
    tests/golden/archs/make.py packed             # of several, with rows of several documents

Weights are in no file: both sides make them (`number` below). Of a gradient there are its length and two
products with vectors made likewise, so that each of its numbers counts.

Files are lines of a word and what it says: `variant` begins one; config, the config.json; tokens, of
ROWS rows; starts, of packed, the token of its row that each one's document begins with; loss; greedy, the tokens that follow the first PROMPT of the first row; gradient, a parameter's
name and the three numbers. Of models of texts there are instead: text, which class it is of,
how many tokens are of the first text, and the tokens; answers, what is said of each text. Only needed to make the files again; the tests read the files.
"""
import json
import pathlib
import sys

import numpy
import torch
import transformers

HERE = pathlib.Path(__file__).parent
ROWS, LENGTH, PROMPT, SAYS = 2, 24, 6, 14
MASK = (1 << 64) - 1


def hashed(name):
    """FNV-1a of 64 bits."""
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = (h ^ byte) * 0x100000001B3 & MASK
    return h


def numbers(name, n):
    """In [-0.5, 0.5): splitmix64 of the name's hash and the place."""
    z = numpy.uint64(hashed(name)) + numpy.arange(1, n + 1, dtype=numpy.uint64) * numpy.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    z = z ^ (z >> numpy.uint64(31))
    return (z >> numpy.uint64(40)).astype(numpy.float64) / (1 << 24) - 0.5


def ours(kind, name):
    """The names that psd has: without the prefix of the whole model, and gpt_neox's head as its files have it."""
    if kind == "gpt_neox":
        return name.replace("lm_head", "embed_out")
    return name.removeprefix("transformer.").removeprefix("bert.")


def in_our_order(config, name, values):
    """Of gpt_neox's packed product each head's queries, keys and values stand together; in psd all queries,
    then all keys, then all values."""
    if "query_key_value" not in name:
        return values
    heads = config.num_attention_heads
    return values.reshape(heads, 3, config.hidden_size // heads, -1).swapaxes(0, 1).reshape(-1)


def in_their_order(config, name, values):
    if "query_key_value" not in name:
        return values
    heads = config.num_attention_heads
    return values.reshape(3, heads, config.hidden_size // heads, -1).swapaxes(0, 1).reshape(-1)


def fill(model):
    around = 0.0 if "gemma" in model.config.model_type else 1.0  # of gains
    for name, parameter in model.named_parameters():
        name = ours(model.config.model_type, name)
        gain = around if parameter.ndim == 1 and name.endswith(".weight") else 0.0
        values = (gain + 0.6 * in_their_order(model.config, name, numbers(name, parameter.numel()))).astype(numpy.float32)
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(values.astype(numpy.float64)).reshape(parameter.shape))


# ---- variants: what differs from the base ----

def decoder(**more):
    return dict(vocab_size=89, max_position_embeddings=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
                num_attention_heads=4, num_key_value_heads=2, rms_norm_eps=1e-5, tie_word_embeddings=False, **more)


def rope(kind, **more):
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 10000.0, **more}}


ROPES = {
    "linear": rope("linear", factor=2.5),
    "dynamic": rope("dynamic", factor=4.0),
    "llama3": rope("llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32),
    "yarn": rope("yarn", factor=4.0, original_max_position_embeddings=16),
    "yarn_numbers": rope("yarn", factor=3.0, original_max_position_embeddings=32, beta_fast=8.0, beta_slow=0.5, attention_factor=1.3),
}

VARIANTS = {
    "bert": {
        "classes": {"num_labels": 3},
        "named": {"num_labels": 4, "id2label": {0: "noun", 1: "verb", 2: "other", 3: "none"}, "num_hidden_layers": 3},
        "one_type": {"type_vocab_size": 1, "hidden_act": "relu"},
        "gelu_new": {"hidden_act": "gelu_new", "num_attention_heads": 2},
        "epsilon": {"layer_norm_eps": 1e-3, "intermediate_size": 80, "num_labels": 5},
        "dropouts": {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.2, "classifier_dropout": 0.3},
        "embeds": {},
        "embeds_no_pooler": {"hidden_act": "silu", "num_hidden_layers": 1},
        "embeds_one_head": {"num_attention_heads": 1, "type_vocab_size": 1, "num_hidden_layers": 3},
    },
    "gemma2": {
        "plain": {},
        "window": {"sliding_window": 5, "num_hidden_layers": 4},
        "untied": {"tie_word_embeddings": False, "sliding_window": 9, "num_hidden_layers": 3},
        "query_scalar": {"query_pre_attn_scalar": 24, "num_hidden_layers": 3},
        "low_caps": {"attn_logit_softcapping": 0.5, "final_logit_softcapping": 1.5, "head_dim": 16, "query_pre_attn_scalar": 16},
        "no_caps": {"attn_logit_softcapping": None, "final_logit_softcapping": None},
        "all_full": {"layer_types": ["full_attention"] * 3, "num_hidden_layers": 3, "sliding_window": 4},
    },
    "gemma3": {
        "plain": {},
        "window": {"sliding_window": 5, "num_hidden_layers": 7},
        "every_third": {"sliding_window_pattern": 3, "num_hidden_layers": 4, "sliding_window": 9},
        "linear": {"rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                                       "sliding_attention": {"rope_type": "default", "rope_theta": 500.0}},
                   "layer_types": ["sliding_attention", "full_attention"] * 2, "num_hidden_layers": 4},
        "query_scalar": {"query_pre_attn_scalar": 24, "num_hidden_layers": 3, "tie_word_embeddings": False},
        "all_full": {"layer_types": ["full_attention"] * 3, "num_hidden_layers": 3, "head_dim": 16, "query_pre_attn_scalar": 16},
        "capped": {"final_logit_softcapping": 1.5, "num_key_value_heads": 1, "layer_types": ["sliding_attention"] * 2},
        "yarn": {"rope_parameters": {"full_attention": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e6, "original_max_position_embeddings": 16},
                                     "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}},
                 "sliding_window_pattern": 2},
    },
    "gpt2": {
        "plain": {},
        "untied": {"tie_word_embeddings": False},
        "gelu": {"activation_function": "gelu", "n_inner": 80},
        "relu": {"activation_function": "relu", "n_layer": 3},
        "silu_untied": {"activation_function": "silu", "tie_word_embeddings": False},
        "dropouts": {"resid_pdrop": 0.1, "embd_pdrop": 0.2, "attn_pdrop": 0.0},
        "one_head": {"n_head": 1, "layer_norm_epsilon": 1e-3},
    },
    "gpt_neox": {
        "plain": {},
        "one_after_the_other": {"use_parallel_residual": False, "num_hidden_layers": 3},
        "half": {**rope("default", partial_rotary_factor=0.5), "num_attention_heads": 2},
        "whole": rope("default", partial_rotary_factor=1.0) | {"hidden_act": "gelu_new"},
        "tied": {"tie_word_embeddings": True, "layer_norm_eps": 1e-3},
        "no_attention_bias": {"attention_bias": False, "hidden_act": "relu"},
        "linear": rope("linear", factor=2.5, partial_rotary_factor=0.5),
        "yarn": rope("yarn", factor=4.0, original_max_position_embeddings=16, partial_rotary_factor=0.5),
        "dropouts": {"hidden_dropout": 0.1, "attention_dropout": 0.0, "num_attention_heads": 1},
    },
    "llama": {
        "plain": {},
        "llama3": {**ROPES["llama3"], "tie_word_embeddings": True},
        "llama3_numbers": {**rope("llama3", factor=5.5, low_freq_factor=1.5, high_freq_factor=6.0,
                                  original_max_position_embeddings=48), "head_dim": 16},
        "head_dim": {"head_dim": 16, "num_key_value_heads": 4, "num_hidden_layers": 3},
        "attention_bias": {"attention_bias": True},
        "both_biases": {"attention_bias": True, "mlp_bias": True, "head_dim": 12, **ROPES["llama3"]},
        "linear": ROPES["linear"],
        "dynamic": ROPES["dynamic"],
        "yarn": {**ROPES["yarn"], "mlp_bias": True},
        "yarn_numbers": ROPES["yarn_numbers"],
    },
    "qwen2": {
        "plain": {},
        "tied": {"tie_word_embeddings": True, "hidden_size": 48},
        "theta": rope("default") | {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}},
        "one_kv_head": {"num_key_value_heads": 1},
        "linear": ROPES["linear"],
        "yarn": ROPES["yarn"],
        "yarn_numbers": {**ROPES["yarn_numbers"], "num_hidden_layers": 3},
        "window": {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1, "num_hidden_layers": 3},
    },
    "qwen3": {
        "plain": {"head_dim": 8},
        "head_dim": {"head_dim": 16, "num_key_value_heads": 4},
        "tied": {"head_dim": 12, "tie_word_embeddings": True, "hidden_size": 48},
        "attention_bias": {"head_dim": 8, "attention_bias": True, "rms_norm_eps": 1e-3},
        "one_kv_head": {"head_dim": 10, "num_key_value_heads": 1, "num_hidden_layers": 3},
        "linear": {"head_dim": 16, **ROPES["linear"]},
        "yarn": {"head_dim": 8, **ROPES["yarn"]},
        "window": {"head_dim": 8, "use_sliding_window": True, "sliding_window": 6, "max_window_layers": 0},
    },
    "mistral": {
        "no_window": {"sliding_window": None},
        "window": {"sliding_window": 7},
        "window_of_one": {"sliding_window": 1, "num_hidden_layers": 3},
        "window_head_dim": {"sliding_window": 10, "head_dim": 16, "num_key_value_heads": 4},
        "wide_window": {"sliding_window": 64, "tie_word_embeddings": True},
        "linear": {"sliding_window": None, **ROPES["linear"]},
        "llama3": {"sliding_window": 12, **ROPES["llama3"]},
    },
}

CLASSES = {"gemma2": "Gemma2", "gemma3": "Gemma3", "gpt2": "GPT2", "gpt_neox": "GPTNeoX", "llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3", "mistral": "Mistral"}


# Kind, what differs, and where documents begin in each row.
PACKED = {
    "llama": ("llama", {}, ([0, 1, 5, 6, 17], [0, 11])),
    "llama_one": ("llama", ROPES["yarn"], ([0], [0])),
    "gpt2": ("gpt2", {}, ([0, 3, 20, 23], [0, 8, 16])),
    "gemma2": ("gemma2", {"sliding_window": 5, "num_hidden_layers": 4}, ([0, 9, 10, 22], [0, 12])),
    "qwen3": ("qwen3", {"head_dim": 16}, ([0, 2, 4, 6, 8, 10, 12], [0, 23])),
    "mistral": ("mistral", {"sliding_window": 7}, ([0, 6, 7, 14, 21], [0, 10, 20])),
}


BASES = {
    "bert": lambda: dict(vocab_size=89, max_position_embeddings=40, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
                         num_attention_heads=4, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0),
    "gemma2": lambda: decoder() | dict(head_dim=8, query_pre_attn_scalar=8, sliding_window=12, tie_word_embeddings=True),
    "gemma3": lambda: decoder() | dict(head_dim=8, query_pre_attn_scalar=8, sliding_window=12, tie_word_embeddings=True),
    "gpt_neox": lambda: {k: v for k, v in decoder().items() if k not in ("num_key_value_heads", "rms_norm_eps")} | dict(layer_norm_eps=1e-5),
    "gpt2": lambda: dict(vocab_size=89, n_positions=64, n_embd=32, n_layer=2, n_head=4, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0),
}


def build(kind, changes):
    config = getattr(transformers, CLASSES[kind] + ("TextConfig" if kind == "gemma3" else "Config"))
    model = getattr(transformers, CLASSES[kind] + ("LMHeadModel" if kind == "gpt2" else "ForCausalLM"))
    base = decoder() if kind not in BASES else BASES[kind]()
    made = config(**{**base, **changes})
    made._attn_implementation = "eager"
    return model(made)


TEXTS = [(17, 0), (5, 0), (9, 4), (1, 0), (22, 9)]  # tokens, and how many of them are of a second text


def make_texts(kind, name, changes, out):
    """One loss over texts of several lengths, or what stands for each: the mean of its tokens."""
    torch.manual_seed(1)
    base = {**BASES[kind](), **changes}
    embeds = name.startswith("embeds")
    made = transformers.BertConfig(**base)
    made._attn_implementation = "eager"
    whole = transformers.BertModel(made, add_pooling_layer="no_pooler" not in name) if embeds else transformers.BertForSequenceClassification(made)
    made.architectures = [type(whole).__name__]
    model = whole.double().eval()
    fill(model)
    # 0 fills up, and PyTorch takes no gradient of it
    texts = [[1 + int(x) for x in numpy.floor((numbers(f"text {i}", n) + 0.5) * (made.vocab_size - 1))] for i, (n, _) in enumerate(TEXTS)]
    seconds = [0 if made.type_vocab_size == 1 else n for _, n in TEXTS]
    classes = [0 if embeds else i % made.num_labels for i in range(len(texts))]
    most = max(map(len, texts))
    ids = torch.tensor([t + [0] * (most - len(t)) for t in texts])
    mask = torch.tensor([[1] * len(t) + [0] * (most - len(t)) for t in texts])
    types = torch.tensor([[0] * (len(t) - n) + [1] * n + [0] * (most - len(t)) for t, n in zip(texts, seconds)])
    said = model(input_ids=ids, attention_mask=mask, token_type_ids=types)
    if embeds:
        answers = (said.last_hidden_state * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        loss = torch.zeros(())
    else:
        answers = said.logits
        loss = torch.nn.functional.cross_entropy(answers, torch.tensor(classes))
        loss.backward()
    config = {k: v for k, v in json.loads(made.to_json_string(use_diff=False)).items() if v is not None}
    print("variant", name, file=out)
    print("config", json.dumps(config), file=out)
    for text, second, which in zip(texts, seconds, classes):
        print("text", which, len(text) - second, *text, file=out)
    print("loss", repr(loss.item()), file=out)
    print("answers", *[f"{v:.9g}" for v in answers.reshape(-1).tolist()], file=out)
    if not embeds:
        gradients(kind, model, out)
    print(f"{kind} {name}: loss {loss.item():.6f}")


def gradients(kind, model, out):
    for key, parameter in model.named_parameters():
        key, gradient = ours(kind, key), in_our_order(model.config, key, parameter.grad.numpy().reshape(-1))
        along = [float(gradient @ numbers(f"{which} {key}", gradient.size)) for which in ("first", "second")]
        print("gradient", key, *[f"{v:.9g}" for v in (float(numpy.linalg.norm(gradient)), *along)], file=out)


def greedy(model, tokens):
    """The tokens that follow; two that are nearly as likely would be no test."""
    said = []
    for _ in range(SAYS):
        logits = model(input_ids=torch.tensor([tokens + said])).logits[0, -1]
        best = torch.topk(logits, 2).values
        assert best[0] - best[1] > 1e-4, best
        said.append(int(logits.argmax()))
    return said


def packed_loss(model, rows, labels, begins):
    """By positions that begin again, from which transformers makes the mask; and of each document alone, which must be the same."""
    positions = torch.tensor([[t - max(b for b in row if b <= t) for t in range(LENGTH)] for row in begins])
    logits = torch.cat([model(input_ids=rows[r:r + 1, :-1], position_ids=positions[r:r + 1], use_cache=False).logits for r in range(ROWS)])
    with torch.no_grad():
        for r, row in enumerate(begins):
            for begin, end in zip(row, row[1:] + [LENGTH]):
                alone = model(input_ids=rows[r:r + 1, begin:end]).logits[0]
                assert (alone - logits[r, begin:end]).abs().max() < 1e-5  # its softmax is float32
    return torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1))


def make(kind, name, changes, out, begins=None):
    torch.manual_seed(1)
    model = build(kind, changes).double().eval()
    fill(model)
    vocabulary = model.config.vocab_size
    tokens = [[int(x) for x in numpy.floor((numbers(f"tokens {row}", LENGTH + 1) + 0.5) * vocabulary)] for row in range(ROWS)]
    rows = torch.tensor(tokens)
    if begins:
        labels = rows[:, 1:].clone()
        for r, row in enumerate(begins):
            labels[r, [begin - 1 for begin in row[1:]]] = -100
        loss = packed_loss(model, rows, labels, begins)
    else:
        logits = model(input_ids=rows[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, vocabulary), rows[:, 1:].reshape(-1))
    loss.backward()
    config = {k: v for k, v in json.loads(model.config.to_json_string(use_diff=False)).items() if v is not None or k == "sliding_window" or k.endswith("softcapping")}
    print("variant", name, file=out)
    print("config", json.dumps(config), file=out)
    print("tokens", *[t for row in tokens for t in row], file=out)
    if begins:
        print("starts", *[max(b for b in row if b <= t) for row in begins for t in range(LENGTH)], file=out)
    print("loss", repr(loss.item()), file=out)
    with torch.no_grad():
        print("greedy", *greedy(model, tokens[0][:PROMPT]), file=out)
    gradients(kind, model, out)
    print(f"{kind} {name}: loss {loss.item():.6f}")


if __name__ == "__main__":
    for kind in sys.argv[1:] or [*VARIANTS, "packed"]:
        with open(HERE / f"{kind}.txt", "w", encoding="utf-8") as file:
            for name, (of, changes, begins) in PACKED.items() if kind == "packed" else ():
                make(of, name, changes, file, begins)
            for name, changes in VARIANTS.get(kind, {}).items():
                (make_texts if kind == "bert" else make)(kind, name, changes, file)
