"""Models whose tensors are in forms: written here by the formats' descriptions, stored as they are, and then as good as
the float32 models that they are decoded to."""
import json
import re
import struct

import numpy as np

from harness import Cluster, as_it_ships, read_safetensors, run
from scenes import said_of
from language import write_tokens
from test_generate import weights


def int8_rows(w):
    """A float16 scale a row, and codes with 128 added. Bytes a row, and what they say."""
    scales = (np.abs(w).max(1, keepdims=True) / 127).astype("<f2")
    codes = np.rint(w / scales.astype("f4")) + 0  # no -0
    return (np.concatenate([scales.view("u1"), (codes + 128).astype("u1")], 1), codes.astype("f4") * scales.astype("f4"))


def blocks(w, most, code):
    """Blocks of 32 numbers with a float16 scale first, as ggml has them; code: their bytes of codes."""
    x = w.reshape(len(w), -1, 32)
    scales = (np.abs(x).max(2, keepdims=True) / most).astype("<f2")
    codes = np.rint(x / scales.astype("f4")).clip(-most, most) + 0
    stored = np.concatenate([scales.view("u1"), code(codes)], 2)
    return stored.reshape(len(w), -1), (codes.astype("f4") * scales.astype("f4")).reshape(w.shape)


def q8_0(w):
    return blocks(w, 127, lambda codes: codes.astype("i1").view("u1"))


def q4_0(w):
    def nibbles(codes):
        low = (codes + 8).astype("u1")
        return low[..., :16] | low[..., 16:] << 4
    return blocks(w, 7, nibbles)


def groups(bits, zeros):
    """Groups of 32: a float16 scale (a zero and a 0), then codes, lowest bits first."""
    def store(w):
        x = w.reshape(len(w), -1, 32)
        top = 2 ** bits - 1
        spread = x.max(2, keepdims=True) - x.min(2, keepdims=True) if zeros else 2 * np.abs(x).max(2, keepdims=True)
        scales = (spread / (top - 1)).astype("<f2")
        zero = np.rint(-x.min(2, keepdims=True) / scales).clip(0, top) if zeros else np.full_like(scales, 2 ** (bits - 1))
        codes = (np.rint(x / scales.astype("f4")) + zero.astype("f4")).clip(0, top).astype("u1")
        stream = np.packbits(np.unpackbits(codes[..., None], axis=3, bitorder="little")[..., :bits].reshape(*codes.shape[:2], -1),
                             axis=2, bitorder="little")
        head = [zero.astype("u1"), np.zeros_like(zero, "u1")] if zeros else []
        stored = np.concatenate([scales.view("u1"), *head, stream], 2).reshape(len(w), -1)
        return stored, ((codes.astype("f4") - zero.astype("f4")) * scales.astype("f4")).reshape(w.shape)
    return store


def e4m3(codes):
    """OCP's FP8 as numbers."""
    exponent, mantissa = codes >> 3 & 15, codes & 7
    size = np.where(exponent, (8 + mantissa) * 2.0 ** (exponent.astype(int) - 10), mantissa * 2.0 ** -9)
    return np.where(codes & 128, -size, size).astype("f4")


def fp8_rows(w):
    """A float32 scale a row; of all codes the nearest."""
    every = np.delete(np.arange(256, dtype="u1"), [127, 128, 255])
    scales = (np.abs(w).max(1, keepdims=True) / np.float32(448)).astype("<f4")
    codes = every[np.abs((w / scales)[..., None] - e4m3(every)).argmin(-1)]
    return np.concatenate([scales.view("u1"), codes], 1), e4m3(codes) * scales


E2M1 = np.array([0, .5, 1, 1.5, 2, 3, 4, 6, 0, -.5, -1, -1.5, -2, -3, -4, -6], "f4")


