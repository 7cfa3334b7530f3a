#!/usr/bin/env python3
"""Adapters that Hugging Face's PEFT has written, imported into psd beside the model that they are for:

    pip install torch==2.15.0 transformers==5.24.0 peft==0.21.2 numpy
    PSD_BUILD=build PSD_SOURCE=. tests/golden/lora/peft_in.py

In float64 the logits of what psd exports then are PEFT's; and so are they after another adapter was trained by psd on top, which PEFT
loads over the first. Not part of a run of the tests: torch is large.
"""
import os
import pathlib
import sys

import torch
import transformers

sys.modules["gptqmodel"] = None  # peft asks for its version
from peft import LoraConfig, PeftModel, get_peft_model  # noqa: E402

sys.path.insert(0, os.environ["PSD_SOURCE"] + "/tests/integration")
from harness import Cluster  # noqa: E402
from language import job, write_tokens  # noqa: E402

SMALL = {"vocab_size": 256, "bos_token_id": None, "eos_token_id": None}
LLAMA = {**SMALL, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
         "intermediate_size": 64, "max_position_embeddings": 32, "pad_token_id": None}
MODELS = {
    "gpt2": lambda: transformers.GPT2LMHeadModel(transformers.GPT2Config(**SMALL, n_positions=32, n_embd=32, n_layer=2, n_head=4)),
    "llama": lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**LLAMA)),
    "qwen3": lambda: transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**LLAMA, head_dim=8)),
    "gpt_neox": lambda: transformers.GPTNeoXForCausalLM(transformers.GPTNeoXConfig(
        **SMALL, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, max_position_embeddings=32)),
}
ADAPTERS = {
    "heads": ("gpt_neox", {"target_modules": ["query_key_value", "dense"]}),
    "plain": ("gpt2", {"target_modules": ["c_attn", "mlp.c_proj"], "fan_in_fan_out": True}),
    "all": ("llama", {"target_modules": "all-linear", "use_rslora": True}),
    "patterns": ("llama", {"target_modules": ["q_proj", "v_proj", "down_proj"], "rank_pattern": {"v_proj": 2, "layers.1.mlp.down_proj": 7},
                           "alpha_pattern": {"q_proj": 3, "model.layers.0.self_attn.v_proj": 32}}),
    "pattern": ("qwen3", {"target_modules": r".*\.1\..*_proj", "lora_dropout": .1}),
    "layers": ("qwen3", {"target_modules": ["up_proj", "k_proj"], "layers_to_transform": [0], "use_rslora": True,
                         "alpha_pattern": {"up_proj": 1}}),
}


def logits(model, ids):
    with torch.no_grad():
        return model.eval()(input_ids=ids).logits


def near(what, got, want):
    apart = ((got - want).abs().max() / want.abs().max()).item()
    print(f"{what}: logits apart by {apart:.1e} of the largest", flush=True)
    return apart < 1e-6


def exported(cluster, name):
    cluster.psctl("export", name, "--format", "hf", "-o", cluster.dir / f"{name}.hf")
    return transformers.AutoModelForCausalLM.from_pretrained(cluster.dir / f"{name}.hf", dtype=torch.float64)


def train_on(cluster, name, architecture):
    text = job(cluster, "gpt2", mode="bsp", train="  lora: {rank: 4, alpha: 8, targets: all-linear}\n").split("\n")
    text = [f"name: {name}-more" if line.startswith("name:") else f"initialize_from: {name}" if line.startswith("model:") else line
            for line in text]
    done = cluster.submit("\n".join(text).replace("epochs: 12", "epochs: 2").replace("0.002", "0.01"))
    cluster.wait_job(done)
    folder = cluster.dir / f"{name}.adapter"
    folder.mkdir()
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        cluster.psctl("fetch", done, file, "-o", folder / file)
    return folder


def main():
    torch.manual_seed(3)
    good = True
    ids = torch.randint(256, (4, 32))
    with Cluster() as cluster:
        cluster.start_server()
        cluster.start_worker("w1")
        cluster.start_worker("w2")
        write_tokens(cluster)
        for name, (architecture, options) in ADAPTERS.items():
            base, folder = cluster.dir / f"base-{name}", cluster.dir / f"peft-{name}"
            MODELS[architecture]().save_pretrained(base)
            model = get_peft_model(transformers.AutoModelForCausalLM.from_pretrained(base),
                                   LoraConfig(r=4, lora_alpha=6, task_type="CAUSAL_LM", **options))
            with torch.no_grad():
                for key, parameter in model.named_parameters():
                    if "lora_" in key:
                        parameter.copy_(.1 * torch.randn_like(parameter))
            (model.bfloat16() if name == "pattern" else model).save_pretrained(folder)
            model = PeftModel.from_pretrained(transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float64), folder)
            cluster.psctl("import", base, f"base-{name}")
            cluster.psctl("import", folder, name, "--base", f"base-{name}")
            good &= near(f"{name}, of {architecture}", logits(exported(cluster, name), ids), logits(model, ids))
            adapter = train_on(cluster, name, architecture)
            over = PeftModel.from_pretrained(model.merge_and_unload(), adapter)
            good &= near(f"{name}, trained on", logits(over, ids), logits(exported(cluster, f"{name}-more"), ids))
    sys.exit(not good)


if __name__ == "__main__":
    main()
