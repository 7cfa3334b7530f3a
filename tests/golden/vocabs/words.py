"""Makes words.cases with `transformers` (5.24): BertTokenizer from a folder with a vocab.txt and what may stand beside it.

    python3 words.py     # in this folder

A line for each folder: its files (`vocab`, `config`, `map`, `added`, as text) and the tokenizer.json that BertTokenizer makes of
them (`json`); then one for each text: the text (`in`), its ids (`ids`), and these with what stands around them, of the text alone
(`around`) and of a pair with "of it" (`pair`, `types`). Where both take a folder to say the same, the ids are also those of the older
BertTokenizer, which is written in Python; it composes letters first, where accents stay.
"""
import json
import pathlib
import tempfile

from transformers import BertTokenizer
from transformers.models.bert.tokenization_bert_legacy import BertTokenizerLegacy

HERE = pathlib.Path(__file__).parent
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["a", "of", "it", "word", "##s", "##ing", "##a", "##b", "b", ".", "[", "]", "'", "##word", "ete", "\u00e9t\u00e9", "\u00c9t\u00e9",
         "Word", "\u4e2d", "##\u6587", "\u6587", "\u00b7", "12", "##3", "x", "##x", "cls", "the"]
TEXTS = ["", "a", "Words of it", "  wording\tit\u00a0ab.\u200b a\u00adb", "\u00c9t\u00e9 \u00e9t\u00e9", "e\u0301te\u0301", "\u4e2d\u6587 a\u4e2d\u6587b",
         "[CLS]a [MASK] it[SEP] [mask] [X]", "x" * 100 + " " + "x" * 101, "1234 12.3 it's", "a <tool> b<r> c Xx xx <s> <b>", "zzz a\0b \ufffd",
         "\u00b7\u3000word wordword \U0001f600"]


def token(content, special=True, **rules):
    return {"content": content, "lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": special,
            **rules}


def lines(*words, end="\n", last="\n"):
    return end.join(words) + last


PLAIN = lines(*SPECIAL, *WORDS)
N = len(SPECIAL) + len(WORDS)
OWN = {str(i): token(text) for i, text in enumerate(SPECIAL)}
# the vocabulary; what stands beside it; whether it means the same to the older class
FOLDERS = [
    (PLAIN, {}, True),
    (PLAIN, {"config": {"tokenizer_class": "BertTokenizer", "do_lower_case": False, "strip_accents": None, "do_basic_tokenize": True,
                        "never_split": None}}, True),
    (PLAIN, {"config": {"tokenizer_class": "DistilBertTokenizerFast", "do_lower_case": True, "strip_accents": False}}, True),
    (PLAIN, {"config": {"do_lower_case": False, "strip_accents": True, "tokenize_chinese_chars": False, "never_split": []}}, True),
    (lines(*SPECIAL, *WORDS, end="\r\n", last=""), {}, True),
    # lines that are the same, empty, or have white space at their ends
    (lines(*SPECIAL, "a", "", "b ", "x", "a", "\u00b7\u3000", " of", "it\t", "##s"), {}, False),
    # no [CLS], [PAD]
    (lines("[UNK]", "[SEP]", "[MASK]", *WORDS), {}, False),
    (lines("<unk>", "<s>", "</s>", *WORDS), {"config": {"unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>", "pad_token": None,
                                                        "mask_token": None}}, False),
    (PLAIN, {"config": {"cls_token": "[CLS]", "mask_token": {"__type": "AddedToken", **token("[MASK]", lstrip=True)},
                        "added_tokens_decoder": OWN | {
                            str(N + 2): token("<r>", lstrip=True, rstrip=True, normalized=True),
                            str(N): token("<tool>", False, normalized=True), str(N + 1): token("xx", False, single_word=True),
                            "4": {"content": "[MASK]", "lstrip": True}}}, "map": {"mask_token": "a"}, "added": {"<not read>": 7}}, False),
    (PLAIN, {"map": {"mask_token": token("[MASK]", lstrip=True), "bos_token": "<s>", "eos_token": "[SEP]",
                     "sep_token": token("[SEP]", lstrip=True)},
             "added": {"Xx": N + 1, "<tool>": N}}, False),
    (PLAIN, {"config": {"additional_special_tokens": ["[X]", {"__type": "AddedToken", **token("<b>", normalized=True)}],
                        "mask_token": "[MASK]"}, "map": {"additional_special_tokens": ["<not read>"], "mask_token": None}}, False),
]


def main():
    out = []
    for vocab, files, older in FOLDERS:
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "vocab.txt").write_bytes(vocab.encode())
            for name, key in (("tokenizer_config", "config"), ("special_tokens_map", "map"), ("added_tokens", "added")):
                if key in files:
                    (pathlib.Path(folder) / f"{name}.json").write_text(json.dumps(files[key]))
            tokenizer = BertTokenizer.from_pretrained(folder)
            python = BertTokenizerLegacy.from_pretrained(folder) if older else None
        made = json.loads(tokenizer.backend_tokenizer.to_str())
        made["model"]["vocab"].pop("", None)  # of an empty line: no text has it
        out.append({"vocab": vocab, **{key: json.dumps(value) for key, value in files.items()},
                    "json": json.dumps(made, ensure_ascii=False, separators=(",", ":"))})
        for text in TEXTS:
            pair = tokenizer(text, "of it")
            one = {"in": text, "ids": tokenizer(text, add_special_tokens=False)["input_ids"], "around": tokenizer(text)["input_ids"],
                   "pair": pair["input_ids"], "types": pair["token_type_ids"]}
            assert not older or "\u0301" in text or python(text)["input_ids"] == one["around"], (files, text, python(text)["input_ids"], one)
            out.append(one)
    (HERE / "words.cases").write_text("".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in out))


main()