def mxfp4(w):
    """Blocks of 32: an exponent with 127 added, and sixteen bytes, number k and k + 16 in one."""
    x = w.reshape(len(w), -1, 32)
    exponents = np.floor(np.log2(np.abs(x).max(2, keepdims=True))) - 2
    codes = np.abs(x[..., None] / 2.0 ** exponents[..., None] - E2M1).argmin(-1).astype("u1")
    stored = np.concatenate([(exponents + 127).astype("u1"), codes[..., :16] | codes[..., 16:] << 4], 2)
    return stored.reshape(len(w), -1), (E2M1[codes] * 2.0 ** exponents).astype("f4").reshape(w.shape)


FORMS = {"mxfp4": mxfp4, "fp8/row": fp8_rows, "int8/row": int8_rows, "q8_0": q8_0, "q4_0": q4_0, "int4/32": groups(4, False), "int8/32": groups(8, False),
         "uint4/32": groups(4, True), "uint3/32": groups(3, True)}


def write(path, config, tensors, forms=None):
    """psd's file: float32 tensors first. forms: the metadata, of those that are bytes."""
    header, body = {"__metadata__": {"psd.model": config}}, b""
    if forms:
        header["__metadata__"]["psd.forms"] = json.dumps(forms)
    for name, values in sorted(tensors.items(), key=lambda item: item[1].dtype != "f4"):
        header[name] = {"dtype": "F32" if values.dtype == "f4" else "U8", "shape": list(values.shape),
                        "data_offsets": [len(body), len(body) + values.nbytes]}
        body += np.ascontiguousarray(values).tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def read(path):
    """Metadata, and name -> bytes of each tensor."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__")
    return metadata, {n: data[8 + length:][slice(*t["data_offsets"])] for n, t in header.items()}


def in_forms(tensors, choose, transposed=()):
    """Tensors as they are stored, the metadata, and the float32 ones that they say. choose: name -> form, None."""
    stored, forms, decoded = {}, {}, {}
    for name, values in tensors.items():
        form = choose(name, values)
        if not form:
            stored[name] = decoded[name] = values
            continue
        turned = name.endswith(transposed) if transposed else False
        stored[name], said = FORMS[form](values.T if turned else values)
        decoded[name] = np.ascontiguousarray(said.T if turned else said)
        forms[name] = {"form": form, "shape": list(values.shape)} | ({"transposed": True} if turned else {})
    return stored, forms, decoded


def put(cluster, name, config, tensors, choose, transposed=()):
    """Stores model NAME in forms, and NAME-plain with the numbers of these."""
    stored, forms, decoded = in_forms(tensors, choose, transposed)
    write(cluster.dir / f"{name}.safetensors", config, stored, forms)
    write(cluster.dir / f"{name}-plain.safetensors", config, decoded)
    for model in name, f"{name}-plain":
        cluster.psctl("import", cluster.dir / f"{model}.safetensors", model)
    return decoded


def close(found, plain, tolerance):
    assert abs(found["loss"] - plain["loss"]) <= tolerance * plain["loss"], (found, plain)


def an_mlp_is_evaluated_described_and_trained_on():
    with Cluster() as cluster:
        cluster.tiny_data()
        cluster.start_server()
        cluster.start_worker("w1")
        cluster.wait_job(cluster.submit(cluster.tiny_job(workers=1)))
        cluster.psctl("export", "tiny", "-o", cluster.dir / "tiny.safetensors")
        metadata, tensors = read_safetensors(cluster.dir / "tiny.safetensors")
        choose = {"layers.0.weight": "int8/row", "layers.2.weight": "q8_0", "layers.1.weight": "q8_0"}
        decoded = put(cluster, "small", metadata["psd.model"], tensors, lambda name, _: choose.get(name))
        data = [cluster.dir / f"test-{part}.gz" for part in ("features", "labels")]
        close(cluster.psctl_json("evaluate", "small", *data), cluster.psctl_json("evaluate", "small-plain", *data), 1e-5)

        model = cluster.psctl_json("model", "small")
        assert model["parameters"] == sum(v.size for v in tensors.values())
        assert set(model["forms"].split(", ")) == {"q8_0", "int8/row", "float32"}, model["forms"]
        assert {t["name"]: t["form"] for t in model["tensors"]} == {n: choose.get(n, "float32") for n in tensors}
        bits = 8 * model["tensor_bytes"] / model["parameters"]
        assert f"({bits:.3g} bits a parameter)" in cluster.psctl("model", "small").stdout
        assert "float32" in cluster.psctl("models").stdout

        job = cluster.wait_job(cluster.submit("kind: describe\nname: look\nmodel_name: small\n"))
        told = json.loads(cluster.psctl("fetch", job["id"], "describe.json", "-o", "-").stdout)
        for tensor in told["tensors"]:
            values = decoded[tensor["name"]].astype("f8")
            assert tensor["form"] == choose.get(tensor["name"], "float32") and tensor["shape"] == list(values.shape)
            assert np.isclose(tensor["std"], values.std(), rtol=1e-12) and tensor["max"] == values.max(), tensor

        job = cluster.submit(cluster.tiny_job("more", epochs=1, workers=1, more="initialize_from: small"))
        loss = cluster.wait_job(job)["progress"]["test_loss"]
        assert any("its numbers were decoded to float32 for training" in line for line in said_of(cluster, job)), said_of(cluster, job)
        assert cluster.psctl_json("model", "more")["forms"] == "float32" and loss < 1
        cluster.psctl("export", "more", "-o", cluster.dir / "more.safetensors")
        assert "psd.forms" not in read_safetensors(cluster.dir / "more.safetensors")[0]


def language(kind):
    transposed = ("c_attn.weight", "c_proj.weight", "c_fc.weight") if kind == "gpt2" else ()
    def choose(name, values):
        return (None if values.ndim < 2 or name == "wpe.weight" else
                "q8_0" if "embed" in name or "wte" in name or "head" in name else "q4_0")
    with Cluster() as cluster:
        write_tokens(cluster)
        cluster.start_server()
        worker = cluster.start_worker("w1")
        tensors, config = weights(kind)
        decoded = put(cluster, "q", config, tensors, choose, transposed)
        results = [cluster.psctl_json("evaluate", name, cluster.dir / "test.tokens") for name in ("q", "q-plain")]
        close(*results, 1e-5)
        generate = ["generate", "q", "--prompt", "the quick", "--tokens", 12, "--temperature", 0]
        assert cluster.psctl(*generate).stdout == cluster.psctl(*generate).stdout
        cluster.psctl(*generate, "--cache", "float32")
        log = (cluster.dir / "w1.log").read_text()
        assert log.count("cache=int8") == log.count("cache=float32") == 1, log
        generate[1] = "q-plain"
        generate += ["--cache", "float32"]
        assert cluster.psctl(*generate).stdout == cluster.psctl(*generate, "--weights", "bf16").stdout
        held = [int(n) for n in re.findall(r"serving model=q-plain .*bytes=(\d+)", worker.text())]
        halves = 2 * sum(v.size for v in tensors.values() if v.ndim == 2)
        assert len(held) == 2 and abs(held[0] - held[1] - halves) <= 256 * len(tensors), (held, halves)

        cluster.psctl("export", "q", "-o", cluster.dir / "same.safetensors")
        assert (cluster.dir / "same.safetensors").read_bytes() == (cluster.dir / "q.safetensors").read_bytes()
        cluster.psctl("export", "q", "--format", "hf", "-o", cluster.dir / "folder")
        _, floats = read_safetensors(cluster.dir / "folder/model.safetensors")
        assert {n: v.tobytes() for n, v in floats.items()} == {n: v.tobytes() for n, v in decoded.items()}

        cluster.psctl("export", "q", "--format", "gguf", "-o", cluster.dir / "q.gguf")
        cluster.psctl("import", cluster.dir / "q.gguf", "again")
        cluster.psctl("export", "again", "-o", cluster.dir / "again.safetensors")
        before, after = (read(cluster.dir / f"{name}.safetensors") for name in ("q", "again"))
        assert json.loads(before[0]["psd.forms"]) == json.loads(after[0]["psd.forms"])
        assert before[1] == after[1], [name for name in before[1] if before[1][name] != after[1].get(name)]
        cluster.psctl("import", cluster.dir / "q.gguf", "floats", "--float32")
        cluster.psctl("export", "floats", "-o", cluster.dir / "floats.safetensors")
        _, floats = read_safetensors(cluster.dir / "floats.safetensors")
        assert {n: v.tobytes() for n, v in floats.items()} == {n: v.tobytes() for n, v in decoded.items()}


def a_gpt2_goes_in_and_out_as_blocks():
    language("gpt2")


def a_llama_goes_in_and_out_as_blocks():
    language("llama")


def parts_of(path):
    """name -> array, of every dtype that the layouts have."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    types = {"F32": "<f4", "F16": "<f2", "I32": "<u4", "I64": "<i8", "F8_E4M3": "u1", "U8": "u1", "I8": "i1"}
    return {name: np.frombuffer(data[8 + length:][slice(*t["data_offsets"])], types[t["dtype"]]).reshape(t["shape"])
            for name, t in json.loads(data[8:8 + length]).items() if name != "__metadata__"}


