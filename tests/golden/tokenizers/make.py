"""Makes the golden files of this folder with PyPI's `tokenizers` (0.23.3), which is independent of psd.

    python3 make.py [NAME ...]        # in this folder; no NAME: all, and those that are trained come out otherwise each time

Small tokenizers of the types that people have are trained on the text of the GNU GPL (Debian package base-files) and on
random text of many scripts. NAME.json is the tokenizer; NAME.cases has a line for each text: its ids with
added tokens found in it (`ids`), what these are decoded to (`text` when nothing is lost), and the ids and types of the
text and another one with the special tokens of the post-processor around them (`pair`, `types`).
"""
import base64
import json
import pathlib
import random
import string
import struct
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).parent
GPL = pathlib.Path("/usr/share/common-licenses/GPL-3").read_text()
WORDS = GPL.split()
RANGES = [(0x20, 0x7e), (0xa0, 0x17f), (0x300, 0x36f), (0x370, 0x3ff), (0x400, 0x4ff), (0x590, 0x5ff), (0x600, 0x6ff),
          (0x900, 0x97f), (0xe00, 0xe7f), (0x1100, 0x11ff), (0x2000, 0x206f), (0x2150, 0x218f), (0x2460, 0x24ff),
          (0x3000, 0x30ff), (0x4e00, 0x9fff), (0xac00, 0xd7a3), (0xf900, 0xfaff), (0xff00, 0xffef), (0x1d400, 0x1d7ff),
          (0x1f300, 0x1f64f), (0x1f900, 0x1f9ff), (0x20000, 0x2a6d0), (0, 0x1f), (0x7f, 0xa0), (0x10d40, 0x10d65),
          (0x16e80, 0x16e9a), (0x1e030, 0x1e06d)]
SPACES = [" ", "  ", "\n", "\n\n", "\t", "\r\n", "   ", "\u3000", "\u00a0", "\u2028", "\u180e", "\u200b", "\u200d", "\ufeff",
          "\u2581", " \u2581"]
TAGS = ["<|begin_of_text|>", "<|im_start|>", "<tool>", "<r>", " word ", "word", "<s>", "</s>", "<unk>", "[CLS]", "[MASK]",
        "<mask>", "the", "<0x41>", "'s", "'LL", "don't", "'\u017f"]
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
CLIP = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def text(draw):
    out = []
    for _ in range(draw.randint(1, 8)):
        kind = draw.random()
        if kind < .35:
            out.append(" ".join(draw.choice(WORDS) for _ in range(draw.randint(1, 4))))
        elif kind < .6:
            first, last = draw.choice(RANGES)
            out.append("".join(chr(draw.randint(first, last)) for _ in range(draw.randint(1, 6))))
        elif kind < .7:
            out.append(str(draw.randint(0, 10 ** draw.randint(1, 9))))
        else:
            out.append(draw.choice(SPACES if kind < .85 else TAGS))
        if draw.random() < .4:
            out.append(" ")
    return "".join(out)


def corpus():
    draw = random.Random(1)
    yield from (GPL[i:i + 500] for i in range(0, len(GPL), 500))
    for _ in range(100):
        yield "".join(c for c in text(draw) if c not in "\0<>[]")


def train(tokenizer, trainer, **options):
    tokenizer.train_from_iterator(corpus(), trainer(show_progress=False, **options))
    return tokenizer


def byte_level(pre, ignore_merges=False, suffix=None, unk=None, **parts):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges,
                                     **({"end_of_word_suffix": suffix, "unk_token": unk} if suffix else {})))
    tokenizer.pre_tokenizer = pre
    tokenizer.decoder = decoders.ByteLevel()
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    options = {"end_of_word_suffix": suffix} if suffix else {}
    return train(tokenizer, trainers.BpeTrainer, vocab_size=600,
                 initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
                 special_tokens=["<|begin_of_text|>", "<|end_of_text|>"], **options)


def template(begin, end=""):
    ids = {"<|begin_of_text|>": 0, "<s>": 1, "[CLS]": 2, "[SEP]": 3}
    return processors.TemplateProcessing(
        single=f"{begin} $A {end}".strip(), pair=f"{begin} $A {end or begin}:1 $B:1 {end + ':1' if end else ''}".strip(),
        special_tokens=[(name, ids[name]) for name in (begin, end) if name])


