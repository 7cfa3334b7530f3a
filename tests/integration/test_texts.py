"""Models of texts: what stands for a text, and which class it is of, is what transformers says (tests/golden/archs/bert.txt);
two workers teach one without classes to tell some apart; and texts that none can be made of."""
import json
import pathlib
import shutil
import sys

import numpy as np
from harness import SOURCE, Cluster, read_safetensors, run

GOLDEN = pathlib.Path(SOURCE) / "tests/golden"
sys.path[:0] = [str(GOLDEN / "hf")]
import make as hf  # noqa: E402

VOCAB, HIDDEN, INNER, CONTEXT = 89, 32, 48, 40
# what `embeds` of the golden file is, with classes behind it
MODEL = (f"{{architecture: bert, vocab_size: {VOCAB}, context_length: {CONTEXT}, hidden_size: {HIDDEN}, num_layers: 2, num_heads: 4, "
         f"intermediate_size: {INNER}, norm_epsilon: 1e-12, tokenizer: wordpiece, classes: [noun, verb]}}")
MASK = (1 << 64) - 1


def variant(name):
    """Its config; each text's class, tokens of the first text, and tokens; loss; answers, a row a text."""
    lines = (GOLDEN / "archs/bert.txt").read_text().splitlines()
    lines = lines[lines.index(f"variant {name}") + 1:]
    texts = [list(map(int, line.split()[1:])) for line in lines[1:6]]
    answers = np.array(lines[7].split()[1:], float).reshape(len(texts), -1)
    return json.loads(lines[0].split(" ", 1)[1]), [(t[0], t[1], t[2:]) for t in texts], float(lines[6].split()[1]), answers


def numbers(name, n):
    """As tests/golden/archs/make.py makes them."""
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = (h ^ byte) * 0x100000001B3 & MASK
    z = np.uint64(h) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(40)).astype(float) / (1 << 24) - 0.5


def shapes(classes):
    """Of a bert of two blocks, by the names of BertModel."""
    def linear(name, rows, columns):
        return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}

    def norm(name):
        return {f"{name}.weight": (HIDDEN,), f"{name}.bias": (HIDDEN,)}

    out = {f"embeddings.{name}_embeddings.weight": (rows, HIDDEN)
           for name, rows in (("word", VOCAB), ("position", CONTEXT), ("token_type", 2))} | norm("embeddings.LayerNorm")
    for block in ("encoder.layer.0.", "encoder.layer.1."):
        for name in ("query", "key", "value"):
            out |= linear(f"{block}attention.self.{name}", HIDDEN, HIDDEN)
        out |= linear(block + "attention.output.dense", HIDDEN, HIDDEN) | norm(block + "attention.output.LayerNorm")
        out |= linear(block + "intermediate.dense", INNER, HIDDEN) | linear(block + "output.dense", HIDDEN, INNER)
        out |= norm(block + "output.LayerNorm")
    out |= linear("pooler.dense", HIDDEN, HIDDEN)
    return out | linear("classifier", classes, HIDDEN) if classes else out


def as_of_2018(tensors):
    """The names of a BertForPreTraining that was TensorFlow's first, and two of its heads' tensors."""
    def older(name):
        stem, end = name.rsplit(".", 1)
        return f"bert.{stem}." + (dict(weight="gamma", bias="beta")[end] if stem.endswith("LayerNorm") else end)
    return {older(name): value for name, value in tensors.items()} | {
        "cls.predictions.bias": (bytes(4 * VOCAB), (VOCAB,)), "cls.seq_relationship.bias": (bytes(8), (2,))}


def put(cluster, name, golden, older=False):
    """A folder as transformers saves one; of its tokenizer "w7" is token 7, and nothing stands around a text."""
    config, *rest = variant(golden)
    classes = config.get("id2label", {}) if config["architectures"] == ["BertForSequenceClassification"] else {}
    tensors = {}
    for tensor, shape in shapes(len(classes)).items():
        gain = 1.0 if len(shape) == 1 and tensor.endswith(".weight") else 0.0
        values = (gain + 0.6 * numbers(tensor, int(np.prod(shape)))).astype("<f4")
        prefix = "bert." if classes and not tensor.startswith("classifier") else ""
        tensors[prefix + tensor] = (values.tobytes(), shape)
    folder = cluster.dir / name
    folder.mkdir()
    hf.write_safetensors(folder / "model.safetensors", as_of_2018(tensors) if older else tensors, "F32")
    (folder / "config.json").write_text(json.dumps(config))
    both = [{"Sequence": {"id": which, "type_id": i}} for i, which in enumerate("AB")]
    (folder / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": {"type": "BertPreTokenizer"}, "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "post_processor": {"type": "TemplateProcessing", "single": both[:1], "pair": both, "special_tokens": {}},
        "model": {"type": "WordPiece", "unk_token": "w0", "continuing_subword_prefix": "##", "max_input_chars_per_word": 20,
                  "vocab": {f"w{i}": i for i in range(VOCAB)}}}))
    said = cluster.psctl("import", folder, name).stderr
    assert said == "psctl: 2 tensors of parts that psd does not have (cls.…) are left out\n" * older, said
    return folder, *rest


