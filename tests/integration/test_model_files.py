"""Files of other tools: texts become tokens; models of Hugging Face come and go, and leave as GGUF."""
import gzip
import io
import json
import os
import pathlib
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import time
import zipfile

import numpy as np
from harness import PSCTL, SLOW, SOURCE, Cluster, as_it_ships, run, wait_until

GOLDEN = pathlib.Path(SOURCE) / "tests/golden"
sys.path[:0] = [str(GOLDEN / "hf"), str(GOLDEN / "gguf"), str(SOURCE / "build/pypi")]
import make as hf  # noqa: E402

TOKENIZER = [GOLDEN / "tokenizer/tokenizer.json"]
VOCAB = [GOLDEN / "tokenizer/vocab.json", GOLDEN / "tokenizer/merges.txt"]


def psctl(*arguments, status=0):
    done = subprocess.run([PSCTL, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == status, f"{arguments}: status {done.returncode}: {done.stderr}"
    return done.stderr if status else done.stdout


def read_tokens(path):
    """A token file by the documented format: its header's fields and the tokens."""
    data = path.read_bytes()
    magic, version, width, count, vocab, zero, _, name = struct.unpack_from("<8sIIQIIQ24s", data)
    assert (magic, version, zero) == (b"PSDTOKEN", 1, 0), data[:64]
    assert len(data) == 64 + width * count
    return vocab, name.rstrip(b"\0").decode(), list(struct.unpack_from(f"<{count}{'H' if width == 2 else 'I'}", data, 64))


def texts_become_token_files():
    cases = json.loads((GOLDEN / "tokenizer/cases.json").read_text())
    texts = [case["text"].encode() for case in cases]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        inputs = []
        for i, text in enumerate(texts[:60]):
            inputs.append(folder / f"{i}.txt")
            inputs[-1].write_bytes(gzip.compress(text) if i % 2 else text)
        out = folder / "out.tok"
        for tokenizer in (GOLDEN / "tokenizer/tokenizer.json", GOLDEN / "tokenizer"):
            said = json.loads(psctl("--output", "json", "tokenize", "--tokenizer", tokenizer, "--end", "<|endoftext|>",
                                    "--force", "-o", out, *inputs))
            vocab, name, tokens = read_tokens(out)
            want = [id for case in cases[:60] for id in [*case["plain"], 0]]
            assert (vocab, name) == (1000, "gpt2") and tokens == want
            assert said["tokens"] == len(want) and said["file_bytes"] == out.stat().st_size
            assert [i["bytes"] for i in said["inputs"]] == [len(t) for t in texts[:60]]
        psctl("tokenize", "--tokenizer", GOLDEN / "tokenizer", "--added", "--force", "-o", out, *inputs)
        assert read_tokens(out)[2] == [id for case in cases[:60] for id in case["added"]]
        psctl("tokenize", "--force", "-o", out, inputs[6], inputs[7])
        assert read_tokens(out) == (256, "bytes", list(texts[6] + texts[7]))

        before = out.read_bytes()
        assert "is there already" in psctl("tokenize", "-o", out, inputs[0], status=7)
        damaged = folder / "cut.gz"
        damaged.write_bytes(gzip.compress(b"text" * 1000)[:-12])
        assert "cut.gz" in psctl("tokenize", "--force", "-o", out, inputs[0], damaged, status=6)
        assert "--end" in psctl("tokenize", "--force", "-o", out, "--end", "x", inputs[0], status=6)
        assert "no tokenizer" in psctl("tokenize", "--force", "-o", out, "--tokenizer", folder, inputs[0], status=5)
        assert "--to (-o) is missing" in psctl("tokenize", inputs[0], status=2)
        assert out.read_bytes() == before and not list(folder.glob("out.tok.*")), "a failure has changed the folder"


def lines_of_json_become_documents():
    cases = json.loads((GOLDEN / "tokenizer/cases.json").read_text())[:40]
    tokenizer = ("--tokenizer", GOLDEN / "tokenizer", "--force")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        lines, out = folder / "a.jsonl", folder / "out.tok"
        lines.write_text("\n".join(json.dumps({"a": {"text": case["text"]}, "b": "x"}) for case in cases))
        psctl("tokenize", *tokenizer, "--jsonl", "a.text", "--end", "<|endoftext|>", "-o", out, lines)
        assert read_tokens(out)[2] == [id for case in cases for id in [*case["plain"], 0]]

        def words():
            data = out.read_bytes()
            version, width, count, _, marks = struct.unpack_from("<IIQII", data, 8)
            assert (version, width) == (2, 4) and len(data) == 64 + 4 * count
            return marks, list(struct.unpack_from(f"<{count}I", data, 64))

        given, begins = 1 << 31, 1 << 30
        psctl("tokenize", *tokenizer, "--jsonl", "a.text", "--documents", "-o", out, lines)
        want = [id | begins * (i == 0) for case in cases for i, id in enumerate(case["plain"])]
        assert words() == (begins, want)
        lines.write_text("\n".join(json.dumps({"q": a["text"], "r": b["text"]}) for a, b in zip(cases, cases[1:])))
        said = json.loads(psctl("--output", "json", "tokenize", *tokenizer, "--prompt", "q", "--response", "r", "--end",
                                "<|endoftext|>", "-o", out, lines))
        want = []
        for a, b in zip(cases, cases[1:]):
            document = [id | given for id in a["plain"]] + [*b["plain"], 0]
            want += [document[0] | begins, *document[1:]]
        assert words() == (given | begins, want)
        assert said["given_tokens"] == sum(id >= given for id in want) and said["documents"] == len(cases) - 1, said

        before = out.read_bytes()
        lines.write_text('{"q": "a"}\n\n{"q": 7}\n')
        assert "a.jsonl: line 3: key 'q' is a number, not a text" in psctl(
            "tokenize", "--force", "--jsonl", "q", "-o", out, lines, status=6)
        for flags in (["--prompt", "q"], ["--response", "q"], ["--jsonl", ""], ["--jsonl", "q", "--binary"],
                      ["--jsonl", "q", "--prompt", "q", "--response", "q"]):
            psctl("tokenize", "--force", *flags, "-o", out, lines, status=2)
        assert out.read_bytes() == before
        done = subprocess.run([PSCTL, "tokenize", "-o", folder / "whole", lines], capture_output=True, text=True, check=True)
        assert "--jsonl KEY takes that of each line" in done.stderr, done.stderr


def another_kind_of_file_is_told_as_what_it_is():
    """As a tokenizer, and as a text."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        text, out = folder / "a.txt", folder / "a.tokens"
        text.write_text("text")
        (folder / "a.pdf").write_bytes(b"%PDF-1.4\n")
        hf.write_safetensors(folder / "a.safetensors", {"w": (b"\0" * 8, (2,))}, "F32")
        (folder / "config.json").write_text('{"model_type": "gpt2"}')
        beside = folder / "beside"
        beside.mkdir()
        shutil.copy(folder / "config.json", beside)
        shutil.copy(GOLDEN / "tokenizer/tokenizer.json", beside)
        read = "; a tokenizer is read from a tokenizer.json, a vocab.txt, a .model of SentencePiece, a GGUF file, or a folder with one"
        for given, words, status in (("a.pdf", "a.pdf is a PDF document" + read, 6), ("a.txt", "a.txt is text, and no tokenizer.json" + read, 6),
                                     ("a.safetensors", "a.safetensors is weights in safetensors" + read, 6),
                                     ("config.json", "config.json: it is no tokenizer.json: it has no model with a vocab", 6),
                                     ("beside/config.json", f"a vocab; {beside}/tokenizer.json lies beside it", 6),
                                     (".", "has no tokenizer: tokenizer.json, vocab.json and merges.txt", 5),
                                     ("none.json", "none.json: No such file", 5)):
            assert words in psctl("tokenize", "--tokenizer", folder / given, "-o", out, text, status=status), given
        said = psctl("tokenize", "--tokenizer", "org/name", "-o", out, text, status=5)
        assert "org/name: No such file or directory; psd fetches no models; run hf download org/name --local-dir name" in said, said
        assert "safetensors is weights in safetensors; psctl import reads them" in psctl("tokenize", "-o", out, folder / "a.safetensors", status=6)
        assert not out.exists()
        text.write_text("")
        done = subprocess.run([PSCTL, "tokenize", "-o", out, text], capture_output=True, text=True, check=True)
        assert done.stdout == f"0 tokens of 0 B are in {out} (64 B)\n" and done.stderr == f"psctl: {text} is empty\n", done
        text.write_text('{"a": ""}\n')
        done = subprocess.run([PSCTL, "tokenize", "--jsonl", "a", "--force", "-o", out, text], capture_output=True, text=True, check=True)
        assert done.stderr == f"psctl: {text} has no text\n", done


def texts_and_token_files_go_through_pipes():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        text = folder / "a.txt"
        text.write_bytes(b"from a file")

        def piped(*arguments, given=b"", status=0):
            done = subprocess.run([PSCTL, "tokenize", *map(str, arguments)], input=given, capture_output=True,
                                  check=False)
            assert done.returncode == status, done.stderr
            return done

        whole = piped("-o", folder / "whole", text, "-", given=gzip.compress(b", from a pipe"))
        assert b"24 tokens" in whole.stdout and read_tokens(folder / "whole")[2] == list(b"from a file, from a pipe")
        out = piped("-o", "-", "-", given=b"both")
        assert b"4 tokens" in out.stderr, "what it says must not be among the bytes"
        (folder / "both").write_bytes(out.stdout)
        assert read_tokens(folder / "both") == (256, "bytes", list(b"both"))
        os.mkfifo(folder / "fifo")
        reader = subprocess.Popen(["cat", folder / "fifo"], stdout=subprocess.PIPE)
        piped("--force", "-o", folder / "fifo", "/dev/fd/0", given=b"both")
        assert reader.communicate()[0] == out.stdout and stat.S_ISFIFO(os.stat(folder / "fifo").st_mode)
        for given, remark in (("gr\u00fc\u00df".encode("latin-1"), b"standard input: byte 2 is no UTF-8"), ("gr\u00fc\u00df".encode(), b""),
                              (b"a\0\xff", b"standard input has 1 zero byte;")):
            said = piped("--force", "-o", folder / "whole", "-", given=given).stderr
            assert (remark in said) if remark else not said, said
            assert not piped("--force", "--binary", "-o", folder / "whole", "-", given=given).stderr
        odd = folder / "o\x1b[31m\u202ed"  # as an archive of somebody else may have it
        odd.write_bytes(b"\xff")
        said = piped("--force", "-o", folder / "p\x9bq", odd)
        assert b"o?[31m?d: byte 0 is no UTF-8" in said.stderr.replace(b"???", b"?"), said.stderr
        assert b"p?q" in said.stdout.replace(b"??", b"?") and b"\x1b" not in said.stderr, said
        os.mkfifo(folder / "in")  # of which one knows that nobody comes when nobody has come
        began = time.monotonic()
        assert b"in: a pipe that nobody writes" in piped("-o", folder / "none", folder / "in", status=6).stderr
        assert b"fifo: a pipe or device that nobody reads" in piped("--force", "-o", folder / "fifo", text, status=6).stderr
        assert time.monotonic() - began < 10 * SLOW
        late = subprocess.Popen(["sh", "-c", 'exec >"$0"; sleep 4; printf late', folder / "in"])  # comes, and writes later
        assert b"4 tokens" in piped("-o", folder / "late", folder / "in").stdout and late.wait() == 0
        (folder / "null").symlink_to("/dev/null")
        piped("--force", "-o", folder / "null", text)
        assert (folder / "null").is_symlink() and pathlib.Path("/dev/null").is_char_device()
        (folder / "link").symlink_to(text)
        refused = piped("--force", "-o", folder / "link", text, status=2)
        assert b"is an input and the output" in refused.stderr and text.read_bytes() == b"from a file"
        with text.open("rb") as stdin:
            over = subprocess.run([PSCTL, "tokenize", "--force", "-o", text, "-"], stdin=stdin, capture_output=True, check=False)
        assert over.returncode == 2 and text.read_bytes() == b"from a file", over.stderr
        assert b"is a folder" in piped("-o", folder, text, status=6).stderr
        assert not (pathlib.Path("-").exists() or list(folder.glob("*.????????")))

        endless = subprocess.Popen([PSCTL, "tokenize", "-o", folder / "cut", "-"], stdin=subprocess.PIPE)
        wait_until("the output is begun", lambda: list(folder.glob("cut.*")))
        endless.send_signal(signal.SIGINT)
        assert endless.wait(20 * SLOW) == 130 and not list(folder.glob("cut*"))


def same(got, want):
    """The bits of float32 arrays."""
    assert set(got) == set(want), set(got) ^ set(want)
    for name, values in want.items():
        assert got[name].shape == values.shape and got[name].tobytes() == values.astype("<f4").tobytes(), name


def widened(folder):
    """The tensors of an exported folder as float32."""
    out, index = {}, folder / "model.safetensors.index.json"
    files = set(json.loads(index.read_text())["weight_map"].values()) if index.exists() else {"model.safetensors"}
    for name, (dtype, values) in (each for file in files for each in hf.read_safetensors(folder / file)[0].items()):
        out[name] = (values.astype("u4") << 16).view("f4") if dtype == "BF16" else values.astype("f4")
    return out


def hugging_face_folders_come_and_go_bit_for_bit():
    with Cluster() as cluster:
        cluster.start_server()
        variants = [
            ("gpt2", dict(tokenizer=TOKENIZER)),
            ("gpt2", dict(shards=3, prefix="transformer.", extras=True, dtype="F16", tokenizer=VOCAB)),
            ("llama", dict(tokenizer=TOKENIZER)),
            ("llama", dict(shards=2, extras=True, tied=True, dtype="BF16")),
            ("qwen2", dict(tokenizer=TOKENIZER, dtype="BF16")),
            ("gemma3", dict(prefix="language_model.", extras=True, tied=True, tokenizer=TOKENIZER)),
            ("qwen2", dict(tied=True)),
        ]
        for n, (kind, how) in enumerate(variants):
            folder, name, dtype = cluster.dir / f"in{n}", f"m{n}", how.get("dtype", "F32")
            means = hf.write(folder, kind, **how)
            shown = cluster.psctl("import", folder, name).stdout
            assert kind in shown and "TENSOR" not in shown, shown
            assert "TENSOR" in cluster.psctl("model", name).stdout
            stored = cluster.dir / f"{name}.safetensors"
            cluster.psctl("export", name, "-o", stored)
            tensors, metadata = hf.read_safetensors(stored)
            same({k: v for k, (d, v) in tensors.items()}, means)
            assert all(d == "F32" for d, _ in tensors.values())
            config = metadata["psd.model"]
            assert config == cluster.psctl_json("model", name)["config"]
            assert f"architecture: {kind}, vocab_size: 1003, context_length: 40, hidden_size: 64" in config, config
            assert ("tokenizer: \"gpt2\"" in config) == ("tokenizer" in how), config
            assert kind == "gemma3" or ("tie_embeddings: true" in config) == bool(how.get("tied")), config

            out = cluster.dir / f"out{n}"
            said = cluster.psctl_json("export", name, "-o", out, "--format", "hf", "--dtype", dtype.lower())
            assert said["bytes"] == sum(f.stat().st_size for f in out.iterdir())
            same(widened(out), means)
            assert all(d == dtype for d, _ in hf.read_safetensors(out / "model.safetensors")[0].values())
            written = json.loads((out / "config.json").read_text())
            for key in ("architectures", "model_type", "n_positions", "n_embd", "n_layer", "n_head", "hidden_size",
                        "num_key_value_heads", "rms_norm_eps", "rope_theta", "max_position_embeddings", "vocab_size",
                        "rope_scaling"):
                want = hf.CONFIG[kind]
                if kind == "gemma3":  # the part that reads texts goes out, a model of its own
                    want = want["text_config"] | {"architectures": ["Gemma3ForCausalLM"], "rms_norm_eps": 1e-6, "rope_theta": 1e6}
                assert written.get(key) == want.get(key), key
            assert written["tie_word_embeddings"] == (kind == "gpt2" or bool(how.get("tied")))
            if how.get("tokenizer") == TOKENIZER:
                assert (out / "tokenizer.json").read_bytes() == TOKENIZER[0].read_bytes()
                assert written["eos_token_id"] == hf.CONFIG[kind].get("eos_token_id", 0)
            cluster.psctl("import", out, name, "--replace")
            again = cluster.dir / f"{name}-again.safetensors"
            cluster.psctl("export", name, "-o", again)
            (tensors, metadata), (tensors_again, metadata_again) = map(hf.read_safetensors, (stored, again))
            made = ("tokenizer_config.json", "psd.token_ids")  # by the export, of what the tokenizer says
            assert all(metadata.get(k, metadata_again[k]) == metadata_again[k] for k in metadata_again), kind
            assert set(metadata_again) - set(metadata) <= set(made), metadata_again.keys()
            same({k: v for k, (d, v) in tensors_again.items()}, {k: v for k, (d, v) in tensors.items()})
        for over, left in (("out0", ["tokenizer_config.json", "tokenizer.json"]), ("out3", [])):  # the last has no tokenizer
            said = cluster.psctl("export", name, "-o", cluster.dir / over, "--format", "hf", "--force").stderr
            assert said == "".join(f"psctl: {cluster.dir}/{over}/{f} was there before and is not of this model\n" for f in left), said


def what_says_what_a_model_is_survives():
    """What psd does not use and others do, through psd and back, and through GGUF and back."""
    kept = {"_name_or_path": "somebody/model", "transformers_version": "4.44.0", "initializer_range": 0.041666, "use_cache": False,
            "id2label": {"0": "LABEL_0", "1": "gr\u00fc\u00df"}, "task_specific_params": {"text-generation": {"do_sample": True}},
            "unk_token_id": 0, "tokenizer_class": "GPT2Tokenizer"}
    texts = {"generation_config.json": b'{"temperature": 0.6, "eos_token_id": [0, 7],\n "top_p": 0.9}',
             "tokenizer_config.json": json.dumps({"add_bos_token": False, "chat_template": "{{ messages }}"}, indent=3).encode(),
             "special_tokens_map.json": b'{"eos_token": "<|endoftext|>"}', "added_tokens.json": b'{"<|endoftext|>": 0}\n'}
    binary = {"tokenizer.model": b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02" * 999}
    with Cluster() as cluster:
        cluster.start_server()
        folder = cluster.dir / "in"
        hf.write(folder, "llama", tokenizer=TOKENIZER, config=kept)
        for name, data in (texts | binary).items():
            (folder / name).write_bytes(data)

        def agrees(path, files):
            written = json.loads((path / "config.json").read_text())
            assert all(written[key] == value for key, value in kept.items()), written
            once = []  # the keys of each object; the outermost is the last
            json.loads((path / "config.json").read_text(), object_pairs_hook=lambda pairs: once.append([key for key, _ in pairs]))
            assert all(len(keys) == len(set(keys)) for keys in once), once
            for name, data in files.items():
                assert (path / name).read_bytes() == data, name
            assert (path / "tokenizer.json").is_file() and not (path / "chat_template.jinja").exists()

        cluster.psctl("import", folder, "a")
        cluster.psctl("export", "a", "-o", cluster.dir / "out", "--format", "hf")
        agrees(cluster.dir / "out", texts | binary | {"tokenizer.json": TOKENIZER[0].read_bytes()})
        cluster.psctl("export", "a", "-o", cluster.dir / "a.gguf", "--format", "gguf")
        cluster.psctl("import", cluster.dir / "a.gguf", "b")
        cluster.psctl("export", "b", "-o", cluster.dir / "back", "--format", "hf")
        agrees(cluster.dir / "back", texts)
        # keys of GGUF that others wrote
        names = {"general.name": "A model", "general.license": "apache-2.0", "general.tags": ["chat", "de"], "general.version": "v1",
                 "tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.unknown_token_id": 3, "general.base_model.count": 1}
        given = cluster.dir / "given.gguf"
        given.write_bytes(with_keys((cluster.dir / "a.gguf").read_bytes(), names | {
            "general.odd": [1, 2], "tokenizer.ggml.mask_token_id": 2000, "general.quantized_by": "somebody"}))
        cluster.psctl("import", given, "c")
        cluster.psctl("export", "c", "-o", cluster.dir / "c.gguf", "--format", "gguf")
        assert read_keys((cluster.dir / "c.gguf").read_bytes()) == read_keys((cluster.dir / "a.gguf").read_bytes()) | names


def gguf_text(text):
    return struct.pack("<Q", len(text.encode())) + text.encode()


def with_keys(gguf, keys):
    """The file with more keys; the data move by a multiple of the alignment."""
    more = b""
    for name, value in keys.items():
        more += gguf_text(name)
        if isinstance(value, bool):
            more += struct.pack("<I?", 7, value)
        elif isinstance(value, int):
            more += struct.pack("<II", 4, value)
        elif isinstance(value, str):
            more += struct.pack("<I", 8) + gguf_text(value)
        else:
            text = isinstance(value[0], str)
            more += struct.pack("<IIQ", 9, 8 if text else 4, len(value))
            more += b"".join(gguf_text(v) if text else struct.pack("<I", v) for v in value)
    more += gguf_text("general.padding") + struct.pack("<IIQ", 9, 0, 0)  # bytes, as many as are missing
    missing = -len(more) % 32
    more = more[:-8] + struct.pack("<Q", missing) + bytes(missing)
    magic, version, tensors, n = struct.unpack_from("<4sIQQ", gguf)
    return struct.pack("<4sIQQ", magic, version, tensors, n + len(keys) + 1) + more + gguf[24:]


def read_keys(gguf):
    """All keys of a file as psd writes it."""
    at = 24

    def take(format):
        nonlocal at
        value, = struct.unpack_from("<" + format, gguf, at)
        at += struct.calcsize("<" + format)
        return value

    def take_text():
        nonlocal at
        n = take("Q")
        at += n
        return gguf[at - n:at].decode()

    def take_value(kind):
        if kind == 9:
            item, n = take("I"), take("Q")
            return [take_value(item) for _ in range(n)]
        return take_text() if kind == 8 else take({4: "I", 5: "i", 6: "f", 7: "?"}[kind])

    found = {}
    for _ in range(struct.unpack_from("<Q", gguf, 16)[0]):
        name = take_text()
        assert name not in found, name
        found[name] = take_value(take("I"))
    return found


def folders_that_do_not_fit_are_refused_in_one_line():
    with Cluster() as cluster:
        cluster.start_server()

        def refuses(text, kind="gpt2", change=None, status=6, **how):
            folder = cluster.dir / "bad"
            hf.write(folder, kind, **how)
            if change:
                change(folder)
            done = cluster.psctl("import", f"{folder}/", "bad", check=False)
            lines = done.stderr.splitlines()
            assert done.returncode == status and len(lines) == 1 and text in lines[0], done.stderr
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()

        def index(folder, entry):
            path = folder / "model.safetensors.index.json"
            path.write_text(json.dumps({"weight_map": {"wte.weight": entry}}))
            (folder / "model.safetensors").unlink()

        refuses("model_type is missing; allowed: gpt2, llama", change=lambda f: (f / "config.json").write_text("{}"))
        for there, text in (("a.gguf", "; give the file: a.gguf"),
                            ("psd-provenance.json", "; psctl export --sign has made it: give the model's file beside psd-prov"),
                            ("readme", "bad is no model's folder: it has no config.json")):
            refuses(text, change=lambda f, there=there: (f / "config.json").rename(f / there), status=5)
        refuses(" is an adapter (LoRA) and no model by itself; psctl import --base MODEL ",
                change=lambda f: (f / "config.json").rename(f / "adapter_model.safetensors"))
        refuses("model_type 'roberta' is not known; allowed: gpt2, llama", config={"model_type": "roberta"})
        refuses("rope_type: longrope is not supported, only default, linear", "llama", config={"rope_scaling": {"rope_type": "longrope"}})
        refuses("tensor model.layers.0.self_attn.q_proj.bias is missing", "llama", config={"attention_bias": True})
        refuses("activation_function: tanh is not supported, only gelu_new", config={"activation_function": "tanh"})
        refuses("self_attn.k_proj.weight has another shape than config.json says", "llama", config={"head_dim": 32})
        refuses("hidden_size: 66 is not a multiple of num_heads, 4", config={"n_embd": 66})
        refuses("wpe.weight has another shape than config.json says: [41, 64] is expected, it has [40, 64]",
                config={"n_positions": 41})
        refuses("bad/model.safetensors: tensor h.2.ln_1.weight is missing", config={"n_layer": 3})
        refuses("is none of a gpt2 model", config={"n_layer": 1})
        refuses("no weights", change=lambda f: (f / "model.safetensors").unlink(), status=5)
        refuses("config.json", change=lambda f: (f / "config.json").unlink(), status=5)
        refuses("byte 1", change=lambda f: (f / "config.json").write_text("{]"))
        refuses("'../secret' is no file of this folder", change=lambda f: index(f, "../secret"))
        refuses("other.safetensors", change=lambda f: index(f, "other.safetensors"), status=5)
        cut = lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:-4])
        refuses("model.safetensors: safetensors: the file is cut off: it has ", change=cut)

        # numbers that are none, by whichever dtype they come
        ones = np.ones((1003, 64), "f8")
        odd = lambda value: np.where(np.arange(1003 * 64).reshape(1003, 64) == 7 * 64 + 5, value, ones)
        for value, dtype, text in ((np.nan, "f4", "nan;"), (-np.inf, "f2", "-inf;"),
                                   (np.inf, "f8", "inf;"), (1e39, "f8", "1e+39, which is beyond float32")):
            values = odd(value).astype(dtype)
            refuses(f"tensor wte.weight: element [7, 5] is {text}", change=lambda f, v=values: hf.change(
                f / "model.safetensors", {"wte.weight": (v.tobytes(), v.shape, f"F{v.itemsize * 8}")}))

        # a head that is said to be the embedding
        head = odd(2).astype("f4")
        refuses("lm_head.weight has another shape than config.json says: [1003, 64] is expected, it has [7, 64]", change=lambda f:
                hf.change(f / "model.safetensors", {"lm_head.weight": (head[:7].tobytes(), (7, 64))}))
        refuses("tensor wte.weight is F4; allowed: F32, F16, BF16, F64", change=lambda f: hf.change(
            f / "model.safetensors", {"wte.weight": (bytes(1003 * 32), (1003, 64), "F4")}))

        # the index is the authority on where a tensor is
        def reindex(change, **how):
            def on(folder):
                path = folder / "model.safetensors.index.json"
                map = json.loads(path.read_text())["weight_map"]
                text = change(map, folder)
                path.write_text(text or json.dumps({"weight_map": map}))
            return on

        first, second = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
        index_path = "bad/model.safetensors.index.json: "
        for text, change in (
                (index_path + f"tensor wte.weight is not in ", lambda m, f: m.update({"wte.weight": second})),
                (f", but in {cluster.dir}/bad/{first}", lambda m, f: m.update({"wte.weight": second})),
                (index_path + f"tensor ln_f.bias is not in {cluster.dir}/bad/{second}", lambda m, f: hf.change(f / second, {"ln_f.bias": None})),
                (index_path + "tensor extra is not in", lambda m, f: m.update({"extra": first})),
                (index_path + "tensor ln_f.bias is missing: it names no file for it", lambda m, f: m.pop("ln_f.bias") and None),
                (index_path + "it has no weight_map, or an empty one", lambda m, f: "{}"),
                (index_path + "it has no weight_map, or an empty one", lambda m, f: '{"weight_map":{}}'),
                (index_path + "weight_map: wte.weight is there twice",
                 lambda m, f: '{"weight_map":{"wte.weight":"%s","wte.weight":"%s"}}' % (first, second))):
            refuses(text, shards=2, change=reindex(change))
        refuses(index_path + f"weight_map: wte.weight: {cluster.dir}/bad/model-9.safetensors", shards=2, status=5,
                change=reindex(lambda m, f: m.update({"wte.weight": "model-9.safetensors"})))

        # what stands in a file's place is told as what it is
        lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
        for name, data, text in (("config.json", b"", " is empty"), ("config.json", "{}".encode("utf-16"), " is text in UTF-16; convert it"),
                                 ("config.json", b"// one\n{}", ": byte 0: a value is expected, not '/'"),
                                 ("tokenizer.json", gzip.compress(b"{}"), " is compressed by gzip; unpack it (gunzip)"),
                                 ("tokenizer.json", lfs, " is a pointer of Git LFS, not the file; fetch that (git lfs pull)"),
                                 (second, lfs, " is a pointer of Git LFS, not the file; fetch that (git lfs pull)"),
                                 (first, b"<!DOCTYPE html><html>", " is a web page"), (first, b"", " is empty"),
                                 ("model.safetensors.index.json", lfs, " is a pointer of Git LFS")):
            refuses(f"{cluster.dir}/bad/{name}{text}", shards=2, change=lambda f, name=name, data=data: (f / name).write_bytes(data))
        assert cluster.psctl_json("models")["models"] == []

        # what is passed over, and what is taken otherwise than config.json has it, is said
        def imports(remark, kind="gpt2", change=None, **how):
            folder = cluster.dir / "good"
            means = hf.write(folder, kind, **how)
            change(folder)
            done = cluster.psctl("import", folder, "good", "--replace")
            assert (remark in done.stderr if remark else not done.stderr), done.stderr
            cluster.psctl("export", "good", "-o", cluster.dir / "good.safetensors", "--force")
            tensors, metadata = hf.read_safetensors(cluster.dir / "good.safetensors")
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
            return means, {k: v for k, (d, v) in tensors.items()}, metadata["psd.model"]

        other = np.full((1003, 64), 3, "f4")
        both = {"wte.weight": (other.tobytes(), other.shape), "old.weight": (bytes(4), (1,))}
        means, got, _ = imports("", shards=2, change=lambda f: hf.change(f / second, both))  # neither is where the index says
        same(got, means)
        buffer = {"h.0.attn.bias": (bytes(4), (8,), "F4"), "h.1.attn.masked_bias": (bytes(8), (), "C64")}
        means, got, _ = imports("", change=lambda f: hf.change(f / "model.safetensors", buffer))
        same(got, means)
        means, got, config = imports("lm_head.weight is not the embedding", "llama", tied=True, change=lambda f: hf.change(
            f / "model.safetensors", {"lm_head.weight": (head.tobytes(), head.shape)}))
        assert "tie_embeddings: false" in config, config
        same(got, means | {"lm_head.weight": head})
        means, got, config = imports("lm_head.weight is not the embedding", change=lambda f: hf.change(
            f / "model.safetensors", {"lm_head.weight": (head.tobytes(), head.shape)}))
        assert "tie_embeddings: false" in config, config
        same(got, means | {"lm_head.weight": head})
        wide = np.arange(1003 * 64, dtype="f8").reshape(1003, 64) / 3
        means, got, _ = imports("", change=lambda f: hf.change(f / "model.safetensors", {"wte.weight": (wide.tobytes(), wide.shape, "F64")}))
        same(got, means | {"wte.weight": wide.astype("f4")})
        imports("good/generation_config.json: byte 1: expected a key", change=lambda f: (f / "generation_config.json").write_text("{"))
        imports("good/vocab.json is there, and tokenizer.json, vocab.json and merges.txt, tokenizer.model, ",
                change=lambda f: (f / "vocab.json").write_text("{}"))
        imports("the index beside it is passed over", change=lambda f: (f / "model.safetensors.index.json").write_text("{}"))
        cluster.psctl("delete", "good")

        # a tokenizer that psd cannot use travels all the same
        folder = cluster.dir / "odd"
        hf.write(folder, "gpt2", tokenizer=TOKENIZER)
        text = (folder / "tokenizer.json").read_text().replace('"type":"BPE"', '"type":"Unigram"')
        (folder / "tokenizer.json").write_text(text)
        done = cluster.psctl("import", folder, "odd")
        assert "the tokenizer is kept, but psd cannot use it" in done.stderr, done.stderr
        cluster.psctl("export", "odd", "-o", cluster.dir / "odd-out", "--format", "hf")
        assert (cluster.dir / "odd-out/tokenizer.json").read_text() == text

        # one of 17 MiB, half of it quotes, comes and goes; one that no header can hold stays behind
        words = json.loads(TOKENIZER[0].read_text())
        for quotes, remark in ((9 << 20, ""), (50 << 20, "the tokenizer is left out: ")):
            (folder / "tokenizer.json").write_text(json.dumps(words | {"extra": '"' * quotes}))
            done = cluster.psctl("import", folder, "large", "--replace")
            assert (remark in done.stderr if remark else not done.stderr), done.stderr
        (folder / "tokenizer.json").write_text(text)

        # exports that cannot be leave nothing
        def no_export(text, *arguments, status=2):
            done = cluster.psctl("export", *arguments, check=False)
            assert done.returncode == status and text in done.stderr, done.stderr

        no_export("format hf has no dtype q8_0", "odd", "-o", cluster.dir / "x", "--format", "hf", "--dtype", "q8_0")
        no_export("--dtype is for", "odd", "-o", cluster.dir / "x", "--dtype", "f16")
        no_export("without --format it is safetensors that is written; did you mean --format gguf?", "odd", "-o", cluster.dir / "x.GGUF")
        no_export("is there already", "odd", "-o", cluster.dir / "odd-out", "--format", "hf", status=7)
        cluster.psctl("export", "odd", "-o", cluster.dir / "odd-out", "--format", "hf", "--dtype", "f16", "--force")
        assert json.loads((cluster.dir / "odd-out/config.json").read_text())["torch_dtype"] == "float16"
        plain = {"layers.0.weight": np.zeros((3, 4), "f4"), "layers.0.bias": np.zeros(3, "f4")}
        hf.write_safetensors(cluster.dir / "mlp.safetensors", {k: (v.tobytes(), v.shape) for k, v in plain.items()}, "F32")
        cluster.psctl("import", cluster.dir / "mlp.safetensors", "mlp", "--model", "{architecture: mlp, layers: [4, 3]}")
        # one file of whichever floats; and what is no model
        config = "{architecture: mlp, layers: [4, 3]}"
        few = {k: np.arange(v.size, dtype="f8").reshape(v.shape) / 7 for k, v in plain.items()}
        for dtype in ("F16", "F64", "BF16"):
            file = cluster.dir / f"{dtype}.safetensors"
            as_f32 = {k: v.astype("f4") for k, v in few.items()}
            if dtype == "F64":
                raw = {k: (v.tobytes(), v.shape) for k, v in few.items()}
            else:
                raw = {k: (hf.encode(v, dtype)[0], v.shape) for k, v in as_f32.items()}
                as_f32 = {k: hf.encode(v, dtype)[1] for k, v in as_f32.items()}
            hf.write_safetensors(file, raw, dtype)
            assert not cluster.psctl("import", file, "few", "--replace", "--model", config).stderr
            cluster.psctl("export", "few", "-o", cluster.dir / "few.safetensors", "--force")
            same({k: v for k, (d, v) in hf.read_safetensors(cluster.dir / "few.safetensors")[0].items()}, as_f32)
        shard = cluster.dir / "model-00001-of-00002.safetensors"
        hf.write_safetensors(shard, raw, dtype)
        hf.write(cluster.dir / "none", "gpt2")
        (cluster.dir / "none/model.safetensors").rename(cluster.dir / "none/pytorch_model.bin")
        pickled, zipped = io.BytesIO(), io.BytesIO()  # torch.save's first entry; a wheel's
        for into, entry in ((pickled, "archive/data.pkl"), (zipped, "package/__init__.py")):
            with zipfile.ZipFile(into, "w") as archive:
                archive.writestr(entry, bytes(300))
        for name, data, text in (("a.pt", b"PK\3\4" + bytes(60), "is a checkpoint of PyTorch, a pickle"),
                                 ("a.any", pickled.getvalue(), "is a checkpoint of PyTorch, a pickle"),
                                 ("a.whl", zipped.getvalue(), "a.whl is a zip archive; unpack it (unzip)"),
                                 ("b.bin", b"\x80\2}q\0", "safetensors.torch.save_file"), ("c.safetensors", b"", "is empty"),
                                 ("config.json", b'{"model_type": "gpt2"}', "is JSON, of which a model's folder has several; give the folder"),
                                 ("d.safetensors", b"version https://git-lfs.github.com/spec/v1", "is a pointer of Git LFS"),
                                 ("e.gguf", b"\x1f\x8b\x08" + bytes(20), "is compressed by gzip"),
                                 ("notes.md", "# Gänse\n".encode() * 9, "notes.md is text; a model is"), ("short", b"x", "short is text"),
                                 ("f.safetensors", b"\0" * 20, "is it another kind of file?"), (shard.name, None, "give the folder it is in"),
                                 ("none", None, "no weights: model.safetensors, or model.safetensors.index.json; it has a checkpoint of")):
            if data is not None:
                (cluster.dir / name).write_bytes(data)
            done = cluster.psctl("import", cluster.dir / name, "no", check=False)
            assert done.returncode == (5 if name == "none" else 6) and text in done.stderr and name in done.stderr, done.stderr
            assert len(done.stderr.splitlines()) == 1, done.stderr

        plain["layers.0.weight"][2, 1] = np.inf  # refused by psd itself, whoever sends it
        hf.write_safetensors(cluster.dir / "inf.safetensors", {k: (v.tobytes(), v.shape) for k, v in plain.items()}, "F32")
        done = cluster.psctl("import", cluster.dir / "inf.safetensors", "inf", "--model", "{architecture: mlp, layers: [4, 3]}",
                             check=False)
        assert done.returncode == 6 and "tensor layers.0.weight: element [2, 1] is inf" in done.stderr, done.stderr
        no_export("is for models that read tokens (gpt2, llama", "mlp", "-o", cluster.dir / "x", "--format",
                  "gguf", status=7)

        # narrowing makes no infinity
        for value, format, dtype in ((65520, "hf", "f16"), (3.4e38, "hf", "bf16"), (65520, "gguf", "f16"), (9e6, "gguf", "q8_0")):
            hf.write(cluster.dir / "large", "gpt2")
            values = odd(value).astype("f4")
            hf.change(cluster.dir / "large/model.safetensors", {"wte.weight": (values.tobytes(), values.shape)})
            cluster.psctl("import", cluster.dir / "large", "large", "--replace")
            no_export(f"tensor wte.weight: element [7, 5] is {value:.9g}".replace("3.4e+38", "3.39999995e+38")
                      + f", which is no number of {dtype}; --dtype f32 holds it", "large", "-o", cluster.dir / "x", "--format",
                      format, "--dtype", dtype, status=7)
            for file in (cluster.dir / "large").iterdir():
                file.unlink()
            (cluster.dir / "large").rmdir()
        assert not [p for p in cluster.dir.iterdir() if p.name.startswith(("x", "odd-out."))]


def expected_gguf(kind, means):
    """GGUF's names and what is in them, by llama.cpp's convert_hf_to_gguf: names, transposes, permutation."""
    blocks = {"ln_1": "attn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output", "ln_2": "ffn_norm",
              "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down", "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q",
              "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
              "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
              "mlp.down_proj": "ffn_down"}
    outside = {"wte": "token_embd", "wpe": "position_embd", "ln_f": "output_norm", "model.embed_tokens": "token_embd",
               "model.norm": "output_norm", "lm_head": "output"}
    out = {}
    for name, values in means.items():
        stem, kind_of = name.rsplit(".", 1)
        if stem in outside:
            target = outside[stem]
        else:
            parts = stem.removeprefix("model.layers.").removeprefix("h.").split(".", 1)
            target = f"blk.{parts[0]}.{blocks[parts[1]]}"
        if kind == "gpt2" and values.ndim == 2 and stem not in outside:
            values = values.T
        if stem.endswith(("q_proj", "k_proj")):
            heads = 4 if stem.endswith("q_proj") else 2
            values = values.reshape(heads, 2, values.shape[0] // heads // 2, 64).swapaxes(1, 2).reshape(values.shape)
        out[f"{target}.{kind_of}"] = np.ascontiguousarray(values)
    return out


# llama.cpp's kinds: their number in general.file_type, and as what the tensors of a model whose rows are of 64 and 96
# numbers are stored: most of them, the sensitive ones of layer 1, the head.
GGUF_KINDS = {
    "f32": (0, "F32", "F32", "F32"), "f16": (1, "F16", "F16", "F16"), "bf16": (32, "BF16", "BF16", "BF16"),
    "q8_0": (7, "Q8_0", "Q8_0", "Q8_0"), "q4_0": (2, "Q4_0", "Q4_0", "Q8_0"), "q4_1": (3, "Q4_1", "Q4_1", "Q8_0"),
    "q5_0": (8, "Q5_0", "Q5_0", "Q8_0"), "q5_1": (9, "Q5_1", "Q5_1", "Q8_0"), "q3_k_s": (11, "Q4_0", "Q4_0", "Q8_0"),
    "q4_k_m": (15, "Q5_0", "Q8_0", "Q8_0"), "q5_k_m": (17, "Q5_1", "Q8_0", "Q8_0"), "q6_k": (18, "Q8_0", "Q8_0", "Q8_0"),
    "iq4_nl": (25, "IQ4_NL", "IQ4_NL", "Q8_0"), "mxfp4": (38, "MXFP4", "MXFP4", "Q8_0"), "q2_k": (10, "Q4_0", "Q4_0", "Q8_0"),
}
GGUF_OF_256 = {"q2_k": ("Q3_K", "Q3_K"), "q3_k_s": ("Q3_K", "Q3_K"), "q4_k_m": ("Q4_K", "Q6_K"), "q5_k_m": ("Q5_K", "Q6_K"),
               "q6_k": ("Q6_K", "Q6_K")}  # gpt2's ffn_down, in layers 0 and 1


@as_it_ships
def in_parts(cluster, kind, dtype, one):
    """As gguf-split would have it, of whose keys llama.cpp takes no other types."""
    import gguf
    folder, tensors = cluster.dir / f"{kind}-{dtype}", {}
    cluster.psctl("export", kind, "-o", folder, "--format", "gguf", "--dtype", dtype, "--split", "150KB")
    readers = [gguf.GGUFReader(file) for file in sorted(folder.iterdir())]
    types = gguf.GGUFValueType
    for i, reader in enumerate(readers):
        split = {key: (f.types[0], f.contents()) for key, f in reader.fields.items() if key.startswith("split.")}
        assert split == {"split.no": (types.UINT16, i), "split.count": (types.UINT16, len(readers)),
                         "split.tensors.count": (types.INT32, len(one.tensors))}, split
        sizes = [int(t.n_bytes) for t in reader.tensors]
        assert len(sizes) == 1 or sum(sizes) <= 150000, sizes
        tensors |= {t.name: (t.tensor_type, t.data.tobytes()) for t in reader.tensors}
    assert tensors == {t.name: (t.tensor_type, t.data.tobytes()) for t in one.tensors} and len(readers) > 1
    keys = [{k: f.contents() for k, f in reader.fields.items() if not k.startswith(("split.", "GGUF."))} for reader in (one, *readers)]
    assert keys[0] == keys[1] and not any(keys[2:])


def gguf_files_are_what_an_independent_reader_expects():
    try:
        import gguf
    except ImportError:
        print("skipped: the package gguf is not in build/pypi (tests/run puts it there)", flush=True)
        return
    try:
        import libgguf
    except ImportError:
        libgguf = None
        print("skipped in part: the package libgguf is not in build/pypi (tests/run puts it there)", flush=True)
    tokenizer = json.loads(TOKENIZER[0].read_text())
    with Cluster() as cluster:
        cluster.start_server()
        for kind in ("gpt2", "llama"):
            means = hf.write(cluster.dir / kind, kind, tokenizer=TOKENIZER if kind == "gpt2" else None)
            cluster.psctl("import", cluster.dir / kind, kind)
            want = expected_gguf(kind, means)
            for dtype in GGUF_KINDS:
                path = cluster.dir / f"{kind}-{dtype}.gguf"
                cluster.psctl("export", kind, "-o", path, "--format", "gguf", "--dtype", dtype)
                reader = gguf.GGUFReader(path)
                if dtype in ("f32", "q4_k_m"):
                    in_parts(cluster, kind, dtype, reader)
                fields = {k: f.contents() for k, f in reader.fields.items()}
                assert fields["general.architecture"] == kind and fields["GGUF.version"] == 3
                assert fields[f"{kind}.context_length"] == 40 and fields[f"{kind}.embedding_length"] == 64
                assert fields[f"{kind}.block_count"] == 2 and fields[f"{kind}.attention.head_count"] == 4
                assert fields[f"{kind}.vocab_size"] == 1003
                number, *kinds_of = GGUF_KINDS[dtype]
                assert fields["general.file_type"] == number
                assert fields.get("general.quantization_version") == (None if dtype in ("f32", "f16", "bf16") else 2)
                if kind == "gpt2":
                    assert abs(fields["gpt2.attention.layer_norm_epsilon"] - 1e-5) < 1e-12
                    assert fields["gpt2.feed_forward_length"] == 256
                    assert fields["tokenizer.ggml.model"] == "gpt2" and fields["tokenizer.ggml.pre"] == "gpt-2"
                    tokens, vocab = fields["tokenizer.ggml.tokens"], tokenizer["model"]["vocab"]
                    assert len(tokens) == 1003 and all(tokens[i] == t for t, i in vocab.items())
                    assert tokens[998:] == ["<x>", "<xx>", "[PAD1000]", "[PAD1001]", "[PAD1002]"]
                    kinds = fields["tokenizer.ggml.token_type"]
                    assert kinds[0] == 3 and set(kinds[1:998]) == {1} and kinds[998:] == [4, 4, 5, 5, 5]
                    assert fields["tokenizer.ggml.merges"] == [" ".join(m) for m in tokenizer["model"]["merges"]]
                    assert fields["tokenizer.ggml.eos_token_id"] == 0
                else:
                    assert fields["llama.attention.head_count_kv"] == 2 and fields["llama.rope.dimension_count"] == 16
                    assert fields["llama.rope.freq_base"] == 500000 and fields["llama.feed_forward_length"] == 96
                    assert abs(fields["llama.attention.layer_norm_rms_epsilon"] - 1e-6) < 1e-12
                    assert fields["tokenizer.ggml.model"] == "none"
                assert {t.name for t in reader.tensors} == set(want)
                at = reader.data_offset
                for tensor in reader.tensors:
                    values = want[tensor.name]
                    assert tensor.data_offset == at and at % 32 == 0, tensor.name
                    at += -(-tensor.n_bytes // 32) * 32
                    assert list(tensor.shape) == list(values.shape[::-1]), tensor.name
                    plain = values.ndim == 1 or tensor.name == "position_embd.weight"
                    head = tensor.name == ("token_embd.weight" if kind == "gpt2" else "output.weight")
                    more = tensor.name.startswith(("blk.1.attn_v", "blk.1.attn_qkv", "blk.1.ffn_down"))
                    kind_of = "F32" if plain else kinds_of[-1 if head else 1 if more else 0]
                    if kind == "gpt2" and tensor.name.endswith("ffn_down.weight"):
                        kind_of = GGUF_OF_256.get(dtype, kinds_of)[more]
                    assert tensor.tensor_type.name == kind_of, f"{path.name}: {tensor.name}"
                    if tensor.tensor_type.name in ("F32", "F16", "BF16", "Q8_0", "Q4_0", "MXFP4"):
                        expected = gguf.quants.quantize(values, tensor.tensor_type)
                    elif libgguf:
                        expected = libgguf.quantize_rows(values, int(tensor.tensor_type))
                    else:
                        continue
                    assert tensor.data.tobytes() == expected.tobytes(), f"{path.name}: {tensor.name}"
                assert at == path.stat().st_size

                # and psd reads what that reader reads
                back = cluster.dir / f"{kind}-{dtype}-back"
                cluster.psctl("import", path, "back", "--replace")
                cluster.psctl("export", "back", "-o", back, "--format", "hf")
                got = expected_gguf(kind, widened(back))
                for tensor in reader.tensors:
                    values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
                    assert got[tensor.name].tobytes() == values.astype("f4").tobytes(), f"{path.name}: {tensor.name}"


def several_are_as_one(cluster, name, one, means):
    """--split: of GGUF the file that they come back as is the one; of Hugging Face's folder the tensors are the same."""
    for format, parts in (("gguf", cluster.dir / f"{name}-parts"), ("hf", cluster.dir / f"{name}-shards")):
        cluster.psctl("export", name, "-o", parts, "--format", format, "--dtype", "f32", "--split", "100KiB")
        files = sorted(file.name for file in parts.glob("*-of-*"))
        stem, end = (name, "gguf") if format == "gguf" else ("model", "safetensors")
        assert len(files) > 2 and files == [f"{stem}-{i + 1:05}-of-{len(files):05}.{end}" for i in range(len(files))], files
        assert format == "hf" or sorted(file.name for file in parts.iterdir()) == files
        cluster.psctl("import", parts / files[1] if format == "gguf" else parts, "parts", "--replace")
        cluster.psctl("export", "parts", "-o", cluster.dir / "parts.gguf", "--format", "gguf", "--dtype", "f32", "--force")
        assert (cluster.dir / "parts.gguf").read_bytes() == one.read_bytes() or format == "hf", name
    same(widened(parts), means)
    # in as many files as before, or in one: of those that were there none is left, and what is not the model's stays
    other = parts / "model-00001-of-00002.txt"
    other.write_text("")
    for split, n in ((("--split", "200KiB"), 1), ((), 0), (("--split", "100KiB"), 1)):
        cluster.psctl("export", name, "-o", parts, "--format", "hf", "--dtype", "f32", "--force", *split)
        shards = sorted(file.name for file in parts.glob("model-*.safetensors"))
        index = parts / "model.safetensors.index.json"
        listed = sorted({*json.loads(index.read_text())["weight_map"].values()}) if index.exists() else []
        assert shards == listed and bool(shards) == bool(n) != (parts / "model.safetensors").exists() and other.exists(), shards
        same(widened(parts), means)
    gguf = cluster.dir / f"{name}-parts"
    cluster.psctl("export", name, "-o", gguf, "--format", "gguf", "--dtype", "f32", "--force", "--split", "200KiB")
    files = sorted(file.name for file in gguf.iterdir())
    assert files == [f"{name}-{i + 1:05}-of-{len(files):05}.gguf" for i in range(len(files))], files


def gguf_files_come_back_bit_for_bit():
    """Hugging Face, GGUF, and back: every number that GGUF's type can hold is the same one."""
    with Cluster() as cluster:
        cluster.start_server()

        def comes_back(name, dtype, back):
            path, out = cluster.dir / f"{name}-{dtype}.gguf", cluster.dir / f"{name}-{dtype}-out"
            cluster.psctl("export", name, "-o", path, "--format", "gguf", "--dtype", dtype)
            said = cluster.psctl("import", path, back, "--replace")
            assert not said.stderr, said.stderr
            cluster.psctl("export", back, "-o", out, "--format", "hf")
            return out, path

        for kind, how in (("gpt2", dict(tokenizer=TOKENIZER)), ("llama", dict(tokenizer=TOKENIZER)), ("llama", dict(tied=True)),
                          ("qwen2", dict(tokenizer=TOKENIZER)), ("qwen2", dict(tied=True))):
            name = f"{kind}-tied" if "tied" in how else kind
            means = hf.write(cluster.dir / name, kind, **how)
            cluster.psctl("import", cluster.dir / name, name)
            cluster.psctl("export", name, "-o", cluster.dir / f"{name}-out", "--format", "hf")
            out, path = comes_back(name, "f32", "back")
            same(widened(out), means)
            config = json.loads((cluster.dir / f"{name}-out/config.json").read_text())
            if kind == "gpt2":  # GGUF does not say what it was trained with
                config |= {"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0}
            assert json.loads((out / "config.json").read_text()) == config
            if "tokenizer" in how:
                tokenizer, want = (json.loads(p.read_text()) for p in (out / "tokenizer.json", TOKENIZER[0]))
                assert tokenizer["model"]["merges"] == want["model"]["merges"]
                added = lambda t: {(a["id"], a["content"], a["special"]) for a in t["added_tokens"]}
                assert added(tokenizer) == added(want)
                assert tokenizer["model"]["vocab"] == want["model"]["vocab"] | {a["content"]: a["id"] for a in want["added_tokens"]}
            again = cluster.dir / f"{name}-again.gguf"
            cluster.psctl("export", "back", "-o", again, "--format", "gguf", "--dtype", "f32")
            assert again.read_bytes() == path.read_bytes(), f"{name}: the second file differs"
            several_are_as_one(cluster, name, path, means)

            for dtype in ("f16", "q8_0"):
                got = widened(comes_back(name, dtype, "narrow")[0])
                assert set(got) == set(means)
                for tensor, values in means.items():
                    stays = values.ndim == 1 or tensor == "wpe.weight"
                    rows = values.T if kind == "gpt2" and values.ndim == 2 and tensor.startswith("h.") else values
                    have = got[tensor].T if rows is not values else got[tensor]
                    if stays:
                        assert have.tobytes() == values.tobytes(), tensor
                    elif dtype == "f16":
                        assert np.array_equal(have, rows.astype("f2").astype("f4")), tensor
                    else:  # half a step of the block, and what the scale as an F16 adds at most
                        blocks = rows.reshape(-1, 32).astype("f8")
                        most = np.abs(blocks).max(1, keepdims=True)
                        off = np.abs(have.reshape(-1, 32) - blocks)
                        assert (off <= most / 254 + most / 2048).all() and off.any(), tensor

        # ids, and the files beside a model, are the same after the way through psd, and GGUF has a key for what it can say
        config = {"bos_token_id": 1, "eos_token_id": [2, 5, 900, 7], "pad_token_id": -1}
        beside = {"generation_config.json": '{"pad_token_id": 3, "top_k": 7}\n', "chat_template.jinja": "{{ ümläut }}",
                  "tokenizer_config.json": '{"tokenizer_class": "X", "eos_token": "</s>"}', "special_tokens_map.json": "{}"}
        hf.write(cluster.dir / "said", "llama", tokenizer=TOKENIZER, config=config)
        for file, text in beside.items():
            (cluster.dir / "said" / file).write_text(text)
        cluster.psctl("import", cluster.dir / "said", "said")
        cluster.psctl("export", "said", "-o", cluster.dir / "said-out", "--format", "hf")
        written = json.loads((cluster.dir / "said-out/config.json").read_text())
        assert {k: written[k] for k in config} == config, written
        assert all((cluster.dir / "said-out" / f).read_text() == t for f, t in beside.items())
        path = cluster.dir / "said.gguf"
        done = cluster.psctl("export", "said", "-o", path, "--format", "gguf")
        assert "GGUF has keys for 3 tokens that end a text, the model has more: 7" in done.stderr, done.stderr
        assert not cluster.psctl("import", path, "said-back").stderr
        cluster.psctl("export", "said-back", "-o", cluster.dir / "said-back", "--format", "hf")
        written = json.loads((cluster.dir / "said-back/config.json").read_text())
        assert {k: written[k] for k in config} == {"bos_token_id": 1, "eos_token_id": [2, 5, 900], "pad_token_id": 3}, written
        assert (cluster.dir / "said-back/chat_template.jinja").read_text() == beside["chat_template.jinja"]

        # texts that get a space in front still get it
        hf.write(cluster.dir / "space", "gpt2", tokenizer=TOKENIZER)
        words = cluster.dir / "space/tokenizer.json"
        words.write_text(words.read_text().replace('"add_prefix_space":false', '"add_prefix_space":true'))
        cluster.psctl("import", cluster.dir / "space", "space")
        out = comes_back("space", "f16", "back")[0]
        assert json.loads((out / "tokenizer.json").read_text())["pre_tokenizer"]["add_prefix_space"] is True

        # a model of bytes is one of bytes again
        hf.write(cluster.dir / "bytes", "llama", config={"psd_tokenizer": "bytes"})
        cluster.psctl("import", cluster.dir / "bytes", "bytes")
        comes_back("bytes", "f32", "back")
        assert "tokenizer: \"bytes\"" in cluster.psctl_json("model", "back")["config"]


def gguf_files_of_another_writer_are_read_or_refused_in_one_line():
    try:
        import gguf
    except ImportError:
        print("skipped: the package gguf is not in build/pypi (tests/run puts it there)", flush=True)
        return
    import make_gguf
    types = gguf.GGMLQuantizationType
    with Cluster() as cluster:
        cluster.start_server()
        path = cluster.dir / "other.gguf"

        def write(kind, **how):
            path.unlink(missing_ok=True)
            return make_gguf.write(path, kind, **how)

        def reads(kind, remark="", **how):
            means = write(kind, **how)
            done = cluster.psctl("import", path, "other", "--replace", "--float32")
            assert remark in done.stderr and len(done.stderr.splitlines()) == bool(remark), done.stderr
            cluster.psctl("export", "other", "-o", cluster.dir / "other.safetensors", "--force")
            tensors, metadata = hf.read_safetensors(cluster.dir / "other.safetensors")
            same({k: v for k, (d, v) in tensors.items()}, means)
            return metadata

        def refuses(text, kind="llama", **how):
            write(kind, **how)
            done = cluster.psctl("import", path, "bad", check=False)
            lines = done.stderr.splitlines()
            assert done.returncode == 6 and len(lines) == 1 and text in lines[0] and str(path) in lines[0], done.stderr

        def drop(name):
            return lambda w, t: [d.pop(name) for d in w.kv_data if name in d]

        def put(name, value, type):
            return lambda w, t: (drop(name)(w, t), w.add_key_value(name, value, type))

        def tied(w, tensors):
            del tensors["output.weight"]

        def twice(w, tensors):
            tensors["output.weight"] = tensors["token_embd.weight"]

        def other_head(w, tensors):
            values = tensors["token_embd.weight"][0] + np.float32(1)
            tensors["output.weight"] = values, types.F32, values

        def other_type(w, tensors):
            values = tensors["token_embd.weight"][2]
            tensors["output.weight"] = values, types.F32, values

        def doubles(w, tensors):
            for name in ("token_embd.weight", "blk.0.attn_q.weight", "output_norm.weight"):
                values = tensors[name][2].astype("f8") / 3
                tensors[name] = values, types.F64, values.astype("f4")

        def frequencies(value):
            values = np.where(np.arange(8) == 3, value, 1).astype("f4")
            return lambda w, t: t.update({"rope_freqs.weight": (values, types.F32, values)})

        def broken(w, tensors):
            tensors["output_norm.weight"][0][3] = np.nan

        def extra(w, tensors):
            tensors["blk.0.attn_k.bias"] = tensors["output_norm.weight"]

        def quantised(w, tensors):
            del tensors["blk.0.attn_v.weight"]
            w.add_tensor("blk.0.attn_v.weight", np.zeros((16, 66), "u1"), raw_shape=(16, 66), raw_dtype=types.IQ2_XXS)

        def fused(w, tensors):
            tensors["blk.0.attn_qkv.weight"] = tensors.pop("blk.0.attn_q.weight")

        def wide(w, tensors):
            tensors["blk.0.attn_v.weight"] = tensors["blk.0.attn_q.weight"]

        value = gguf.GGUFValueType
        u32, f32, text, i64, f64 = value.UINT32, value.FLOAT32, value.STRING, value.INT64, value.FLOAT64
        assert "tokenizer.json" in reads("gpt2", types=(types.F16, types.BF16, types.Q8_0))
        assert "tie_embeddings: true" in reads("llama", change=tied)["psd.model"]
        assert "tie_embeddings: false" in reads("llama", change=make_gguf.every_value)["psd.model"]
        assert "rope_theta: 10000," in reads("llama", change=drop("llama.rope.freq_base"))["psd.model"]
        assert "num_kv_heads: 1," in reads("llama", change=put("llama.attention.head_count_kv", 1, i64))["psd.model"]
        assert "norm_epsilon: 1e-06" in reads("llama", change=put("llama.attention.layer_norm_rms_epsilon", 1e-6, f64))["psd.model"]
        assert "pooling: cls" in reads("bert", types=(types.F16,))["psd.model"]
        folder = cluster.dir / "texts"
        for part in range(2):  # a new folder, and in the place of its files
            cluster.psctl("export", "other", "-o", folder, "--format", "hf", *["--force"] * part)
            assert sorted(str(f.relative_to(folder)) for f in folder.rglob("*")) == [
                "1_Pooling", "1_Pooling/config.json", "config.json", "model.safetensors", "modules.json", "sentence_bert_config.json",
                "tokenizer.json", "tokenizer_config.json"]
        said = [json.loads((folder / name).read_text()) for name in ("1_Pooling/config.json", "tokenizer_config.json")]
        assert said[0]["pooling_mode_cls_token"] is True and said[1]["pad_token"] == "[PAD]", said
        assert [said[1][f"{role}_token"] for role in ("cls", "sep", "mask")] == ["[CLS]", "[SEP]", "[MASK]"], said
        assert 'classes: ["class 0","class 1","class 2"]' in reads("bert", s=make_gguf.GOLDEN | {"classes": 3})["psd.model"]
        reads("gpt2", change=twice)
        reads("gpt2", types=(types.F16,), change=other_type)
        reads("llama", change=doubles)
        reads("llama", change=frequencies(1))
        reads("gpt2", change=lambda w, t: w.add_string("x.long", "long" * 500000))
        assert "tokenizer: \"gpt2\"" in reads("gpt2", change=drop("tokenizer.ggml.pre"))["psd.model"]

        for kind, part in (("gpt2", 3), ("llama", 1), ("qwen2", 1)):  # in several files; any of them stands for all
            means = write(kind, types=(types.F16,), split_max_tensors=5)
            files = sorted(cluster.dir.glob("other-*-of-*.gguf"))
            cluster.psctl("import", files[part], "other", "--replace")
            cluster.psctl("export", "other", "-o", cluster.dir / "other.safetensors", "--force")
            same({k: v for k, (d, v) in hf.read_safetensors(cluster.dir / "other.safetensors")[0].items()}, means)
            files[1].unlink()
            done = cluster.psctl("import", files[0], "bad", check=False)
            assert done.returncode != 0 and f"and one is missing: {files[1]}: No such file" in done.stderr, done.stderr
            for file in cluster.dir.glob("other-*-of-*.gguf"):
                file.unlink()

        # a tokenizer that psd cannot use stays behind, and psctl says so
        left_out = "psctl: the tokenizer is left out, as psd cannot use it: "
        for why, change in (("pre 'superbpe' is not supported", put("tokenizer.ggml.pre", "superbpe", text)),
                            ("model 'rwkv' is not supported; psd knows gpt2, llama", put("tokenizer.ggml.model", "rwkv", text)),
                            ("key tokenizer.ggml.merges is missing", drop("tokenizer.ggml.merges"))):
            metadata = reads("llama", left_out + why, change=change)
            assert "tokenizer.json" not in metadata and "tokenizer: \"\"" in metadata["psd.model"], metadata

        refuses("general.architecture: 'phi3' is not known; allowed: gpt2, llama", change=put("general.architecture", "phi3", text))
        refuses("general.architecture: 'nomic-bert' is not known; allowed: gpt2, llama", "bert", change=put("general.architecture", "nomic-bert", text))
        refuses("key general.architecture is missing", change=drop("general.architecture"))
        refuses("key llama.block_count is missing", change=drop("llama.block_count"))
        refuses("key llama.block_count must be an integer", change=put("llama.block_count", "1", text))
        refuses("tensor blk.1.attn_norm.weight is missing", change=put("llama.block_count", 2, u32))
        refuses("hidden_size: 32 is not a multiple of num_heads, 3", change=put("llama.attention.head_count", 3, u32))
        refuses("tensor token_embd.weight has another shape than the keys say: 263 rows of 32", change=put("llama.vocab_size", 263, u32))
        refuses("tensor blk.0.attn_v.weight has another shape", change=wide)
        refuses("tensor blk.0.attn_qkv.weight: queries, keys and values in one are not read here", "bert", change=fused)
        refuses("tensor blk.0.attn_k.bias is none of a gpt2 model", "gpt2", change=extra)
        refuses("tensor blk.0.attn_v.weight: it is IQ2_XXS; allowed: F32, F16, Q4_0, Q4_1", change=quantised)
        refuses("key llama.rope.scaling.type: 'longrope' is not supported, only none", change=put("llama.rope.scaling.type", "longrope", text))
        refuses("key llama.rope.scaling.attn_factor: 8 is not supported, only 1", change=put("llama.rope.scaling.attn_factor", 8.0, f32))
        refuses("key llama.rope.scaling.attn_factor: 2 is not supported, only 1", change=lambda w, t: (
            w.add_string("llama.rope.scaling.type", "yarn"), w.add_float32("llama.rope.scaling.attn_factor", 2.0)))
        refuses("key llama.rope.scaling.factor: -1 is not supported, only numbers from 0", change=put("llama.rope.scaling.factor", -1.0, f32))
        refuses("key llama.rope.scaling.factor: nan is not supported", change=put("llama.rope.scaling.factor", float("nan"), f32))
        refuses("key llama.rope.dimension_count: 8 is not supported, only 16", change=put("llama.rope.dimension_count", 8, u32))
        refuses("key llama.rope.dimension_count: 16 is not supported, only 64", change=put("llama.attention.key_length", 64, u32))
        refuses("key llama.attention.value_length: 8 is not supported, only 16", change=put("llama.attention.value_length", 8, u32))
        refuses("key llama.expert_count: 8 is not", change=put("llama.expert_count", 8, u32))
        flag = value.BOOL
        refuses("key llama.attention.causal: false is not supported, only true", change=put("llama.attention.causal", False, flag))
        refuses("key gpt2.attention.causal: false is not", "gpt2", change=put("gpt2.attention.causal", False, flag))
        refuses("key llama.attention.sliding_window: 4096 is not", change=put("llama.attention.sliding_window", 4096, u32))
        refuses("key llama.attention.clamp_kqv: 8 is not supported, only 0", change=put("llama.attention.clamp_kqv", 8.0, f32))
        refuses("key llama.attention.scale is not known here, and may change", change=put("llama.attention.scale", 0.1, f32))
        refuses("key gpt2.attention.head_count_kv: 1 is not supported, only 2", "gpt2",
                change=put("gpt2.attention.head_count_kv", 1, u32))
        refuses("key general.type: 'adapter' is not supported, only model", change=put("general.type", "adapter", text))
        refuses("it is part 2 of a model in 3 files, whose names must end as they were made", change=lambda w, t: (
            w.add_uint16("split.count", 3), w.add_uint16("split.no", 1)))
        reads("llama", change=lambda w, t: (w.add_bool("llama.attention.causal", True), w.add_uint16("split.count", 1),
                                            w.add_key_length(16), w.add_string("general.type", "model")))
        assert "tie_embeddings: false" in reads("gpt2", change=other_head)["psd.model"]
        refuses("tensor rope_freqs.weight: scaled RoPE is not supported, only factors of 1, or those of Llama 3; the last is 1", change=frequencies(8))
        refuses("tensor model.norm.weight: element [3] is nan", change=broken)
        write("gpt2")
        path.write_bytes(path.read_bytes()[:-70])
        done = cluster.psctl("import", path, "bad", check=False)
        assert done.returncode == 6 and "the file is cut off: it has" in done.stderr, done.stderr
        write("gpt2")
        done = cluster.psctl("import", path, "bad", "--model", "{architecture: mlp, layers: [4, 3]}", check=False)
        assert done.returncode == 2 and "--model is for a safetensors file" in done.stderr, done.stderr
        assert [m["name"] for m in cluster.psctl_json("models")["models"]] == ["other"]


run([texts_become_token_files, lines_of_json_become_documents, another_kind_of_file_is_told_as_what_it_is, texts_and_token_files_go_through_pipes, hugging_face_folders_come_and_go_bit_for_bit,
     what_says_what_a_model_is_survives,
     folders_that_do_not_fit_are_refused_in_one_line, gguf_files_are_what_an_independent_reader_expects,
     gguf_files_come_back_bit_for_bit, gguf_files_of_another_writer_are_read_or_refused_in_one_line])
