"""Tiny random models as GGUF files, by llama.cpp's own writer (the package gguf 0.19.0), and what they mean.

    PYTHONPATH=build/pypi python3 tests/golden/gguf/make_gguf.py

writes gpt2.gguf, llama.gguf, qwen2.gguf, bert.gguf and gpt2-00001-of-00003.gguf and so on, the same models under Hugging Face's names as gpt2.safetensors and so on
(float32), and the seeds of tests/fuzz/corpus/gguf. Tests write files of their own with write().

imatrix.gguf is none of these: llama-imatrix (llama-cpp-python 0.3.36) wrote it, -c 64 -b 64, of a gpt2 of one block (32 wide, 2
heads, mlp of 64, 256 tokens, context 64; norms of gain 1 and offset 0, all else random) and 1984 bytes of English text.
"""
import pathlib
import sys

import gguf
import numpy

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parent / "hf"))
import make as hf  # noqa: E402

TYPES = gguf.GGMLQuantizationType
GOLDEN = {"vocab": 262, "context": 4, "hidden": 32, "inner": 64, "heads": 2, "kv": 1, "layers": 1}
SEED = {"vocab": 3, "context": 2, "hidden": 2, "inner": 2, "heads": 1, "kv": 1, "layers": 1}


def letters():
    """GPT-2's bytes_to_unicode: the letter that stands for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in plain]
    out = {b: chr(b) for b in plain} | {b: chr(256 + i) for i, b in enumerate(rest)}
    return [out[b] for b in range(256)]


def tokenizer():
    """256 bytes, three merges, a control token, an added one, and one that nobody uses."""
    tokens = [*letters(), "ab", "abab", "Ġab", "<|endoftext|>", "<tool>", "[PAD261]"]
    return tokens, [1] * 259 + [3, 4, 5], ["a b", "ab ab", "Ġ ab"]


def word_pieces(n):
    """As convert_hf_to_gguf.py has those of a vocab.txt: U+2581 before what begins a word, and no ## before what goes on."""
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "\u2581a", "b", "\u2581ab", "\u2581!"]
    return (tokens + [f"\u2581w{i}" for i in range(len(tokens), n)])[:n], ([3] * 5 + [1] * n)[:n]


def shapes_bert(s):
    h = s["hidden"]
    out = {"token_embd.weight": (s["vocab"], h), "position_embd.weight": (s["context"], h), "token_types.weight": (2, h)}

    def layer(name, *sides):
        return {name + ".weight": sides, name + ".bias": sides[:1]}
    out |= layer("token_embd_norm", h)
    for b in (f"blk.{i}." for i in range(s["layers"])):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            out |= layer(b + name, h, h)
        out |= layer(b + "attn_output_norm", h) | layer(b + "ffn_up", s["inner"], h)
        out |= layer(b + "ffn_down", h, s["inner"]) | layer(b + "layer_output_norm", h)
    return out | (layer("cls", h, h) | layer("cls.output", s["classes"], h) if "classes" in s else {})


def shapes(kind, s):
    """GGUF's names; sides as numpy has them, so the rows' length last."""
    if kind == "bert":
        return shapes_bert(s)
    h, kv = s["hidden"], s["hidden"] // s["heads"] * s["kv"]
    out = {"token_embd.weight": (s["vocab"], h), "output_norm.weight": (h,)}
    for i in range(s["layers"]):
        b = f"blk.{i}."
        out |= {b + "attn_norm.weight": (h,), b + "ffn_norm.weight": (h,), b + "attn_output.weight": (h, h),
                b + "ffn_up.weight": (s["inner"], h), b + "ffn_down.weight": (h, s["inner"])}
        if kind == "gpt2":
            out |= {b + "attn_qkv.weight": (3 * h, h), b + "attn_qkv.bias": (3 * h,), b + "attn_norm.bias": (h,),
                    b + "ffn_norm.bias": (h,), b + "attn_output.bias": (h,), b + "ffn_up.bias": (s["inner"],),
                    b + "ffn_down.bias": (h,)}
        else:
            out |= {b + "attn_q.weight": (h, h), b + "attn_k.weight": (kv, h), b + "attn_v.weight": (kv, h),
                    b + "ffn_gate.weight": (s["inner"], h)}
        if kind == "qwen2":
            out |= {b + "attn_q.bias": (h,), b + "attn_k.bias": (kv,), b + "attn_v.bias": (kv,)}
    if kind == "gpt2":
        return out | {"position_embd.weight": (s["context"], h), "output_norm.bias": (h,)}
    return out | {"output.weight": (s["vocab"], h)}


