"""psctl inspect: what files and folders are, beside what json, struct and numpy say of them; no server."""
import gzip
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

from harness import PSCTL, SOURCE, read_safetensors, run

GOLDEN = pathlib.Path(SOURCE) / "tests/golden"
sys.path[:0] = [str(GOLDEN / "hf")]
import make as hf  # noqa: E402

TOKENIZER = [GOLDEN / "tokenizer/tokenizer.json"]


def inspect(path, *flags, status=0):
    done = subprocess.run([PSCTL, "--output", "json", "inspect", *flags, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == status, (path, done)
    found = json.loads(done.stdout) if done.stdout else None
    if found:
        assert found["usable"] == (status == 0) and (found["reason"] is None) == (status == 0), found
        assert found["path"] == str(path) and (not status or found["reason"] in done.stderr), (found, done.stderr)
    return found or done.stderr


def folders_of_hugging_face():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for kind in ("gpt2", "llama"):
            path = folder / kind
            hf.write(path, kind, shards=2, tokenizer=TOKENIZER)
            config = json.loads((path / "config.json").read_text())
            tensors = [t for part in path.glob("*.safetensors") for t in read_safetensors(part)[1].values()]
            found = inspect(path)
            assert (found["kind"], found["architecture"], found["files"]) == ("hf", config["model_type"], 2), found
            assert found["use"] == f"psctl import {path} NAME" and found["psd_tokenizer"] == "gpt2", found
            numbers = sum(t.size for t in tensors)
            assert found["types"] == [{"type": "F32", "tensors": len(tensors), "numbers": numbers, "bytes": 4 * numbers}], found
            assert found["bytes"] == sum(p.stat().st_size for p in path.glob("*.safetensors")), found
            assert found["vocab_size"] == config["vocab_size"], found
            assert found["context_length"] == config.get("n_positions", config.get("max_position_embeddings")), found
            assert not found["chat_template"] and found["tokenizer"] == "tokenizer.json", found
        # of what cannot be used the rest is said all the same
        config["hidden_act"] = "relu6"
        (path / "config.json").write_text(json.dumps(config))
        (path / "chat_template.jinja").write_text("{{ messages }}")
        found = inspect(path, status=6)
        assert "hidden_act: relu6 is not supported" in found["reason"] and found["chat_template"], found
        assert found["architecture"] == "llama" and found["types"][0]["tensors"] == len(tensors), found
        part = next(path.glob("*.safetensors"))
        assert "one of several files" in inspect(part, status=6)["reason"]
        part.unlink()
        (path / "config.json").write_text(json.dumps(config | {"hidden_act": "silu"}))
        assert part.name in inspect(path, status=5)["reason"]
        (path / "config.json").write_text('{"a":' * 100000)
        assert "config.json: byte" in inspect(path, status=6)["reason"]
        assert inspect(folder, status=5)["kind"] == "other"
        quantised = inspect(GOLDEN / "hf/quantised/gptq-int4-g32")
        assert quantised["quantized_by"] == "gptq" and {t["type"] for t in quantised["types"]} >= {"I32", "F16"}, quantised


def gguf_and_safetensors():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        whole = inspect(GOLDEN / "gguf/gpt2.gguf")
        assert whole["kind"] == "gguf" and whole["architecture"] == "gpt2" and whole["tokenizer"] == "gpt2 (gpt-2)", whole
        assert whole["token_ids"]["eos_token_id"] == 259 and whole["files"] == 1, whole
        assert whole["bytes"] == (GOLDEN / "gguf/gpt2.gguf").stat().st_size, whole
        for i in (1, 3):
            found = inspect(GOLDEN / f"gguf/gpt2-0000{i}-of-00003.gguf")
            assert found["files"] == 3 and all(found[k] == whole[k] for k in ("types", "config", "parameters")), found
        shutil.copy(GOLDEN / "gguf/gpt2-00001-of-00003.gguf", folder)
        assert "gpt2-00002-of-00003.gguf" in inspect(folder / "gpt2-00001-of-00003.gguf", status=5)["reason"]
        cut = folder / "cut.gguf"
        cut.write_bytes((GOLDEN / "gguf/gpt2.gguf").read_bytes()[:1000])
        assert "cut.gguf: key" in (reason := inspect(cut, status=6)["reason"]) and "cut off or damaged, fetch it anew" in reason, reason
        cut.write_bytes((GOLDEN / "gguf/gpt2.gguf").read_bytes()[:-1])
        assert f"has {whole['bytes'] - 1} of {whole['bytes']} bytes; fetch it anew" in inspect(cut, status=6)["reason"]
        model = {"w": (b"\0" * 8, (2, 2))}
        hf.write_safetensors(folder / "half.safetensors", model, "F16")
        found = inspect(folder / "half.safetensors")
        assert found["types"][0]["type"] == "F16" and found["use"].endswith("--model CONFIG"), found
        (folder / "config.json").write_text("{}")
        hf.write_safetensors(folder / "plain.safetensors", {"w": (b"\0" * 8, (2,))}, "F32")
        for path in (folder / "half.safetensors", folder / "plain.safetensors"):
            assert inspect(path)["use"].startswith(f"psctl import {folder} NAME, the folder"), path
            refused = subprocess.run([PSCTL, "import", path, "m"], capture_output=True, text=True, check=False)
            assert refused.returncode == 6 and f"psctl import {folder} NAME" in refused.stderr, refused.stderr
        hf.write_safetensors(folder / "whole.safetensors", {"w": (b"\0" * 8, (2,))}, "I32")
        assert "tensor w is I32" in inspect(folder / "whole.safetensors", status=6)["reason"]


def data_and_what_else_has_a_name():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        lines = folder / "a.jsonl"
        lines.write_text('{"prompt": "a", "n": 1, "response": "bc"}\n{"prompt": "d", "response": "e"}\n')
        assert inspect(lines)["texts"] == "prompt, response"
        assert inspect(lines)["use"] == "psctl tokenize --prompt prompt --response response, or --jsonl KEY"
        lines.with_suffix(".ndjson").write_text('{"n": 1, "text": "a"}\n')
        assert inspect(lines.with_suffix(".ndjson"))["use"] == "psctl tokenize --jsonl text"
        tokens = folder / "a.tok"
        subprocess.run([PSCTL, "tokenize", "--prompt", "prompt", "--response", "response", lines, "-o", tokens],
                       capture_output=True, check=True)
        found = inspect(tokens)
        assert (found["kind"], found["tokens"], found["vocab_size"], found["given"]) == ("tokens", 5, 256, True), found
        assert (found["classes"], found["pairs"]) == (False, False), found
        lines.write_text('{"a": "x", "b": "y", "l": 1}')
        for flags, want in ((["--pair", "b"], (False, True)), (["--label", "l"], (True, False)), (["--pair", "b", "--label", "l"], (True, True))):
            subprocess.run([PSCTL, "tokenize", "--jsonl", "a", *flags, lines, "-o", folder / "texts.tok", "--force"], capture_output=True, check=True)
            assert ((marked := inspect(folder / "texts.tok"))["classes"], marked["pairs"]) == want, (flags, marked)
        tokens.write_bytes(tokens.read_bytes()[:-1])
        assert "are not 83 bytes" in inspect(tokens, status=6)["reason"]
        idx = folder / "images.gz"
        idx.write_bytes(gzip.compress(b"\0\0\x08\x03\0\0\0\2\0\0\0\1\0\0\0\3abcdef"))
        found = inspect(idx)
        assert (found["kind"], found["rows"], found["shape"], found["type"]) == ("idx", 2, "2 x 1 x 3", "uint8"), found
        found = inspect(TOKENIZER[0])
        assert found["kind"] == "tokenizer" and found["vocab_size"] == 1000, found
        subprocess.run([PSCTL, "tokenize", "--tokenizer", TOKENIZER[0], TOKENIZER[0], "-o", folder / "b.tok"], capture_output=True, check=True)
        assert inspect(folder / "b.tok")["tokenizer_hash"] == found["tokenizer_hash"] != "", found
        hf.write(folder / "hf", "llama", tokenizer=TOKENIZER)
        assert inspect(folder / "hf")["tokenizer_hash"] == found["tokenizer_hash"]
        words = folder / "words"
        words.mkdir()
        (words / "vocab.txt").write_text("[UNK]\n[CLS]\n[SEP]\na\n##b\n")
        for path in (words, words / "vocab.txt"):
            found = inspect(path)
            assert (found["kind"], found["tokenizer"], found["vocab_size"]) == ("tokenizer", "wordpiece", 7), found # and [PAD], [MASK]
            assert found["use"] == f"psctl tokenize --tokenizer {path}", found
        (words / "vocab.txt").write_text("a\n##b\n")
        assert "vocab.txt: no line is '[UNK]'" in inspect(words, status=6)["reason"]
        vocabulary = GOLDEN / "vocabs/gpt-2.gguf" # no tensors
        found = inspect(vocabulary)
        assert found["kind"] == "tokenizer" and found["usable"] and found["tokenizer"] == "gpt2", found
        assert found["use"] == f"psctl tokenize --tokenizer {vocabulary}", found
        found = inspect(GOLDEN / "signing/certificate.sig")
        assert found["kind"] == "signature" and found["signed_by"] == "certificates", found
        for name, first, reason in (("x.parquet", b"PAR1\x15\4", "is a Parquet file; write its texts as JSON Lines"),
                                    ("x.bin", b"\x80\2}q", "a pickle that may run any code"),
                                    ("x.age", b"age-encryption.org/v1\n", "encrypted by age; --identity FILE opens it"),
                                    ("x.ckpt", b"PSDCKPT\1", "is a checkpoint"),
                                    ("x.safetensors", b"<!DOCTYPE html>", "is a web page"),
                                    ("x", b"", "is empty"), ("y", b"{}", "is JSON")):
            (folder / name).write_bytes(first)
            assert reason in inspect(folder / name, status=6)["reason"], name
        assert "No such file" in inspect(folder / "none", status=5)
        for name in ("org/name", "https://huggingface.co/org/name"):
            assert "hf download org/name --local-dir name, and give that folder" in inspect(name, status=5)
        done = subprocess.run([PSCTL, "inspect", idx], capture_output=True, text=True, check=True)
        assert "usable  yes: as data of format idx" in done.stdout, done.stdout


def what_psd_and_psctl_leave():
    """Each is named, with the command that it is for."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        subprocess.run([PSCTL, "cert", "create-ca", "--cluster", "c", "--dir", folder], capture_output=True, check=True)
        subprocess.run([PSCTL, "key", "create", folder / "kek"], capture_output=True, check=True)
        (folder / "plain").write_bytes(b"a secret" * 99)
        subprocess.run([PSCTL, "seal", "--kek", f"file:{folder / 'kek'}", "--as", "a", "-o", folder / "sealed", folder / "plain"],
                       capture_output=True, check=True)
        found = inspect(folder / "sealed", status=6)
        assert found["kind"] == "sealed" and found["kek"] > 0 and "is sealed: psd opens it" in found["reason"], found
        assert inspect(folder / "plain")["kind"] == "text"
        (folder / "log").write_text('{"time":"2026-01-01T00:00:00Z","seq":1,"prev":""}\n')
        (folder / "bad.yaml").write_text("kind: train\nname: a\nlayer: 3\n")
        (folder / "settings.yaml").write_text("data_dir: /a\n")
        (folder / "influence.bin").write_bytes(b"PSDINFL1" + b"\0" * 9)
        for name, kind, use in (("ca.pem", "pem", f"psctl cert inspect {folder}/ca.pem says more"),
                                ("ca.key", "pem", "as key, with its certificate, of a context, psd or psworker"),
                                ("log", "audit", f"psctl audit verify {folder}/log"),
                                ("influence.bin", "record", "psctl influence JOB, where it is; docs/record.md has it byte by byte")):
            found = inspect(folder / name)
            assert (found["kind"], found["use"]) == (kind, use), found
        assert "settings.yaml is no job file" in inspect(folder / "settings.yaml", status=6)["reason"]
        done = subprocess.run([PSCTL, "inspect", folder / "bad.yaml"], capture_output=True, text=True, check=False)
        assert done.returncode == 6 and "bad.yaml:3: layer: unknown key" in done.stderr, done
        job = f"{SOURCE}/deploy/examples/fashion-mlp.yaml"
        found = inspect(job)
        assert (found["job_kind"], found["use"]) == ("train", f"psctl submit {job}"), found


if __name__ == "__main__":
    run([folders_of_hugging_face, gguf_and_safetensors, data_and_what_else_has_a_name, what_psd_and_psctl_leave])
