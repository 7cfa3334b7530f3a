"""Makes decoders.cases: what PyPI's `tokenizers` (0.23.3) makes of ids with each of these decoders.

    python3 decoders.py     # in this folder

Each line has a whole tokenizer.json (`tokenizer`), and ids and what they are decoded to, several times (`texts`).
"""
import json
import pathlib

from tokenizers import Tokenizer

HERE = pathlib.Path(__file__).parent
WORDS = ["<unk>", "a", "ab", "aab", "b</w>", "\u2581a", "##b", "\u0120b", " ", "aa", "<0xC3>", "<0xa9>", "\u2581", "n't", "."]
IDS = [[1], [2, 2], [3, 9, 2, 3], [4, 4], [1, 4, 4], [5, 5, 1], [12, 5, 12], [1, 6, 6], [7, 7, 1], [10, 11, 1], [8, 8, 1, 8],
       [9, 9], [1, 13, 14, 8, 14], [15, 1, 15], [16, 16], [2, 16, 1]]
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
WORDPIECE = {"type": "WordPiece", "prefix": "##", "cleanup": True}
METASPACE = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
LLAMA = [{"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]


def strip(content, start, stop):
    return {"type": "Strip", "content": content, "start": start, "stop": stop}


DECODERS = [
    None, BYTE_LEVEL, WORDPIECE, METASPACE, strip("a", 1, 0), strip("a", 0, 1), strip("a", 1, 1), strip("a", 2, 1),
    {"type": "BPEDecoder", "suffix": "</w>"}, [*LLAMA, strip(" ", 1, 0)], [*LLAMA, strip(" ", 1, 1)], [strip("a", 1, 1), *LLAMA],
    [WORDPIECE, BYTE_LEVEL], [BYTE_LEVEL, {**WORDPIECE, "cleanup": False}], [{"type": "Fuse"}, METASPACE], [METASPACE, {"type": "Fuse"}],
    [{"type": "BPEDecoder", "suffix": "</w>"}, {"type": "Fuse"}, strip("a", 1, 0)],
]


def tokenizer(decoder):
    added = {"single_word": False, "lstrip": False, "rstrip": False, "special": False}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": 15, "content": "A B", "normalized": True, **added},
                         {"id": 16, "content": "C D", "normalized": False, **added}],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "\u2581"}, {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
        "pre_tokenizer": None, "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": decoder} if isinstance(decoder, list) else decoder,
        "model": {"type": "WordLevel", "vocab": {word: i for i, word in enumerate(WORDS)}, "unk_token": "<unk>"}}


def main():
    lines = []
    for decoder in DECODERS:
        file = json.dumps(tokenizer(decoder), ensure_ascii=False)
        made = Tokenizer.from_str(file)
        texts = []
        for ids in IDS:
            try:
                texts += [ids, made.decode(ids, skip_special_tokens=False)]
            except BaseException:  # a Strip that takes more than there is ends in a panic
                continue
        lines.append(json.dumps({"tokenizer": file, "texts": texts}, ensure_ascii=False, separators=(",", ":")))
    (HERE / "decoders.cases").write_text("\n".join(lines) + "\n")


main()