def words(tokens):
    return " ".join(f"w{t}" for t in tokens)


def write_lines(path, rows):
    path.write_text("".join(json.dumps(dict(zip(("a", "b", "class"), row))) + "\n" for row in rows))


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def embeds_as_transformers(cluster):
    _, texts, _, answers = put(cluster, "golden", "embeds", older=True)
    alone = [i for i, (_, first, tokens) in enumerate(texts) if first == len(tokens)]
    want = answers[alone]
    lines = cluster.dir / "lines.txt"
    lines.write_text("".join(words(texts[i][2]) + "\n" for i in alone))
    out = cluster.dir / "out.npy"
    cluster.psctl("embed", "golden", lines, "-o", out)
    got = np.load(out)
    assert got.dtype == np.dtype("<f4") and np.abs(got - unit(want)).max() < 2e-6, np.abs(got - unit(want)).max()
    plain = cluster.psctl("embed", "golden", lines, "--no-normalise").stdout
    assert np.abs(np.array([line.split() for line in plain.splitlines()], float) - want).max() < 1e-5
    write_lines(cluster.dir / "lines.jsonl", [(words(texts[i][2]),) for i in alone])
    said = [json.loads(line) for line in cluster.psctl("--output", "json", "embed", "golden", cluster.dir / "lines.jsonl", "--jsonl", "a").stdout.splitlines()]
    assert [row["row"] for row in said] == list(range(len(alone)))
    assert np.abs(np.array([row["embedding"] for row in said]) - got).max() < 1e-6
    # the first token is another thing than the mean, but of a text of one
    cluster.psctl("embed", "golden", lines, "--pool", "cls", "-o", out, "--force")
    same = [bool(np.allclose(a, b, atol=1e-6)) for a, b in zip(np.load(out), got)]
    assert same == [len(texts[i][2]) == 1 for i in alone], same
    # more than a job holds: several are on their way, and rows come in order
    lines.write_text("".join(words(texts[i][2]) + "\n" for i in alone) * 3000)
    before = len(cluster.psctl_json("jobs")["jobs"])
    cluster.psctl("embed", "golden", lines, "-o", out, "--force")
    rows = np.load(out)
    assert rows.shape == (3000 * len(alone), got.shape[1]) and np.abs(rows - np.tile(got, (3000, 1))).max() < 1e-6, rows.shape
    jobs = cluster.psctl_json("jobs")["jobs"]
    jobs = jobs[:len(jobs) - before]
    assert len(jobs) > 2 and all(job["state"] == "done" for job in jobs), jobs
    assert any(a["started_ms"] < b["ended_ms"] for a, b in zip(jobs, jobs[1:])), jobs
    # of a text that is too long the rest is left out
    long = list(range(1, CONTEXT + 20))
    lines.write_text(words(long) + "\n" + words(long[:CONTEXT]) + "\n")
    done = cluster.psctl("embed", "golden", lines, "-o", out, "--force")
    assert "1 of 2 texts have more than 40 tokens: of these the rest is not read" in done.stderr, done.stderr
    rows = np.load(out)
    assert np.array_equal(rows[0], rows[1])


def a_vocab_txt_is_its_tokenizer(cluster):
    """Of a folder without a tokenizer.json: texts get [CLS] and [SEP], tokens 2 and 3 of the same model by another name."""
    folder = cluster.dir / "vocab"
    shutil.copytree(cluster.dir / "golden", folder)
    (folder / "tokenizer.json").rename(cluster.dir / "other.json")
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"w{i}" for i in range(4, VOCAB - 1)), "[MASK]"]))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "MPNetTokenizer"}))
    said = cluster.psctl("import", folder, "vocab").stderr
    assert "psd cannot use the tokenizer: " in said and "tokenizer_class 'MPNetTokenizer'" in said, said
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True}))
    cluster.psctl("import", folder, "vocab", "--replace")
    lines, out = cluster.dir / "vocab.in", cluster.dir / "vocab.npy"
    lines.write_text("W7 w8\nw9[MASK]\n")
    cluster.psctl("embed", "vocab", lines, "-o", out)
    got = np.load(out)
    lines.write_text(words([2, 7, 8, 3]) + "\n" + words([2, 9, VOCAB - 1, 3]) + "\n")
    cluster.psctl("embed", "golden", lines, "-o", out, "--force")
    assert np.array_equal(np.load(out), got)
    # what goes out has the tokenizer.json that it became, which wins over a vocab.txt
    cluster.psctl("export", "vocab", "-o", cluster.dir / "vocab-out", "--format", "hf")
    said = cluster.psctl("inspect", cluster.dir / "vocab-out").stdout
    assert json.loads((cluster.dir / "vocab-out/tokenizer.json").read_text())["model"]["type"] == "WordPiece" and "wordpiece" in said, said
    (cluster.dir / "other.json").rename(folder / "tokenizer.json")
    cluster.psctl("import", folder, "vocab", "--replace")
    cluster.psctl("embed", "vocab", lines, "-o", out, "--force")
    assert np.array_equal(np.load(out), got)


