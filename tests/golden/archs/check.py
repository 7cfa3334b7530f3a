#!/usr/bin/env python3
"""Asks transformers and llama.cpp what they make of the files that psd has written of the models here:

    mkdir out; PSD_ARCHS_OUT=out PSD_SOURCE_ROOT=. build/tests/unit/test-worker_models_archs
    pip install transformers==5.24.0 torch llama-cpp-python==0.3.36; tests/golden/archs/check.py out [llama…]

Both have to say the tokens of the golden files (llama.cpp in float32, from token ids), and transformers
to have the loss. Of models of texts both have to say the answers: transformers those of each text, llama.cpp those
of texts alone, and a little less exactly, as its gelu is another one; it has no second text of a pair.
Not part of a run of the tests: those programs are large.
"""
import json
import pathlib
import sys

import make
import numpy
import torch
import transformers


def read(kind):
    variants = {}
    for line in (make.HERE / f"{kind}.txt").read_text().splitlines():
        word, rest = line.split(" ", 1)
        if word == "variant":
            variants[rest] = now = {"texts": []}
        elif word == "text":
            now["texts"].append([int(n) for n in rest.split()])
        elif word != "gradient":
            now[word] = rest
    return variants


def ask_transformers(folder, want, tokens):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager").eval()
    rows = torch.tensor(tokens).reshape(make.ROWS, -1)
    with torch.no_grad():
        logits = model(input_ids=rows[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), rows[:, 1:].reshape(-1)).item()
    assert abs(loss - float(want["loss"])) < 1e-7 * loss, (loss, want["loss"])


def ask_llama_cpp(path, want, tokens):
    import llama_cpp
    rope = json.loads(want["config"]).get("rope_parameters", {})  # llama.cpp reads betas of some architectures alone
    model = llama_cpp.Llama(str(path), n_ctx=64, n_batch=64, verbose=False, logits_all=True, type_k=0, type_v=0,
                            yarn_beta_fast=rope.get("beta_fast", 32.0), yarn_beta_slow=rope.get("beta_slow", 1.0))
    said = tokens[:make.PROMPT]
    model.eval(said)
    for _ in range(make.SAYS):
        said.append(int(numpy.argmax(model.scores[model.n_tokens - 1])))
        model.eval(said[-1:])
    assert said[make.PROMPT:] == [int(t) for t in want["greedy"].split()], (said[make.PROMPT:], want["greedy"])


def answers(want, at):
    """What is said of those texts; whether these are classes; what is called another answer in all of them."""
    said = numpy.array([float(v) for v in want["answers"].split()]).reshape(len(want["texts"]), -1)
    return said[at], "ForSequenceClassification" in want["config"], numpy.abs(said).max()


def ask_transformers_of_texts(folder, want, _):
    for i, (_, first, *tokens) in enumerate(want["texts"]):
        wanted, classifies, most = answers(want, i)
        kind = transformers.AutoModelForSequenceClassification if classifies else transformers.AutoModel
        model = kind.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager").eval()
        types = torch.tensor([[0] * first + [1] * (len(tokens) - first)])
        with torch.no_grad():
            said = model(input_ids=torch.tensor([tokens]), token_type_ids=types)
        said = (said.logits[0] if classifies else said.last_hidden_state[0].mean(0)).numpy()
        assert numpy.abs(said - wanted).max() < 1e-7 * most, (i, said, wanted)


def ask_llama_cpp_of_texts(path, want, _):
    import llama_cpp
    alone = [i for i, (_, first, *tokens) in enumerate(want["texts"]) if first == len(tokens)]
    for i in alone:
        wanted, classifies, most = answers(want, i)
        kind = llama_cpp.LLAMA_POOLING_TYPE_RANK if classifies else llama_cpp.LLAMA_POOLING_TYPE_UNSPECIFIED
        model = llama_cpp.Llama(str(path), n_ctx=40, n_batch=40, n_ubatch=40, verbose=False, embedding=True, pooling_type=kind)
        model._batch.add_sequence(want["texts"][i][2:], 0, True)
        model._ctx.decode(model._batch)
        said = numpy.array(llama_cpp.llama_get_embeddings_seq(model.ctx, 0)[:len(wanted)])
        assert numpy.abs(said - wanted).max() < 1e-3 * most, (i, said, wanted)
    assert alone


if __name__ == "__main__":
    out, wrong = pathlib.Path(sys.argv[1]), 0
    for kind in sys.argv[2:] or make.VARIANTS:
        for name, want in read(kind).items():
            tokens = [int(t) for t in want.get("tokens", "").split()]
            both = (ask_transformers_of_texts, ask_llama_cpp_of_texts) if want["texts"] else (ask_transformers, ask_llama_cpp)
            for program, path in zip(both, (out / f"{kind}.{name}", out / f"{kind}.{name}.gguf")):
                if not path.exists():
                    print(f"{path.name}: psd does not write it")
                    continue
                try:
                    program(path, want, list(tokens))
                    print(f"{path.name}: {program.__name__.removeprefix('ask_').removesuffix('_of_texts')} says the same")
                except Exception as error:  # noqa: BLE001 what is wrong with one is no reason to leave out the others
                    wrong += 1
                    print(f"{path.name}: {program.__name__}: {type(error).__name__} {error}")
    sys.exit(wrong > 0)
