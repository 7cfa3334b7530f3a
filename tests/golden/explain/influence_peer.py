#!/usr/bin/env python3
"""Influence of windows of tokens on the loss of others by another library, Kronfluence, in float64, of the tiny gpt2 of
../gpt2.safetensors as transformers computes it: its scores without curvature ("identity", which are TracIn's), and with
EK-FAC, whose factors are of the windows' own tokens ("empirical"), since drawn ones would be others. Windows are those of
influence_gpt2.safetensors, whose own formulas (influence_language.py) it is held against, too.
tests/unit/worker/explain/test_influence_language.c compares ours with it.

    pip install torch==2.15.0 transformers==5.24.0 safetensors numpy; pip install --no-deps kronfluence==1.0.1
    tests/golden/explain/influence_peer.py     # writes influence_gpt2_peer.safetensors beside it

Only needed to make the file again; the test reads the file.
"""
import pathlib
import tempfile

import numpy
import torch
from kronfluence.analyzer import Analyzer, prepare_model
from kronfluence.arguments import FactorArguments, ScoreArguments
from kronfluence.task import Task
from safetensors.numpy import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.pytorch_utils import Conv1D

HERE = pathlib.Path(__file__).parent
LENGTH, RATE = 12, 0.5

torch.set_default_dtype(torch.float64)
windows = load_file(HERE / "influence_gpt2.safetensors")
parameters = load_file(HERE.parent / "gpt2.safetensors")


def rows(name):
    stream = torch.from_numpy(windows[name]).long()
    return torch.utils.data.TensorDataset(stream[:-1].reshape(-1, LENGTH), stream[1:].reshape(-1, LENGTH))


def linear(conv):
    """Kronfluence knows no Conv1D, which is a Linear stored the other way round."""
    made = torch.nn.Linear(*conv.weight.shape)
    with torch.no_grad():
        made.weight.copy_(conv.weight.T), made.bias.copy_(conv.bias)
    return made


def model():
    made = GPT2LMHeadModel(GPT2Config(vocab_size=61, n_positions=16, n_embd=16, n_layer=2, n_head=4, attn_pdrop=0, embd_pdrop=0,
                                      resid_pdrop=0, attn_implementation="eager")).double().eval()
    given = {"transformer." + name.removeprefix("parameter/"): torch.from_numpy(value)
             for name, value in parameters.items() if name.startswith("parameter/")}
    missing, unknown = made.load_state_dict(given, strict=False)
    assert missing in ([], ["lm_head.weight"]) and not unknown, (missing, unknown)
    made.tie_weights()
    for block in made.transformer.h:
        for half in (block.attn, block.mlp):
            for name, part in list(half.named_children()):
                if isinstance(part, Conv1D):
                    setattr(half, name, linear(part))
    with torch.no_grad():
        found = made(torch.from_numpy(parameters["tokens"]).long()).logits
    assert abs(found.numpy() - parameters["logits"]).max() < 1e-5
    return made


class NextToken(Task):
    """Of each window the mean over its tokens."""

    def compute_train_loss(self, batch, model, sample=False):
        logits = model(batch[0]).logits
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[1].flatten(), reduction="sum") / LENGTH

    def compute_measurement(self, batch, model):
        return self.compute_train_loss(batch, model)

    def get_influence_tracked_modules(self):
        return [f"transformer.h.{i}.{part}" for i in range(2) for part in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")]


def scores(strategy, asked="test"):
    with tempfile.TemporaryDirectory() as folder:
        task = NextToken()
        analyzer = Analyzer("golden", prepare_model(model(), task), task, cpu=True, output_dir=folder, disable_tqdm=True)
        how = FactorArguments(strategy=strategy, use_empirical_fisher=True, covariance_module_partitions=1)
        for name in ("activation_covariance_dtype", "gradient_covariance_dtype", "lambda_dtype", "per_sample_gradient_dtype",
                     "eigendecomposition_dtype"):
            setattr(how, name, torch.float64)
        score = ScoreArguments(damping_factor=None)
        for name in ("score_dtype", "per_sample_gradient_dtype", "precondition_dtype"):
            setattr(score, name, torch.float64)
        analyzer.fit_all_factors("f", rows("train"), factor_args=how, per_device_batch_size=8)
        analyzer.compute_pairwise_scores("s", "f", rows(asked), rows("train"), score_args=score, per_device_query_batch_size=3,
                                         per_device_train_batch_size=8)
        return analyzer.load_pairwise_scores("s")["all_modules"].numpy()


out = {"tracin": RATE * scores("identity"), "ekfac": scores("ekfac"), "self": RATE * scores("identity", "train").diagonal()}
for name, value in out.items():
    off = abs(value - windows[name]).max() / abs(value).max()
    print(f"{name}: {value.shape}, {off:.1e} of its largest from influence_language.py's")
    assert off < 1e-6
save_file({name: numpy.ascontiguousarray(value, dtype=numpy.float32) for name, value in out.items()},
          HERE / "influence_gpt2_peer.safetensors")