def stream(words, bits):
    """Codes along the last axis, lowest bits first."""
    flat = np.unpackbits(np.ascontiguousarray(words).view("u1"), axis=-1, bitorder="little")
    flat = flat.reshape(*flat.shape[:-1], -1, bits)
    return (flat * (1 << np.arange(bits))).sum(-1).astype("f4")


def by_compressed_tensors(parts, stem, config):
    if config["format"] == "float-quantized":
        return e4m3(parts[stem + "weight"]) * parts[stem + "weight_scale"]
    if config["format"] == "mxfp4-pack-quantized":
        scales = 2.0 ** (parts[stem + "weight_scale"].astype("f4") - 127)
        return (E2M1[stream(parts[stem + "weight_packed"], 4).astype(int)] * np.repeat(scales, 32, 1)).astype("f4")
    weights = config["config_groups"]["group_0"]["weights"]
    codes = stream(parts[stem + "weight_packed"], weights["num_bits"]) - 2 ** (weights["num_bits"] - 1)
    scales = parts[stem + "weight_scale"].astype("f4")
    assert codes.shape == tuple(parts[stem + "weight_shape"])
    return codes * np.repeat(scales, codes.shape[1] // scales.shape[1], 1)


def by_gptq(parts, stem, config):
    bits = config["bits"]
    codes = stream(parts[stem + "qweight"].T, bits)
    zeros = stream(parts[stem + "qzeros"], bits) + (config["checkpoint_format"] == "gptq")
    group = parts[stem + "g_idx"].astype(int)
    size = codes.shape[1] if config["group_size"] == -1 else config["group_size"]
    assert (group == np.arange(codes.shape[1]) // size).all()
    return parts[stem + "scales"].astype("f4")[group].T * (codes - zeros[group].T)


def by_awq(parts, stem, config):
    def unpack(words):
        codes = stream(words, 4).reshape(len(words), -1, 8)
        return codes[..., [0, 4, 1, 5, 2, 6, 3, 7]].reshape(len(words), -1)
    codes, zeros = unpack(parts[stem + "qweight"]), unpack(parts[stem + "qzeros"])
    group = np.arange(len(codes)) // config["group_size"]
    return (parts[stem + "scales"].astype("f4")[group] * (codes - zeros[group])).T


def refused_in_one_line(cluster):
    """Keys of quantization_config, and parts of matrices, that are not what psd reads."""
    def refuses(format, words, change=None, parts=None):
        folder = cluster.dir / f"int4-32-{format}"
        config, weights_of = (folder / "config.json"), (folder / "model.safetensors")
        kept = config.read_bytes(), weights_of.read_bytes()
        if change:
            said = json.loads(kept[0])
            change(said["quantization_config"])
            config.write_text(json.dumps(said))
        if parts:
            (length,) = struct.unpack("<Q", kept[1][:8])
            header, body = json.loads(kept[1][8:8 + length]), bytearray(kept[1][8 + length:])
            parts(header, body)
            text = json.dumps(header).encode()
            weights_of.write_bytes(struct.pack("<Q", len(text)) + text + body)
        done = cluster.psctl("import", folder, "no", check=False)
        assert done.returncode and words in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
        config.write_bytes(kept[0])
        weights_of.write_bytes(kept[1])

    q = "model.layers.0.self_attn.q_proj."
    def put(name, at, value):
        def on(header, body):
            begin = header[q + name]["data_offsets"][0] + at
            body[begin:begin + len(value)] = value
        return on
    def rename(header, body):
        header[q + "other"] = header.pop(q + "qzeros")
    def reshape(header, body):
        header[q + "scales"]["shape"] = [1, 128]
    weights_are = lambda **how: lambda c: c["config_groups"]["group_0"]["weights"].update(how)
    refuses("hf-gptq", "quant_method 'bnb' is not known; allowed: compressed-tensors, gptq, awq", lambda c: c.update(quant_method="bnb"))
    refuses("hf-gptq", "key 'bits' is '5', which psd does not read; allowed: 2 3 4 8", lambda c: c.update(bits=5))
    refuses("hf-gptq", "key 'new' is not known, and may change what the numbers mean", lambda c: c.update(new=1))
    refuses("hf-gptq", "key 'dynamic' says something", lambda c: c.update(dynamic={"lm_head": {}}))
    refuses("hf-gptq", "codes in another order (desc_act) are not kept here; --float32 takes their numbers", parts=put("g_idx", 0, b"\1"))
    refuses("hf-gptq", "a zero of 9, which a symmetric form has not", parts=put("qzeros", 0, b"\x78"))
    refuses("hf-gptq", "is none of a llama model", parts=rename)
    refuses("hf-gptq", "qzeros is I32 of [2, 8]; I32 of [1, 8] is expected", parts=reshape)
    refuses("hf-gptq", "tensor model.layers.0.self_attn.q_proj.weight: element [0, 0] is", parts=put("scales", 0, b"\0\x7c"))
    refuses("hf-awq", "key 'version' is 'gemv'", lambda c: c.update(version="gemv"))
    refuses("hf-ct", "self_attn.q_proj.weight_scale has no weight_zero_point beside it", weights_are(symmetric=False))
    refuses("hf-ct", "key 'dynamic' is 'true'", weights_are(dynamic=True))
    refuses("hf-ct", "key 'input_activations' has what goes into products rounded to int8",
            lambda c: c["config_groups"]["group_0"].update(input_activations={"num_bits": 8, "dynamic": True}))
    refuses("hf-ct", "key 'format' is 'nvfp4-pack-quantized'", lambda c: c.update(format="nvfp4-pack-quantized"))
    refuses("hf-ct", "key 'format' and keys of 'weights' say different things", weights_are(type="float"))
    (cluster.dir / "int4-32-hf-ct/quantize_config.json").write_text('{"bits": 8, "group_size": 32}')
    refuses("hf-ct", "key 'quant_method' is 'compressed-tensors' in quantization_config of config.json, and 'gptq' here")
    (cluster.dir / "int4-32-hf-ct/quantize_config.json").unlink()
    refuses("hf-ct", "weight_shape is another one", parts=put("weight_shape", 0, b"\1"))


def blocks_of(cluster, folder, *more):
    """psd's bytes of every tensor of a folder."""
    cluster.psctl("import", folder, "again", "--replace", *more)
    cluster.psctl("export", "again", "-o", cluster.dir / "again.safetensors", "--force")
    return read(cluster.dir / "again.safetensors")


def as_older_tools_wrote_it(cluster):
    """quantize_config.json without a word in config.json; and W8A8, when activations are told to stay floats."""
    folder = cluster.dir / "int4-32-hf-gptq"
    config = json.loads((folder / "config.json").read_text())
    said = config.pop("quantization_config")
    assert json.loads((folder / "quantize_config.json").read_text()) == said
    before = blocks_of(cluster, folder)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "quantize_config.json").write_text(json.dumps({k: said[k] for k in ("bits", "group_size", "sym", "desc_act")}))
    assert blocks_of(cluster, folder) == before

    folder = cluster.dir / "w8a8"
    cluster.psctl("export", "int8-row", "-o", folder, "--format", "hf-ct", "--activations", "int8", "--dtype", "f32")
    said = json.loads((folder / "config.json").read_text())["quantization_config"]
    assert said["format"] == "int-quantized" and said["config_groups"]["group_0"]["input_activations"]["num_bits"] == 8
    done = cluster.psctl("import", folder, "no", check=False)
    assert done.returncode and "key 'input_activations' has what goes into products rounded to int8" in done.stderr, done.stderr
    assert blocks_of(cluster, folder, "--float-activations")[1] == read(cluster.dir / "int8-row.safetensors")[1]
    done = cluster.psctl("export", "int4-32", "-o", cluster.dir / "x", "--format", "hf-ct", "--activations", "int8", check=False)
    assert done.returncode == 7 and "is stored as int4/32, and hf-ct with activations int8 holds int8/row" in done.stderr, done.stderr


def columns_in_the_order_of_activations(cluster):
    """desc_act: g_idx has columns in any group; as numbers they are w = s·(q − z) of that group."""
    folder = cluster.dir / "uint4-32-hf-gptq"
    data = bytearray((folder / "model.safetensors").read_bytes())
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    rng = np.random.default_rng(5)
    for name, t in header.items():
        if name.endswith(".g_idx"):
            begin, end = (8 + length + at for at in t["data_offsets"])
            data[begin:end] = rng.permutation(np.frombuffer(bytes(data[begin:end]), "<i4")).tobytes()
    (folder / "model.safetensors").write_bytes(data)
    parts = parts_of(folder / "model.safetensors")
    cluster.psctl("import", folder, "again", "--replace", "--float32")
    cluster.psctl("export", "again", "-o", cluster.dir / "again.safetensors", "--force")
    _, floats = read_safetensors(cluster.dir / "again.safetensors")
    stem = "model.layers.1.mlp.down_proj."
    codes, zeros = stream(parts[stem + "qweight"].T, 4), stream(parts[stem + "qzeros"], 4)
    group = parts[stem + "g_idx"].astype(int)
    assert (np.diff(group) < 0).any()
    want = parts[stem + "scales"].astype("f4")[group].T * (codes - zeros[group].T)
    assert (floats[stem + "weight"] + 0).tobytes() == (want + 0).astype("f4").tobytes()


def zeros_of_compressed_tensors(cluster):
    """A folder of compressed-tensors with zeros, made of GPTQ's: words of codes along rows, of zeros down columns."""
    parts = parts_of(cluster.dir / "uint4-32-hf-gptq/model.safetensors")
    def words(codes):
        shifts = np.arange(0, 32, 4, dtype="u4")
        return (codes.astype("u4").reshape(*codes.shape[:-1], -1, 8) << shifts).sum(-1, dtype="u4")
    tensors = {}
    for name, values in parts.items():
        stem, _, part = name.rpartition(".")
        if part == "qweight":
            tensors[stem + ".weight_packed"] = words(stream(values.T, 4))
            tensors[stem + ".weight_shape"] = np.array([values.shape[1], values.shape[0] * 8], "<i8")
        elif part == "qzeros":
            tensors[stem + ".weight_zero_point"] = np.ascontiguousarray(words(stream(values, 4)).T)
        elif part == "scales":
            tensors[stem + ".weight_scale"] = np.ascontiguousarray(values.T)
        elif part != "g_idx":
            tensors[name] = values
    kinds = {"float32": "F32", "float16": "F16", "uint32": "I32", "int64": "I64"}
    header, body = {}, b""
    for name, values in tensors.items():
        header[name] = {"dtype": kinds[values.dtype.name], "shape": list(values.shape), "data_offsets": [len(body), len(body) + values.nbytes]}
        body += values.tobytes()
    folder = cluster.dir / "ct-zeros"
    folder.mkdir()
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + body)
    config = json.loads((cluster.dir / "int4-32-hf-ct/config.json").read_text())
    config["quantization_config"]["config_groups"]["group_0"]["weights"]["symmetric"] = False
    (folder / "config.json").write_text(json.dumps(config))
    assert blocks_of(cluster, folder)[1] == read(cluster.dir / "uint4-32.safetensors")[1]