def llama3():
    pre = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated"), BYTES])
    return byte_level(pre, ignore_merges=True,
                      post_processor=processors.Sequence([processors.ByteLevel(), template("<|begin_of_text|>")]))


def qwen2():
    pre = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3.replace("{1,3}", "")), "isolated"), BYTES])
    tokenizer = byte_level(pre, normalizer=normalizers.NFC())
    tokenizer.add_tokens([AddedToken("<|im_start|>", special=True, normalized=False), AddedToken("<tool>", normalized=True),
                          AddedToken("<r>", lstrip=True, rstrip=True, normalized=False),
                          AddedToken("word", single_word=True, normalized=False)])
    return tokenizer


def smollm():
    """As SmolLM2's it has no token for some bytes: control characters, and those that begin rare ones."""
    tokenizer = byte_level(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                    pre_tokenizers.ByteLevel(add_prefix_space=False)]))
    words = json.loads(tokenizer.to_str())
    for byte in ("\u00f0", "\u00f1", "\u0104", "\u0106"):
        del words["model"]["vocab"][byte]
    words["model"]["merges"] = [pair for pair in words["model"]["merges"] if "\u00f0" not in "".join(pair)]
    return Tokenizer.from_str(json.dumps(words))


def roberta():
    tokenizer = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True),
                           post_processor=processors.RobertaProcessing(("<|end_of_text|>", 1), ("<|begin_of_text|>", 0)))
    tokenizer.add_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
    return tokenizer


def clip():
    pre = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(CLIP), "removed", invert=True),
                                   pre_tokenizers.ByteLevel(add_prefix_space=False)])
    norm = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    return byte_level(pre, suffix="</w>", unk="<|end_of_text|>", normalizer=norm, decoder=decoders.ByteLevel())


def llama2():
    """BPE of SentencePiece: no pre-tokenizer; words are cut for the trainer alone."""
    bytes_ = [f"<0x{i:02X}>" for i in range(256)]
    norm = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    trained.normalizer = norm
    trained.pre_tokenizer = pre_tokenizers.Split("\u2581", "merged_with_next")
    train(trained, trainers.BpeTrainer, vocab_size=900, limit_alphabet=150,
          special_tokens=["<unk>", "<s>", "</s>", *bytes_])
    described = json.loads(trained.to_str())
    described["pre_tokenizer"] = None
    described["model"].update(byte_fallback=True, fuse_unk=True)
    described["added_tokens"] = described["added_tokens"][:3]
    described["decoder"] = {"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    tokenizer = Tokenizer.from_str(json.dumps(described))
    tokenizer.post_processor = template("<s>")
    return tokenizer


def mistral():
    described = json.loads(llama2().to_str())
    described["normalizer"] = None
    described["pre_tokenizer"] = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": False}
    described["model"].update(byte_fallback=False, fuse_unk=False)
    return Tokenizer.from_str(json.dumps(described))


def bert():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=20))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = template("[CLS]", "[SEP]")
    return train(tokenizer, trainers.WordPieceTrainer, vocab_size=700, limit_alphabet=200,
                 special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])


def charsmap():
    """A map of SentencePiece's form, of a few texts: a trie of units with a byte's label each."""
    pairs = {"\u2460": "1", "\uff21": "A", "\u3000": " ", "\u00a0": " ", "\u00e9": "e", "\u0301": "", "\ufb01": "fi"}
    texts, at = bytearray(), {}
    for key, value in pairs.items():
        at[key.encode()] = len(texts)
        texts += value.encode() + b"\0"
    root = {}
    for key, value in at.items():
        node = root
        for byte in key:
            node = node.setdefault(byte, {})
        node[None] = value
    units = [0] * 65536
    used = {0}

    def place(node, where):
        labels = [0 if label is None else label for label in node]
        base = next(b for b in range(256, 32768, 256) if not any(b ^ label in used for label in labels)
                    and (where ^ b) < 1 << 21)
        used.update(base ^ label for label in labels)
        units[where] |= (where ^ base) << 10 | (1 << 8 if None in node else 0)
        for label, below in node.items():
            if label is None:
                units[base] = below | 1 << 31
            else:
                units[base ^ label] = label
        for label, below in node.items():
            if label is not None:
                place(below, base ^ label)

    place(root, 0)
    last = max(used) + 1
    trie = struct.pack(f"<{last}I", *units[:last])
    return base64.b64encode(struct.pack("<I", len(trie)) + trie + bytes(texts)).decode()


