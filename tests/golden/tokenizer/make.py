"""Makes the golden files of this folder with PyPI's `tokenizers` (0.23.3), which is independent of psd.

    python3 make.py        # in this folder

A byte-level BPE of 1000 tokens is trained on the text of the GNU GPL (Debian package base-files) and written as
tokenizer.json (merges as pairs) and as vocab.json + merges.txt; cases.json holds texts with the ids that
`tokenizers` makes of them: plain, with added tokens found in the text, and with add_prefix_space.
"""
import json
import pathlib
import random

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).parent
SOURCE = pathlib.Path("/usr/share/common-licenses/GPL-3")
END = "<|endoftext|>"

FIXED = [
    "", " ", "  ", "\n", "\n\n", " \n", "Hello world", "Hello, world!", "hello  world", "  two before", "after  ",
    "it's they're I've I'm we'll he'd don't", "IT'S DON'T", "'s 't 're 've 'm 'll 'd", "'", "''s", " 's", "'r", "'l",
    "rock'n'roll", "3.14159 and 1,000,000", "a1b2c3", "x=y+z;", "...", "... ...", "\t\tindented\n\tcode\r\n", "a\n b",
    "a\n\n b", "a \n b", "a  \n", "\u00a0nbsp\u00a0\u00a0x", "\u3000ideographic\u3000space", "a\u2003\u2003b", "\u0085x",
    "a\u0085\u0085b", "a\u200bb", "a\u180eb", "a\u001cb\u001d \u001fc", "a\u2028\u2029b", "a\u202f\u205fb", "\u1680x",
    "na\u00efve caf\u00e9", "e\u0301 combining", "\u00aa\u00ba\u00b2\u00b3\u00b9\u00bc\u00bd", "\u0660\u0661\u0662",
    "\u4e2d\u6587\u5b57\u7b26 \u65e5\u672c\u8a9e\u304b\u306a", "\ud55c\uad6d\uc5b4", "\u0420\u0443\u0441\u0441\u043a\u0438\u0439",
    "\u0391\u03b2\u03b3", "\u05e2\u05d1\u05e8\u05d9\u05ea", "\u0e44\u0e17\u0e22", "\u0939\u093f\u0928\u094d\u0926\u0940",
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 emoji", "\U0001d538\U0001d7d8", "\u2160\u2164 \u2460\u24ff",
    "\ufeffbom", "\ufffd", "\u0000zero\u0000", "\u007f\u0080\u009f\u00ad", "snake_case_name", "C:\\path\\to", "a\u00d7b\u00f7c",
    "This program is distributed in the hope that it will be useful, but WITHOUT ANY WARRANTY; without even the "
    "implied warranty of MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE.",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "=" * 200, " " * 77 + "x",
    f"one{END}two", f"{END}", f"{END}{END}", f" {END} ", f"a{END}\n\nb  {END}  c", "<|endoftext", "<|endoftext|", "<|<|endoftext|>",
    "tag <x> and <xx>!", "<xx><x><xxx>",
]
ALPHABET = list("abcdefgzABCZ0123789 \n\t'.,;!?-_()\"sdtmrevl") + [
    "\u00e9", "\u00a0", "\u3000", "\u0301", "\u0660", "\u4e2d", "\U0001f600", "\u200b", "\u2028", "\u0085", "\u00bd", "\u0bf0",
    " ", " ", "the", "'s", "'ll", "\r\n", "\u10fb", "\u2fa1", "\U00010330", "\u1e9e", "\U000e0020", "\u0378", "\ud7a3",
]


def texts():
    yield from FIXED
    draw = random.Random(3)
    for _ in range(150):
        yield "".join(draw.choice(ALPHABET) for _ in range(draw.randint(1, 40)))
    # a sample of all of Unicode: which are letters, numbers, spaces
    points = [cp for cp in range(0x80, 0x110000) if not 0xd800 <= cp <= 0xdfff]
    for _ in range(40):
        yield "".join("a " + chr(draw.choice(points[:0x3400] if i % 2 else points)) + "1" for i in range(12))


def main():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=998, special_tokens=[END], show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train([str(SOURCE)], trainer)
    tokenizer.model.save(str(HERE))
    tokenizer.add_tokens([AddedToken("<x>", normalized=False), AddedToken("<xx>", normalized=False)])
    (HERE / "tokenizer.json").write_text(tokenizer.to_str(pretty=False))

    bare = Tokenizer.from_str(tokenizer.to_str())
    described = json.loads(bare.to_str())
    described["added_tokens"] = []
    bare = Tokenizer.from_str(json.dumps(described))
    described["pre_tokenizer"]["add_prefix_space"] = True
    prefixed = Tokenizer.from_str(json.dumps(described))
    cases = [{"text": text, "plain": bare.encode(text).ids, "added": tokenizer.encode(text).ids,
              "prefixed": prefixed.encode(text).ids} for text in texts()]
    (HERE / "cases.json").write_text("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")


main()
