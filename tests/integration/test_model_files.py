"""Files of other tools: texts become tokens."""
import gzip
import json
import pathlib
import struct
import subprocess
import tempfile

from harness import PSCTL, SOURCE, run

GOLDEN = pathlib.Path(SOURCE) / "tests/golden"


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


run([texts_become_token_files])