def unigram():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return train(tokenizer, trainers.UnigramTrainer, vocab_size=600, special_tokens=["<unk>", "<s>", "</s>"],
                 unk_token="<unk>")


def t5():
    described = json.loads(unigram().to_str())
    described["model"]["vocab"] += [[f"<0x{i:02X}>", -20.0] for i in range(256)]
    described["model"]["byte_fallback"] = True
    described["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": charsmap()}
    described["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [
        {"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first"}]}
    return Tokenizer.from_str(json.dumps(described))


def words():
    """What nobody has in one file, but each for itself."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(),
                                                 normalizers.Strip(left=True, right=True)])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation("merged_with_next"), pre_tokenizers.Digits(),
        pre_tokenizers.Split("th", "merged_with_previous"), pre_tokenizers.CharDelimiterSplit("q"),
        pre_tokenizers.Split(Regex("[aeiou]"), "contiguous", invert=True)])
    return train(tokenizer, trainers.UnigramTrainer, vocab_size=900, special_tokens=["<unk>"], unk_token="<unk>")


def first():
    """prepend_scheme "first" behind a normalizer that takes the first character away, or makes several of it; no decoder,
    so there are spaces between the tokens."""
    words = ["<unk>", "<s>", "\u2581", *string.ascii_lowercase, "th", "the", "\u2581the"]
    tokenizer = Tokenizer(models.BPE({word: i for i, word in enumerate(words)}, [("t", "h"), ("th", "e"), ("\u2581", "the")],
                                     unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.NFKD(), normalizers.StripAccents(), normalizers.Strip(left=True, right=False), normalizers.Replace("x", ""),
        normalizers.Replace("y", "  "), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.CharDelimiterSplit(" "),
                                                       pre_tokenizers.Metaspace(prepend_scheme="first")])
    tokenizer.add_special_tokens(["<s>"])
    return tokenizer


def longer():
    """The same behind texts that become others: what comes in for several characters is no first one."""
    tokenizer = first()
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.Replace("ab", "cd"), normalizers.Replace("th", ""), normalizers.Replace("x", "yz"),
        normalizers.Replace(Regex("^of|it+"), "the"), normalizers.Prepend("a "), normalizers.Replace("dd", "d")])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.FixedLength(length=1),
                                                       pre_tokenizers.Metaspace(prepend_scheme="first", split=False)])
    return tokenizer


def threes():
    """Pieces of three characters, the first of them with a letter before it."""
    tokenizer = first()
    tokenizer.normalizer = None
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.FixedLength(length=3),
                                                       pre_tokenizers.Metaspace(prepend_scheme="first", split=False)])
    return tokenizer


def nmt():
    """A piece for each character, so that what becomes of it is seen."""
    tokenizer = first()
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.Replace(" ", "\u2581")])
    tokenizer.pre_tokenizer = pre_tokenizers.FixedLength(length=1)
    return tokenizer


def letters():
    """Bytes are letters before anything is cut."""
    tokenizer = byte_level(pre_tokenizers.Split(Regex("\u0120?[^\u0120]+"), "isolated"), normalizer=normalizers.ByteLevel())
    tokenizer.add_tokens([AddedToken("<r> x", normalized=True)])
    return tokenizer


def scripts():
    """What is no script of its own, before all others, goes; a piece begins with a letter."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.UnicodeScripts(),
                                                       pre_tokenizers.Metaspace(prepend_scheme="always", split=False)])
    tokenizer.decoder = decoders.Metaspace()
    return train(tokenizer, trainers.UnigramTrainer, vocab_size=900, special_tokens=["<unk>"], unk_token="<unk>")


def wordlevel():
    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return train(tokenizer, trainers.WordLevelTrainer, vocab_size=500, special_tokens=["[UNK]", "[CLS]", "[SEP]"])


def ctc():
    """Letters, many of them twice, of which the decoder leaves one."""
    words = ["<pad>", "<unk>", "|", *string.ascii_lowercase, "'", "n't", " do not", "."]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(" ", "|")])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("n't| do not|<pad>|."), "isolated")
    tokenizer.decoder = decoders.CTC()
    return tokenizer