def draw(kind, s, types):
    """name -> bytes as an array, type, and the float32 that they mean. types: the file's matrices take turns."""
    numbers, out, turn = numpy.random.Generator(numpy.random.PCG64(7)), {}, 0
    for name, shape in shapes(kind, s).items():
        values, dtype = numbers.standard_normal(shape, dtype="f4"), TYPES.F32
        if len(shape) == 2 and name not in ("position_embd.weight", "token_types.weight"):
            dtype, turn = types[turn % len(types)], turn + 1
        stored = values if dtype == TYPES.F32 else gguf.quants.quantize(values, dtype)
        if dtype == TYPES.F16:  # subnormal, largest subnormal, the largest numbers, the smallest normal one, -0
            special = [0x0001, 0x83ff, 0x7bff, 0xfbff, 0x0400, 0x8000]
            stored.reshape(-1).view("u2")[:6] = special[:stored.size]
        out[name] = stored, dtype, gguf.quants.dequantize(stored, dtype)
    return out


def means(kind, s, tensors):
    """Hugging Face's names and layouts, by the documentation of convert_hf_to_gguf: what it does, undone."""
    llama = {"attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
             "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
             "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
             "ffn_down": "mlp.down_proj", "token_embd": "model.embed_tokens", "output_norm": "model.norm",
             "output": "lm_head"}
    stems = {"gpt2": {"attn_norm": "ln_1", "attn_qkv": "attn.c_attn", "attn_output": "attn.c_proj", "ffn_norm": "ln_2",
                      "ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj", "token_embd": "wte", "position_embd": "wpe",
                      "output_norm": "ln_f", "output": "lm_head"},
             "llama": llama, "qwen2": llama,
             "bert": {"token_embd": "embeddings.word_embeddings", "position_embd": "embeddings.position_embeddings",
                      "token_types": "embeddings.token_type_embeddings", "token_embd_norm": "embeddings.LayerNorm",
                      "attn_q": "attention.self.query", "attn_k": "attention.self.key", "attn_v": "attention.self.value",
                      "attn_output": "attention.output.dense", "attn_output_norm": "attention.output.LayerNorm",
                      "ffn_up": "intermediate.dense", "ffn_down": "output.dense", "layer_output_norm": "output.LayerNorm",
                      "cls": "pooler.dense", "cls.output": "classifier"}}[kind]
    blocks = {"gpt2": "h", "bert": "encoder.layer"}.get(kind, "model.layers")
    out = {}
    for name, (_, _, values) in tensors.items():
        *block, stem, end = name.replace("cls.output", "cls output").split(".")
        stem = stem.replace(" ", ".")
        if stem not in stems:
            continue  # of no such model: the file is refused
        prefix = f"{blocks}.{block[1]}." if block else ""
        if kind == "gpt2" and block and values.ndim == 2:
            values = values.T
        if kind == "llama" and stem in ("attn_q", "attn_k"):
            heads = s["heads"] if stem == "attn_q" else s["kv"]
            values = values.reshape(heads, values.shape[0] // heads // 2, 2, -1).swapaxes(1, 2).reshape(values.shape)
        out[f"{prefix}{stems[stem]}.{end}"] = numpy.ascontiguousarray(values, "<f4")
    return out


def write(path, kind, s=None, types=(TYPES.F32,), words=True, change=None, **split):
    """split: as GGUFWriter has it (split_max_tensors=6); the files are then NAME-00001-of-… . change(writer, tensors) may add keys, and change tensors, before they are written. Returns what they mean."""
    s = s or GOLDEN
    w = gguf.GGUFWriter(path, kind, **split)
    w.add_context_length(s["context"])
    w.add_embedding_length(s["hidden"])
    w.add_block_count(s["layers"])
    w.add_feed_forward_length(s["inner"])
    w.add_head_count(s["heads"])
    if kind == "gpt2":
        w.add_layer_norm_eps(1e-5)
    elif kind == "bert":
        w.add_layer_norm_eps(1e-12)
        w.add_causal_attention(False)
        w.add_pooling_type(gguf.PoolingType.CLS)
        w.add_token_type_count(2)
        if "classes" in s:
            w.add_classifier_output_labels([f"class {i}" for i in range(s["classes"])])
    else:
        w.add_head_count_kv(s["kv"])
        w.add_layer_norm_rms_eps(1e-6)
        if kind == "llama":
            w.add_rope_dimension_count(s["hidden"] // s["heads"])
        w.add_rope_freq_base(500000.0)
        w.add_vocab_size(s["vocab"])
    if words and kind == "bert":
        tokens, kinds = word_pieces(s["vocab"])
        w.add_tokenizer_model("bert")
        w.add_tokenizer_pre("jina-v2-en")
        w.add_token_list(tokens)
        w.add_token_types(kinds)
        w.add_unk_token_id(1)
        w.add_sep_token_id(3)
        w.add_pad_token_id(0)
        w.add_bos_token_id(2)
    elif words:
        tokens, kinds, merges = tokenizer()
        w.add_tokenizer_model("gpt2")
        w.add_tokenizer_pre("gpt-2")
        w.add_token_list(tokens)
        w.add_token_types(kinds)
        w.add_token_merges(merges)
        w.add_eos_token_id(259)
    tensors = draw(kind, s, types)
    if change:
        change(w, tensors)
    for name, (stored, dtype, _) in tensors.items():
        w.add_tensor(name, stored, raw_dtype=dtype)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    embedding, head = tensors["token_embd.weight"], tensors.get("output.weight")
    tied = head and kind == "gpt2" and numpy.array_equal(head[2], embedding[2])
    return means(kind, s, {n: t for n, t in tensors.items() if n != "rope_freqs.weight" and not (tied and n == "output.weight")})


def every_value(w, _):
    """A key of each type, and arrays in arrays."""
    w.add_uint8("x.u8", 200)
    w.add_int8("x.i8", -3)
    w.add_uint16("x.u16", 60000)
    w.add_int16("x.i16", -300)
    w.add_int32("x.i32", -70000)
    w.add_uint64("x.u64", 1 << 63)
    w.add_int64("x.i64", 1 << 40)
    w.add_float64("x.f64", 0.1)
    w.add_bool("x.bool", True)
    w.add_array("x.nested", [[1, 2], [3]])
    w.add_custom_alignment(64)


if __name__ == "__main__":
    for kind in ("gpt2", "llama", "qwen2", "bert"):
        want = write(HERE / f"{kind}.gguf", kind, types=(TYPES.F16, TYPES.Q8_0, TYPES.BF16, TYPES.F32), change=every_value)
        hf.write_safetensors(HERE / f"{kind}.safetensors", {n: (v.tobytes(), v.shape) for n, v in want.items()}, "F32")
        if kind == "gpt2":  # without an alignment of its own, which the package writes into the first file alone
            write(HERE / f"{kind}.gguf", kind, types=(TYPES.F16, TYPES.Q8_0, TYPES.BF16, TYPES.F32), split_max_tensors=6)
        seeds = HERE.parents[1] / "fuzz/corpus/gguf"
        write(seeds / kind, kind, SEED, words=False)
        write(seeds / f"{kind}-values", kind, SEED, types=(TYPES.F16, TYPES.BF16), words=False, change=every_value)
    write(seeds / "bert-classes", "bert", SEED | {"vocab": 9, "classes": 2})
    write(seeds / "gpt2-words", "gpt2", SEED | {"vocab": 262}, types=(TYPES.F16,))
    write(seeds / "llama-q8_0", "llama", GOLDEN | {"vocab": 3, "heads": 4, "inner": 32}, types=(TYPES.Q8_0,), words=False)
