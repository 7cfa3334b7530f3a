"""Makes the golden files of this folder: tokenizers as GGUF files and SentencePiece models have them, and what the
independent programs make of texts.

    pip download --no-deps --no-binary :all: llama-cpp-python   # its vendor/llama.cpp/models has ggml-vocab-*.gguf
    pip install llama-cpp-python gguf sentencepiece numpy         # made with 0.3.36, 0.19.0, 0.2.3
    python3 make.py MODELS                                       # in this folder

NAME.gguf is what is left of ggml-vocab-NAME.gguf when all tokens go that the texts do not need; NAME.model was trained here.
NAME.cases has a line for each text: its bytes in hex, the ids that llama.cpp or sentencepiece gives for it, and `|` and the
ids with what that program puts around it.
"""
import ctypes
import io
import pathlib
import random
import sys

import gguf
import llama_cpp
import sentencepiece

HERE = pathlib.Path(__file__).parent
GPL = pathlib.Path("/usr/share/common-licenses/GPL-3").read_text()
WORDS = GPL.split()
SCRIPTS = [(0x21, 0x7e), (0xc0, 0x17f), (0x391, 0x3c9), (0x410, 0x44f), (0x5d0, 0x5ea), (0x4e00, 0x4eff), (0x1f600, 0x1f64f)]
NAMES = ["qwen2", "starcoder", "falcon", "deepseek-llm", "llama-bpe", "gpt-2", "llama-spm", "gemma-4", "bert-bge"]
NORMAL, UNKNOWN, CONTROL, ADDED, UNUSED, BYTE = range(1, 7)


def texts():
    draw = random.Random(2)
    fixed = ["", " ", "  ", "\n", " a", "a ", "\n\n\nb", "   a    b  ", "don't DON'T", "3.14159 1234567", "a\tb\r\nc", "x<s>y"]
    for _ in range(40):
        out = []
        for _ in range(draw.randint(1, 5)):
            kind = draw.random()
            if kind < .6:
                out.append(" ".join(draw.choice(WORDS[:300]) for _ in range(draw.randint(1, 4))))
            elif kind < .8:
                first, last = draw.choice(SCRIPTS)
                out.append("".join(chr(draw.randint(first, last)) for _ in range(draw.randint(1, 3))))
            else:
                out.append(draw.choice([" ", "  ", "\n", "\n\n", "\t", "\r\n", "    ", str(draw.randint(0, 99999))]))
            out.append(draw.choice(["", " "]))
        fixed.append("".join(out))
    return fixed


@llama_cpp.llama_log_callback
def quiet(level, text, user):
    pass


def write_cases(name, ids, around, without="\0"):
    lines = [f"{t.encode().hex()} {' '.join(map(str, ids(t)))} | {' '.join(map(str, around(t)))}\n" for t in texts()
             if without not in t]
    (HERE / f"{name}.cases").write_text("".join(lines))


class Vocab:
    """What a file lists."""

    def __init__(self, path):
        self.reader = gguf.GGUFReader(path)
        self.tokens = [bytes(p) for p in self.items("tokens")]
        self.kinds = [int(p[0]) for p in self.items("token_type")]
        self.scores = [float(p[0]) for p in self.items("scores")] if self.field("scores") else None
        self.merges = [bytes(p).split(b" ", 1) for p in self.items("merges")] if self.field("merges") else None
        self.model = self.field("model").contents()

    def field(self, key):
        return self.reader.fields.get("tokenizer.ggml." + key)

    def items(self, key):
        field = self.field(key)
        return [field.parts[i] for i in field.data]

    def merge(self, pair):
        return pair[0] + pair[1]


def needed(vocab, used):
    """Texts of the tokens that are used, and of those that they are made of."""
    known = set(vocab.tokens)
    made = {}
    for pair in vocab.merges or []:
        made.setdefault(vocab.merge(pair), pair)
    out, todo = set(), [vocab.tokens[i] for i in used]
    while todo:
        token = todo.pop()
        if token in out or token not in known:
            continue
        out.add(token)
        if vocab.merges is not None:
            todo += made.get(token, [])
        elif vocab.scores:
            todo += [part for i in range(1, len(token)) for part in (token[:i], token[i:])]
    return out