def as_read(number):
    """A score as the library reads it: its digits, and then a power of ten, each rounded."""
    digits, exponent = number.lstrip("-").replace(".", ""), len(number.split(".")[1])
    return -(float(int(digits)) / 10.0 ** exponent)


def scores():
    """Of each pair of letters there is a token, whose score is that of the two letters together, but for a last digit that is
    rounded: read with one rounding, another way to cut the pair would be the best."""
    draw = random.Random(3)
    vocab, letters = [("<unk>", "0.0")], string.ascii_letters
    for a, b in zip(letters[::2], letters[1::2]):
        while True:
            x, y = (f"-{draw.uniform(4, 16):.15f}" for _ in range(2))
            both = repr(float(x) + float(y) - draw.choice((-1, 0, 1)) * 2 ** -49)
            if len(both) > 17 and (float(both) >= float(x) + float(y)) != (as_read(both) >= as_read(x) + as_read(y)):
                break
        vocab += [(a, x), (b, y), (a + b, both)]
    listed = ",".join(f'["{word}",{score}]' for word, score in vocab)
    return '{"version":"1.0","model":{"type":"Unigram","unk_id":0,"vocab":[' + listed + "]}}"


def main():
    fixed = ["", " ", "  ", "\n", " a", "a ", "a  b", "<s>", " <s> x", "a\u0301", "\u0130I", "x" * 30, "\u2460\uff21\ufb01e\u0301"]
    starts = ["\ufb01", "xthe", "x the", "the xthe", "ythe", "y", "of", " of", "\u0301the", "  the", "<s>the", "x<s>the", "the<s>x the"]
    kinds = [" ab\u03b1 12\u3042\u30ab\u4e00 x", "\u0378 \u0378", "a\u0378b", "\u30fc\u30a2\uff71", "\U0001f600a\u0301\u0661"]
    begins = ["abe", "the", "xe", "of", "ittt", "abab", "xab", "thab", "aitb", "add", "\u00e9ab", "ththe", "ab", "th", "x"]
    spoken = ["aab  bc<pad>c", "hello<pad>lo|| world", "don't  .", "a<pad><pad>a"]
    gone = ["\u0301the", "\u0301the of", "\u0301<s>the"]
    marks = [f"a{chr(c)}b" for c in (*range(0x20), 0x7f, 0x8f, 0x9f, 0x1680, *range(0x200a, 0x2011), 0x2028, 0x2029, 0x2581, 0xfeff, 0xfffd)]
    pairs = [before + a + b for before in ("", "void,", ". copy ,, a") for a, b in zip(string.ascii_letters[::2], string.ascii_letters[1::2])]
    for make in (llama3, qwen2, smollm, roberta, clip, llama2, mistral, bert, unigram, t5, words, first, scores, threes,
                 nmt, letters, scripts, wordlevel, ctc, longer):
        if len(sys.argv) > 1 and make.__name__ not in sys.argv:
            continue
        tokenizer = make()
        if isinstance(tokenizer, str): # each digit of its numbers counts
            (HERE / f"{make.__name__}.json").write_text(tokenizer + "\n")
            tokenizer = Tokenizer.from_str(tokenizer)
        else:
            (HERE / f"{make.__name__}.json").write_text(json.dumps(json.loads(tokenizer.to_str()), separators=(",", ":")) + "\n")
        draw = random.Random(7)
        lines = []
        for one in fixed + {"t5": gone, "first": starts, "longer": begins, "scores": pairs, "nmt": marks, "scripts": kinds, "ctc": spoken}.get(make.__name__, []) + [text(draw) for _ in range(90)]:
            ids = tokenizer.encode(one, add_special_tokens=False).ids
            pair = tokenizer.encode(one, "of it")
            case = {"in": one, "ids": ids, "pair": pair.ids, "types": pair.type_ids}
            said = tokenizer.decode(ids, skip_special_tokens=False)
            if (tokenizer.decoder or make in (first, scores, threes, nmt, letters, wordlevel, longer)) and "\ufffd" not in said and make is not clip:
                case["out"] = said
            lines.append(json.dumps(case, separators=(",", ":")))
        (HERE / f"{make.__name__}.cases").write_text("\n".join(lines) + "\n")


main()
