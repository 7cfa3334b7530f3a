#!/usr/bin/env python3
"""What transformers writes into config.json with all its defaults: config-gpt2.json and so on.

    pip install transformers==5.24.0; tests/golden/hf/make_configs.py
"""
import json
import pathlib

from transformers import GPT2Config, LlamaConfig, Qwen2Config

for config in (GPT2Config(), LlamaConfig(), Qwen2Config()):
    path = pathlib.Path(__file__).parent / f"config-{config.model_type}.json"
    path.write_text(json.dumps(config.to_dict(), indent=1) + "\n")
