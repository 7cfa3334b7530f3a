"""The same training as tests/bench/train's, in plain torch on two threads: the peer. Prints a line of JSON.

    PYTHON torch_loop.py gpt2|mlp [--steps N] [--smoke]
"""
import argparse
import gzip
import json
import resource
import time

import torch
from torch import nn
from torch.nn import functional

FOLDER = "/usr/share/datasets/fashion-mnist/"


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.c_fc, self.c_out = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        rows, length, width = x.shape
        q, k, v = (t.view(rows, length, self.heads, -1).transpose(1, 2) for t in
                   self.c_attn(self.ln_1(x)).split(width, 2))
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.c_proj(y.transpose(1, 2).reshape(rows, length, width))
        return x + self.c_out(functional.gelu(self.c_fc(self.ln_2(x)), approximate="tanh"))


class Gpt2(nn.Module):
    def __init__(self, vocabulary, width, layers, heads):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(1024, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.ln_f(x) @ self.wte.weight.T


def cpu_s():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def gpt2(o):
    vocabulary, width, layers, heads = (256, 64, 2, 2) if o.smoke else (50257, 768, 12, 12)
    model = Gpt2(vocabulary, width, layers, heads)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0)
    tokens = torch.randint(0, min(vocabulary, 251), (4, 129))

    def step():
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        return loss.item()

    step()
    step()
    begin, cpu = time.monotonic(), cpu_s()
    for _ in range(o.steps):
        step()
    return {"step_s": (time.monotonic() - begin) / o.steps, "cpu_s": (cpu_s() - cpu) / o.steps}


def read(name, skip):
    with gzip.open(FOLDER + name) as file:
        return torch.frombuffer(bytearray(file.read()), dtype=torch.uint8, offset=skip)


def mlp(o):
    """Ten epochs, rows shuffled, a rate that falls to 0: the quickstart's job."""
    begin, cpu = time.monotonic(), cpu_s()
    parts = [(read(f"{n}-images-idx3-ubyte.gz", 16).view(-1, 784).float() / 255,
              read(f"{n}-labels-idx1-ubyte.gz", 8).long()) for n in ("train", "t10k")]
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    x, y = parts[0]
    total = 10 * (len(x) // 128 + 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: max(0, 1 - i / total))
    for _ in range(10):
        for rows in torch.randperm(len(x)).split(128):
            optimizer.zero_grad()
            functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            accuracy = (model(parts[1][0]).argmax(1) == parts[1][1]).float().mean().item()
    return {"step_s": time.monotonic() - begin, "cpu_s": cpu_s() - cpu, "accuracy": accuracy}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("gpt2", "mlp"))
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--smoke", action="store_true")
    o = parser.parse_args()
    torch.set_num_threads(2)
    print(json.dumps({"gpt2": gpt2, "mlp": mlp}[o.what](o)))


main()