def bad_texts_are_told(cluster):
    bad = cluster.dir / "bad.txt"
    for content, why in ((b"w1\nw2 gr\xfc\xdfe\n", "bad.txt: line 2: it is no UTF-8"), (b"", "bad.txt has no texts"),
                         (b"w1\n\nw2\n", "bad.txt: line 2: it is empty, and so has no tokens")):
        bad.write_bytes(content)
        done = cluster.psctl("embed", "golden", bad, "-o", cluster.dir / "none.npy", check=False)
        assert done.returncode and why in done.stderr and done.stderr.count("\n") == 1, done.stderr
        assert not (cluster.dir / "none.npy").exists()
    bad.write_bytes(b"w1\n")
    cluster.psctl("import", cluster.dir / "gpt2.safetensors", "gpt2", "--model",
                  "{architecture: gpt2, vocab_size: 256, context_length: 8, hidden_size: 8, num_layers: 1, num_heads: 2, tokenizer: bytes}")
    for flags, why in ((("gpt2", bad), "model gpt2 is of architecture gpt2, which embeds no texts"),
                       (("nobody", bad), "model 'nobody' does not exist"),
                       (("golden", bad, "-o", bad, "--force"), "is the input and the output"),
                       (("golden", bad, "--jsonl", "a"), "bad.txt: line 1: ")):
        done = cluster.psctl("embed", *flags, check=False)
        assert done.returncode and why in done.stderr and done.stderr.count("\n") == 1, done.stderr
    for classes, why in (("noun,noun", "--classes noun,noun: 'noun' is there twice"), ("noun,,verb", "--classes noun,,verb: name 2 is empty"),
                         ("noun,", "name 2 is empty"), ("", "name 1 is empty")):
        done = cluster.psctl("tokenize", "--jsonl", "a", "--label", "class", "--classes", classes, "-o", cluster.dir / "none", bad, check=False)
        assert done.returncode == 2 and why in done.stderr and done.stderr.count("\n") == 1, done.stderr
    tokens = tokenize(cluster, cluster.dir / "golden", [("w1", "", "noun")], "one", "--classes", "noun,verb")
    for command in ("evaluate", "predict"):
        done = cluster.psctl(command, "golden", tokens, check=False)
        assert done.returncode and "model golden tells no classes apart" in done.stderr and done.stderr.count("\n") == 1, done.stderr
    pairs = tokenize(cluster, cluster.dir / "golden", [("w1", "w2", "noun")], "twos", "--classes", "noun,verb", "--pair", "b")
    job = cluster.submit(f"""kind: train
name: short
model: {MODEL}
data: {{format: tokens, sequence_length: 3, train: {{tokens: {pairs}}}}}
train: {{epochs: 1, batch_size: 1, optimizer: {{name: adamw, learning_rate: 0.002}}}}
""")
    assert "twos.tokens has pairs of texts, and data.sequence_length is 3: " in cluster.wait_job(job, ("failed",))["reason"]
    done = cluster.psctl("generate", "golden", "--prompt", "w1", check=False)
    assert "model golden is of architecture bert, which says no text" in done.stderr, done.stderr


def tokenize(cluster, folder, rows, name, *flags):
    write_lines(cluster.dir / f"{name}.jsonl", rows)
    path = cluster.dir / f"{name}.tokens"
    cluster.psctl("tokenize", cluster.dir / f"{name}.jsonl", "--tokenizer", folder, "--jsonl", "a", "--label", "class", *flags, "-o", path)
    return path


