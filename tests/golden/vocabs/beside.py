"""Makes beside.cases with `transformers` (5.24): LlamaTokenizer from a folder with bpe.model as tokenizer.model and what may
stand beside it.

    python3 beside.py     # in this folder

A line for each text: the files (`config`, `map`, `added`, as text), the text (`in`), its ids (`ids`), and these with what
stands around them (`around`).
"""
import json
import pathlib
import shutil
import tempfile

from transformers import LlamaTokenizer

HERE = pathlib.Path(__file__).parent
TEXTS = ["", "a", " a", "  of it", "the word, words and a word", "a <r> b<r>c", "<tool>of<tool> it", "x<s>of it</s> y", "[PAD]",
         "<|im_start|>user\nof it<|im_end|>\n", "\u00e9\u4e00 12", "<unk> a", "a<tool>", " <tool> a"]
N = 700


def token(content, special=True, **rules):
    return {"content": content, "lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": special,
            **rules}


OWN = {"0": token("<unk>"), "1": token("<s>"), "2": token("</s>")}
ROLES = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "legacy": False}
FOLDERS = [
    ({**ROLES, "add_bos_token": True, "tokenizer_class": "LlamaTokenizer"}, None, None),
    ({**ROLES, "add_bos_token": False, "add_eos_token": True}, None, None),
    ({**ROLES, "add_bos_token": True, "add_prefix_space": False}, None, None),
    ({**ROLES, "add_bos_token": True, "pad_token": "[PAD]", "added_tokens_decoder": {
        **OWN, str(N + 2): token("word", False, single_word=True), str(N): token("<tool>", False),
        str(N + 1): token("<r>", lstrip=True, rstrip=True)}}, None, {"<not read>": 7}),
    ({**ROLES, "add_bos_token": True}, {"bos_token": token("<s>"), "pad_token": "[PAD]"}, {"[PAD]": N + 1, "<tool>": N}),
    ({"legacy": False, "add_bos_token": True, "add_eos_token": True, "bos_token": "<|im_start|>",
      "eos_token": {"__type": "AddedToken", **token("<|im_end|>")}, "added_tokens_decoder": OWN}, None, None),
]


def main():
    lines = []
    for files in FOLDERS:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(HERE / "bpe.model", f"{folder}/tokenizer.model")
            for name, value in zip(("tokenizer_config", "special_tokens_map", "added_tokens"), files):
                if value is not None:
                    (pathlib.Path(folder) / f"{name}.json").write_text(json.dumps(value))
            tokenizer = LlamaTokenizer.from_pretrained(folder)
        named = {key: json.dumps(value) for key, value in zip(("config", "map", "added"), files) if value is not None}
        lines += [json.dumps({**named, "in": text, "ids": tokenizer(text, add_special_tokens=False)["input_ids"],
                              "around": tokenizer(text)["input_ids"]}) for text in TEXTS]
    (HERE / "beside.cases").write_text("\n".join(lines) + "\n")


main()
