#!/usr/bin/env python3
"""A tuned lens of the tiny gpt2 and llama (make_inside.py), by PyTorch in float64: translators drawn at random, the loss of
some tokens' streams, mean over layers and tokens of KL(answer || lens), its gradients by autograd, and what the lens reads at
each layer after the last token of each row. tests/unit/worker/models/test_tuned_lens.c and explain/test_tuned_lens.c compare
ours.

    pip install torch==2.15.0 transformers==5.24.0 numpy safetensors
    tests/golden/explain/tuned_lens.py     # writes tuned_lens.safetensors beside it

Only needed to make the file again; the tests read the file.
"""
import numpy
import torch

from make_inside import HERE, Inside, gpt2, llama, write

ROWS, SPREAD = 7, 0.1


def streams_of(inside):
    """[rows, tokens, layers + 1, hidden]: before each block, and behind the last."""
    seen = []
    handles = [inside.blocks[0].register_forward_pre_hook(lambda m, given, kw: seen.append(
        given[0] if given else kw["hidden_states"]), with_kwargs=True)]
    handles += [b.register_forward_hook(lambda m, given, made: seen.append(made[0] if isinstance(made, tuple) else made))
                for b in inside.blocks]
    with torch.no_grad():
        inside.run(inside.tokens)
    for handle in handles:
        handle.remove()
    return torch.stack(seen, 2)


def make(name, build, out):
    torch.manual_seed(11)
    inside = Inside(name, build)
    streams = streams_of(inside)
    rows = streams.flatten(0, 1)[:ROWS].float().double()  # what float32 holds of them
    hidden = rows.shape[-1]
    translators = []
    for _ in range(inside.layers):
        t = torch.nn.Linear(hidden, hidden)
        with torch.no_grad():
            for p in t.parameters():
                p.copy_((SPREAD * torch.randn_like(p)).float().double())
        translators.append(t)

    def read(x):
        return (inside.norm(x) @ inside.unembed.T).log_softmax(-1)
    answer = read(rows[:, -1]).detach()
    divergences = [torch.nn.functional.kl_div(read(rows[:, l] + t(rows[:, l])), answer, reduction="batchmean", log_target=True)
                   for l, t in enumerate(translators)]
    loss = torch.stack(divergences).mean()
    loss.backward()
    out[f"{name}/rows"], out[f"{name}/loss"] = rows.reshape(ROWS, -1), loss.reshape(1)
    for l, t in enumerate(translators):
        for kind in ("weight", "bias"):
            out[f"{name}/parameter/translators.{l}.{kind}"] = getattr(t, kind)
            out[f"{name}/gradient/translators.{l}.{kind}"] = getattr(t, kind).grad
    last = streams[:, -1]
    at = [last[:, l] + t(last[:, l]) for l, t in enumerate(translators)] + [last[:, -1]]
    out[f"{name}/lens"] = torch.stack([inside.norm(x) @ inside.unembed.T for x in at], 1)


if __name__ == "__main__":
    made = {}
    make("gpt2", gpt2, made)
    make("llama", llama, made)
    write(HERE / "tuned_lens.safetensors",
          {key: numpy.ascontiguousarray(value.detach().numpy().astype(numpy.float32)) for key, value in made.items()})
    print({key: list(value.shape) for key, value in made.items()})