def zeros_that_are_fractions_stay_here(cluster):
    """As method hqq makes them: s·(q − z − f/256). As numbers they go anywhere."""
    tensors, config = weights("llama", hidden=64)
    stored, forms, decoded = in_forms(tensors, lambda n, v: "uint4/32" if v.ndim == 2 and ".layers." in n else None)
    name = next(iter(forms))
    stored[name][0, 3] = 64
    decoded[name][0, :32] -= stored[name][0, :2].view("<f2").astype("f4") * np.float32(0.25)
    write(cluster.dir / "fractions.safetensors", config, stored, forms)
    cluster.psctl("import", cluster.dir / "fractions.safetensors", "fractions")
    for format in "hf-gptq", "hf-awq":
        done = cluster.psctl("export", "fractions", "-o", cluster.dir / "x", "--format", format, check=False)
        assert done.returncode == 7 and f"{name} has zeros that are fractions" in done.stderr, done.stderr
        assert not (cluster.dir / "x").exists()
    cluster.psctl("export", "fractions", "-o", cluster.dir / "numbers", "--dtype", "f32", "--format", "hf")
    _, floats = read_safetensors(cluster.dir / "numbers" / "model.safetensors")
    assert np.allclose(floats[name], decoded[name], rtol=0, atol=1e-7), np.abs(floats[name] - decoded[name]).max()


