"""Makes the seeds of fuzz target tokenizer that have each row of the tables once: models, normalizers, pre-tokenizers,
post-processors and decoders.

    python3 tokenizer_seeds.py        # in this folder; writes corpus/tokenizer/rows-*.json
"""
import base64
import json
import pathlib
import struct

HERE = pathlib.Path(__file__).parent / "corpus" / "tokenizer"
SPACE = "\u2581"


def sequence(key, *parts):
    return {"type": "Sequence", key: list(parts)}


def added(content, at, **rules):
    return {"id": at, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
            "special": True} | rules


def template(begin, end):
    token, text, second = (lambda name: {"SpecialToken": {"id": name, "type_id": 0}}), {"Sequence": {"id": "A", "type_id": 0}}, {
        "Sequence": {"id": "B", "type_id": 1}}
    return {"type": "TemplateProcessing", "single": [token("<s>"), text], "pair": [token("<s>"), text, token("</s>"), second],
            "special_tokens": {name: {"id": name, "ids": [at], "tokens": [name]} for name, at in (("<s>", begin), ("</s>", end))}}


def charsmap():
    """U+2460 becomes "1": a trie of its three bytes, each unit at the place of its label, and of a leaf at place 1."""
    units = [0] * 256
    for byte in "\u2460".encode():
        units[byte] = byte << 10 | byte
    units[byte] = (byte ^ 1) << 10 | 1 << 8 | byte
    units[1] = 1 << 31
    return base64.b64encode(struct.pack("<257I", 1024, *units) + b"1\0").decode()


def tokenizer(model, tokens=(), **parts):
    return {"version": "1.0", "added_tokens": list(tokens), "normalizer": None, "pre_tokenizer": None, "post_processor": None,
            "decoder": None, "model": model} | parts


def llama():
    words = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(0, 256, 16)), SPACE, "t", "h", "e", "th", "the", SPACE + "the"]
    return tokenizer(
        {"type": "BPE", "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True,
         "vocab": {word: i for i, word in enumerate(words)}, "merges": ["t h", "th e", SPACE + " the"]},
        [added("<unk>", 0), added("<s>", 1), added("</s>", 2, rstrip=True)],
        normalizer=sequence("normalizers", {"type": "Prepend", "prepend": SPACE},
                            {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}),
        post_processor=template(1, 2),
        decoder=sequence("decoders", {"type": "Replace", "pattern": {"String": SPACE}, "content": " "}, {"type": "ByteFallback"},
                         {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}))


def unigram():
    return tokenizer(
        {"type": "Unigram", "unk_id": 0, "byte_fallback": False,
         "vocab": [["<unk>", 0.0], ["<s>", 0.0], [SPACE, -2.5], ["a", -3.25], ["ab", -4.1], [SPACE + "a", -3.000000000000001e0]]},
        [added("<s>", 1), added("word", 6, special=False, normalized=True, single_word=True)],
        normalizer=sequence("normalizers", {"type": "Precompiled", "precompiled_charsmap": charsmap()}, {"type": "NFKC"},
                            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}),
        pre_tokenizer=sequence("pretokenizers", {"type": "WhitespaceSplit"},
                               {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "first", "split": True}),
        decoder={"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always", "split": True})


def bert():
    words = ["[UNK]", "[CLS]", "[SEP]", "a", "##b", "##c", "'", "s", "."]
    return tokenizer(
        {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 20,
         "vocab": {word: i for i, word in enumerate(words)}},
        [added(word, i) for i, word in enumerate(words[:3])],
        normalizer={"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
                    "lowercase": True},
        pre_tokenizer={"type": "BertPreTokenizer"},
        post_processor={"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
        decoder={"type": "WordPiece", "prefix": "##", "cleanup": True})


def clip():
    words = ["a", "b", "a</w>", "b</w>", "ab</w>", "<e>"]
    return tokenizer(
        {"type": "BPE", "unk_token": "<e>", "end_of_word_suffix": "</w>", "vocab": {word: i for i, word in enumerate(words)},
         "merges": [["a", "b</w>"]]},
        [added("<e>", 5, lstrip=True)],
        normalizer=sequence("normalizers", {"type": "NFC"}, {"type": "Lowercase"}),
        pre_tokenizer=sequence("pretokenizers", {"type": "Split", "pattern": {"Regex": r"'s|[\p{L}]+|[^\s\p{L}]+"},
                                                 "behavior": "Removed", "invert": True}),
        post_processor={"type": "RobertaProcessing", "sep": ["<e>", 5], "cls": ["<e>", 5], "trim_offsets": True,
                        "add_prefix_space": False},
        decoder={"type": "BPEDecoder", "suffix": "</w>"})


def cuts():
    words = ["a", "b", "<u>", "ab"]
    return tokenizer(
        {"type": "BPE", "unk_token": "<u>", "vocab": {word: i for i, word in enumerate(words)}, "merges": ["a b"]},
        normalizer=sequence("normalizers", {"type": "NFD"}, {"type": "NFKD"}, {"type": "StripAccents"},
                            {"type": "Strip", "strip_left": True, "strip_right": True}),
        pre_tokenizer=sequence("pretokenizers", {"type": "Whitespace"}, {"type": "Punctuation", "behavior": "MergedWithNext"},
                               {"type": "Digits", "individual_digits": True}, {"type": "CharDelimiterSplit", "delimiter": "q"},
                               {"type": "FixedLength", "length": 4},
                               {"type": "Split", "pattern": {"String": "th"}, "behavior": "MergedWithPrevious", "invert": False}),
        decoder=sequence("decoders", {"type": "Replace", "pattern": {"Regex": "a+b?"}, "content": "c"}))


def main():
    for make in (llama, unigram, bert, clip, cuts):
        (HERE / f"rows-{make.__name__}.json").write_text(json.dumps(make(), separators=(",", ":")) + "\n")


main()