def cut(name, folder):
    path = f"{folder}/ggml-vocab-{name}.gguf"
    vocab, model = Vocab(path), llama_cpp.Llama(path, vocab_only=True, verbose=False)
    special = {}
    for key in ("bos", "eos", "unknown", "padding", "seperator", "cls", "mask"):
        if vocab.field(key + "_token_id"):
            special[key + "_token_id"] = vocab.field(key + "_token_id").contents()
    if "cls_token_id" in special:  # by which llama.cpp goes
        special["bos_token_id"] = special["cls_token_id"]
    used = {i for t in texts() for i in model.tokenize(t.encode(), add_bos=False, special=True)}
    keep = needed(vocab, used | set(special.values()))
    keep |= {t for t, k in zip(vocab.tokens, vocab.kinds) if k == BYTE or len(t.decode(errors="replace")) == 1 and ord(t.decode()) < 0x144}
    ids = [i for i, t in enumerate(vocab.tokens) if t in keep]
    place = {i: n for n, i in enumerate(ids)}
    writer = gguf.GGUFWriter(HERE / f"{name}.gguf", "llama")
    writer.add_tokenizer_model(vocab.model)
    if vocab.field("pre"):
        writer.add_tokenizer_pre(vocab.field("pre").contents())
    writer.add_token_list([vocab.tokens[i] for i in ids])
    writer.add_token_types([vocab.kinds[i] for i in ids])
    if vocab.scores:
        writer.add_token_scores([vocab.scores[i] for i in ids])
    if vocab.merges is not None:
        writer.add_token_merges([b" ".join(p).decode() for p in vocab.merges if vocab.merge(p) in keep and keep.issuperset(p)])
    for key, i in special.items():
        writer.add_uint32("tokenizer.ggml." + key, place[i])
    for key in ("add_bos_token", "add_eos_token", "add_space_prefix"):
        if vocab.field(key):
            writer.add_bool("tokenizer.ggml." + key, bool(vocab.field(key).contents()))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    model = llama_cpp.Llama(str(HERE / f"{name}.gguf"), vocab_only=True, verbose=False)
    write_cases(name, lambda t: model.tokenize(t.encode(), add_bos=False, special=True),
                lambda t: model.tokenize(t.encode(), add_bos=True, special=True))


def train(name, around, **options):
    out = io.BytesIO()
    lines = [line for line in GPL.split("\n") + texts() if line.strip()]
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=out, minloglevel=2, num_threads=1,
                                             character_coverage=1.0, **options)
    (HERE / f"{name}.model").write_bytes(out.getvalue())
    model = sentencepiece.SentencePieceProcessor(model_proto=out.getvalue())
    write_cases(name, model.encode, lambda t: around(model, model.encode(t)), "<s>")  # which is text to it


def seeds():
    """Of the fuzz targets."""
    corpus = HERE.parent.parent / "fuzz" / "corpus"
    kinds = {"llama": [2, 3, 3, 6, 1, 1, 1, 4], "t5": [2, 3, 3, 6, 1, 1, 1, 4], "bert": [2, 3, 3, 1, 1, 1, 1, 5]}
    tokens = ["<unk>", "<s>", "</s>", "<0x41>", "\u2581", "a", "\u2581a", "<tool>"]
    for model, types in kinds.items():
        writer = gguf.GGUFWriter(corpus / "gguf" / f"words-{model}", "llama")
        writer.add_tokenizer_model(model)
        writer.add_token_list(tokens)
        writer.add_token_types(types)
        writer.add_token_scores([0, 0, 0, 0, -2, -3, -1, 0])
        for key, i in (("unknown", 0), ("bos", 1), ("eos", 2), ("seperator", 2)):
            writer.add_uint32(f"tokenizer.ggml.{key}_token_id", i)
        if model == "t5":
            writer.add_precompiled_charsmap(bytes(8))
            writer.add_bool("tokenizer.ggml.remove_extra_whitespaces", True)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    (corpus / "sentencepiece").mkdir(exist_ok=True)
    for name, (kind, rules) in {"bpe": ("bpe", "identity"), "unigram": ("unigram", "identity")}.items():
        out = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["a b ab aab ab b"] * 9), model_writer=out, minloglevel=2, num_threads=1, model_type=kind,
            vocab_size=266 if kind == "bpe" else 9, byte_fallback=kind == "bpe", normalization_rule_name=rules,
            user_defined_symbols=["<t>"], hard_vocab_limit=False)
        (corpus / "sentencepiece" / name).write_bytes(out.getvalue())


if __name__ == "__main__":
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
    for each in NAMES:
        cut(each, sys.argv[1])
    rules = HERE / "rules.tsv"
    rules.write_text("C0\t41\nC1\t41\n30 30\t31 30 30\n9\t20\nA\t20\n")
    train("bpe", lambda m, ids: [m.bos_id(), *ids], model_type="bpe", vocab_size=700, byte_fallback=True, split_digits=True,
          normalization_rule_name="identity", remove_extra_whitespaces=False)
    train("unigram", lambda m, ids: [*ids, m.eos_id()], model_type="unigram", vocab_size=500, pad_id=0, eos_id=1, unk_id=2,
          bos_id=-1, normalization_rule_tsv=str(rules), user_defined_symbols=["<tool>"])
    rules.unlink()
    seeds()