@as_it_ships
def codes_are_laid_out_as_loaders_of_hugging_face_expect():
    """By numpy, from the descriptions of the layouts; the numbers are the same to the bit."""
    formats = {"hf-ct": (by_compressed_tensors, ("int4/32", "int8/32", "int8/row", "fp8/row", "mxfp4"), "compressed-tensors"),
               "hf-gptq": (by_gptq, ("int4/32", "int8/32", "int8/row", "uint4/32", "uint3/32"), "gptq"),
               "hf-awq": (by_awq, ("int4/32", "uint4/32"), "awq")}
    with Cluster() as cluster:
        cluster.start_server()
        tensors, config = weights("llama", hidden=64)
        for form in "int4/32", "int8/32", "int8/row", "uint4/32", "uint3/32", "fp8/row", "mxfp4":
            name = form.replace("/", "-")
            stored, forms, decoded = in_forms(tensors, lambda n, v: form if v.ndim == 2 and ".layers." in n else None)
            write(cluster.dir / f"{name}.safetensors", config, stored, forms)
            cluster.psctl("import", cluster.dir / f"{name}.safetensors", name)
            for format, (reads, allowed, method) in formats.items():
                folder = cluster.dir / f"{name}-{format}"
                if form not in allowed:
                    done = cluster.psctl("export", name, "-o", folder, "--format", format, check=False)
                    assert done.returncode == 7 and f"is stored as {form}, and {format} holds int" in done.stderr, done.stderr
                    assert not folder.exists()
                    continue
                cluster.psctl("export", name, "-o", folder, "--format", format, "--dtype", "f32")
                parts = parts_of(folder / "model.safetensors")
                said = json.loads((folder / "config.json").read_text())["quantization_config"]
                assert said["quant_method"] == method
                for tensor, values in decoded.items():
                    if tensor in forms:
                        values, found = values + 0, reads(parts, tensor.removesuffix("weight"), said) + 0  # no -0
                    else:
                        found = parts[tensor]
                    assert found.dtype == "f4" and found.tobytes() == values.tobytes(), f"{folder.name}: {tensor}"
                again = cluster.dir / f"{folder.name}.safetensors"
                cluster.psctl("import", folder, "again", "--replace")
                cluster.psctl("export", "again", "-o", again)
                before, after = read(cluster.dir / f"{name}.safetensors"), read(again)
                if (form, format) != ("int4/32", "hf-awq"):  # where every matrix has zeros
                    assert json.loads(after[0]["psd.forms"]) == json.loads(before[0]["psd.forms"]), (folder.name, after[0])
                    assert after[1] == before[1], folder.name
                cluster.psctl("import", folder, "again", "--replace", "--float32")
                cluster.psctl("export", "again", "-o", again, "--force")
                _, floats = read_safetensors(again)
                assert all((floats[n] + 0).tobytes() == (v + 0).tobytes() for n, v in decoded.items()), folder.name
        zeros_that_are_fractions_stay_here(cluster)
        refused_in_one_line(cluster)
        as_older_tools_wrote_it(cluster)
        zeros_of_compressed_tensors(cluster)
        columns_in_the_order_of_activations(cluster)
        tensors, config = weights("gpt2")
        put(cluster, "two", config, tensors, lambda n, v: None)
        done = cluster.psctl("export", "two", "--format", "hf-gptq", "-o", cluster.dir / "x", check=False)
        assert done.returncode == 7 and "format hf-gptq is for models of linear layers, such as llama" in done.stderr, done.stderr