def tells_classes_as_transformers(cluster):
    folder, texts, loss, answers = put(cluster, "pairs", "classes")
    rows = [(words(tokens[:first]), words(tokens[first:]), which) for which, first, tokens in texts]
    path = tokenize(cluster, folder, rows, "pairs", "--pair", "b")
    found = cluster.psctl_json("evaluate", "pairs", path)
    assert abs(found["loss"] - loss) < 1e-5, (found, loss)
    said = np.array([row["probabilities"] for row in cluster.psctl_json("predict", "pairs", path)["predictions"]])
    e = np.exp(answers)
    assert np.abs(said - e / e.sum(1, keepdims=True)).max() < 1e-5, said


def two_workers_teach(cluster):
    """Which of two words a text has in it; the stored model has no classes."""
    rng = np.random.default_rng(1)
    paths = []
    for name, n in (("train", 400), ("test", 100)):
        rows = []
        for _ in range(n):
            text, which = list(rng.integers(10, VOCAB, rng.integers(2, 12))), int(rng.integers(0, 2))
            text[rng.integers(0, len(text))] = 3 + which
            rows.append((words(text), "", ("noun", "verb")[which]))
        paths.append(tokenize(cluster, cluster.dir / "golden", rows, name, "--classes", "noun,verb"))
    job = cluster.submit(f"""kind: train
name: taught
initialize_from: golden
model: {MODEL}
data: {{format: tokens, sequence_length: 16, train: {{tokens: {paths[0]}}}, test: {{tokens: {paths[1]}}}}}
train: {{epochs: 6, batch_size: 20, optimizer: {{name: adamw, learning_rate: 0.002}}, consistency: {{mode: bsp}}}}
workers: 2
min_workers: 2
""")
    cluster.wait_job(job)
    found = cluster.psctl_json("evaluate", "taught", paths[1])
    assert found["accuracy"] > 0.95, found
    # adapters beside its blocks learn the other way round; the job's file is what PEFT reads
    rows = [json.loads(line) for line in (cluster.dir / "train.jsonl").read_text().splitlines()]
    other = tokenize(cluster, cluster.dir / "golden", [(row["a"], "", "verb" if row["class"] == "noun" else "noun") for row in rows],
                     "other", "--classes", "noun,verb")
    before = cluster.psctl_json("evaluate", "taught", other)["loss"]
    job = cluster.submit(f"""kind: train
name: turned
initialize_from: taught
model: {MODEL}
data: {{format: tokens, sequence_length: 16, train: {{tokens: {other}}}}}
train: {{epochs: 4, batch_size: 20, lora: {{rank: 4, targets: [query, value]}}, optimizer: {{name: adamw, learning_rate: 0.01}}}}
workers: 1
""")
    cluster.wait_job(job)
    assert cluster.psctl_json("evaluate", "turned", other)["loss"] < before / 4, before
    cluster.psctl("fetch", job, "adapter_model.safetensors", "-o", cluster.dir / "adapter")
    names = set(read_safetensors(cluster.dir / "adapter")[1])
    assert len(names) == 8 and "base_model.model.bert.encoder.layer.1.attention.self.value.lora_B.weight" in names, names
    out = cluster.dir / "taught"
    cluster.psctl("export", "taught", "--format", "hf", "-o", out)
    config = json.loads((out / "config.json").read_text())
    assert config["architectures"] == ["BertForSequenceClassification"] and config["id2label"] == {"0": "noun", "1": "verb"}, config
    cluster.psctl("import", out, "again")
    assert cluster.psctl_json("evaluate", "again", paths[1])["loss"] == found["loss"]


def texts_are_embedded_and_classes_told_apart():
    with Cluster() as cluster:
        cluster.start_server()
        for name in ("w1", "w2"):
            cluster.start_worker(name, data=cluster.dir)
        embeds_as_transformers(cluster)
        a_vocab_txt_is_its_tokenizer(cluster)
        small = {"wte.weight": (256, 8), "wpe.weight": (8, 8), "ln_f.weight": (8,), "ln_f.bias": (8,)}
        small |= {f"h.0.{name}": shape for name, shape in {
            "ln_1.weight": (8,), "ln_1.bias": (8,), "attn.c_attn.weight": (8, 24), "attn.c_attn.bias": (24,), "attn.c_proj.weight": (8, 8),
            "attn.c_proj.bias": (8,), "ln_2.weight": (8,), "ln_2.bias": (8,), "mlp.c_fc.weight": (8, 32), "mlp.c_fc.bias": (32,),
            "mlp.c_proj.weight": (32, 8), "mlp.c_proj.bias": (8,)}.items()}
        hf.write_safetensors(cluster.dir / "gpt2.safetensors", {n: (np.zeros(s, "<f4").tobytes(), s) for n, s in small.items()}, "F32")
        bad_texts_are_told(cluster)
        tells_classes_as_transformers(cluster)
        two_workers_teach(cluster)


if __name__ == "__main__":
    run([texts_are_embedded_and_classes_told_apart])