def what_does_not_fit_is_refused_with_its_tensor():
    with Cluster() as cluster:
        cluster.start_server()
        cluster.start_worker("w1")
        config = "{architecture: mlp, layers: [32, 2]}"
        w, b = np.ones((2, 32), "f4"), np.zeros(2, "f4")
        good, _ = q8_0(w)
        nan = good.copy()
        nan[1, :2] = np.array([np.nan], "<f2").view("u1")
        name = "layers.0.weight"
        form = {"form": "q8_0", "shape": [2, 32]}
        for stored, said, words in (
                (good, form | {"form": "q9_0"}, "psd does not know the form 'q9_0'"),
                (good, form | {"shape": [2, 64]}, "[2, 64] in form q8_0 is U8 of [2, 68], which it is not"),
                (good, form | {"scale": 1}, "psd does not know the key 'scale'"),
                (good, None, "is U8; allowed: F32"),
                (nan, form, "element [1, 0] is nan")):
            write(cluster.dir / "bad.safetensors", config, {name: stored, "layers.0.bias": b}, said and {name: said})
            done = cluster.psctl("import", cluster.dir / "bad.safetensors", "bad", check=False)
            assert done.returncode and f"tensor {name}" in done.stderr and words in done.stderr.replace("NaN", "nan"), done.stderr
            assert len(done.stderr.splitlines()) == 1, done.stderr
        assert not cluster.psctl_json("models")["models"]
        turned, _ = q8_0(np.ones((2, 32), "f4"))
        write(cluster.dir / "turned.safetensors", "{architecture: mlp, layers: [2, 32]}",
              {name: turned, "layers.0.bias": np.zeros(32, "f4")}, {name: {"form": "q8_0", "shape": [32, 2], "transposed": True}})
        cluster.psctl("import", cluster.dir / "turned.safetensors", "turned")
        cluster.tiny_data(rows=40, features=4)
        job = cluster.submit(f"kind: evaluate\nname: look\nmodel_name: turned\ndata:\n  format: idx\n  test: "
                             f"{{features: {cluster.dir}/test-features.gz, labels: {cluster.dir}/test-labels.gz}}\n")
        reason = cluster.wait_job(job, states=("failed",))["reason"]
        assert f"tensor {name} is in a form and transposed; its rows must be of one output each" in reason, reason


if __name__ == "__main__":
    run([an_mlp_is_evaluated_described_and_trained_on, a_gpt2_goes_in_and_out_as_blocks, a_llama_goes_in_and_out_as_blocks,
         codes_are_laid_out_as_loaders_of_hugging_face_expect, what_does_not_fit_is_refused_with_its_tensor])
