"""What language models say: greedily the tokens that numpy picks in float64, by a seed the same again, on from where
a lost worker was; and what it says of a model."""
import json
import pathlib
import re
import signal
import subprocess
import sys
import time

import grpc
import numpy as np
from harness import PSCTL, SANITIZED, SOURCE, Cluster, as_it_ships, read_safetensors, run, stubs, wait_until
from language import gpt2, llama, numpy_loss, write_tokens
from scenes import Terminal

GOLDEN = pathlib.Path(SOURCE) / "tests/golden"
sys.path[:0] = [str(GOLDEN / "hf")]
import make as hf  # noqa: E402

VOCAB, HEADS, KV_HEADS = 256, 4, 2
NUMPY = {"gpt2": gpt2, "llama": llama}


def weights(architecture, context=64, hidden=32, layers=2, seed=1):
    """Random tensors, large enough that logits are far apart, and the config that says what they are."""
    rng = np.random.default_rng(seed)
    inner, keys = 2 * hidden, hidden // HEADS * KV_HEADS
    if architecture == "gpt2":
        shapes = {"wte.weight": (VOCAB, hidden), "wpe.weight": (context, hidden)}
        block = {"ln_1.weight": (hidden,), "ln_1.bias": (hidden,), "attn.c_attn.weight": (hidden, 3 * hidden),
                 "attn.c_attn.bias": (3 * hidden,), "attn.c_proj.weight": (hidden, hidden),
                 "attn.c_proj.bias": (hidden,), "ln_2.weight": (hidden,), "ln_2.bias": (hidden,),
                 "mlp.c_fc.weight": (hidden, inner), "mlp.c_fc.bias": (inner,), "mlp.c_proj.weight": (inner, hidden),
                 "mlp.c_proj.bias": (hidden,)}
        shapes |= {f"h.{i}.{name}": shape for i in range(layers) for name, shape in block.items()}
        shapes |= {"ln_f.weight": (hidden,), "ln_f.bias": (hidden,)}
    else:
        shapes = {"model.embed_tokens.weight": (VOCAB, hidden)}
        block = {"input_layernorm": (hidden,), "self_attn.q_proj": (hidden, hidden),
                 "self_attn.k_proj": (keys, hidden), "self_attn.v_proj": (keys, hidden),
                 "self_attn.o_proj": (hidden, hidden), "post_attention_layernorm": (hidden,),
                 "mlp.gate_proj": (inner, hidden), "mlp.up_proj": (inner, hidden), "mlp.down_proj": (hidden, inner)}
        shapes |= {f"model.layers.{i}.{name}.weight": shape for i in range(layers) for name, shape in block.items()}
        shapes |= {"model.norm.weight": (hidden,), "lm_head.weight": (VOCAB, hidden)}
    tensors = {name: rng.normal(0, 0.4, shape).astype("<f4") for name, shape in shapes.items()}
    kv = f"num_kv_heads: {KV_HEADS}, " if architecture == "llama" else ""
    return tensors, (f"{{architecture: {architecture}, vocab_size: {VOCAB}, context_length: {context}, "
                     f"hidden_size: {hidden}, num_layers: {layers}, num_heads: {HEADS}, {kv}"
                     f"intermediate_size: {inner}, tokenizer: bytes}}")


def put(cluster, name, tensors, config, *more):
    path = cluster.dir / f"{name}.safetensors"
    hf.write_safetensors(path, {n: (v.tobytes(), v.shape) for n, v in tensors.items()}, "F32")
    cluster.psctl("import", path, name, "--model", config, *more)


def greedy(architecture, tensors, prompt, n):
    """The n tokens that a float64 forward pass over the whole text picks; their lead must be beyond all rounding."""
    w = {name: values.astype(np.float64) for name, values in tensors.items()}
    tokens = list(prompt)
    for _ in range(n):
        logits = NUMPY[architecture](w, np.array(tokens))[-1]
        second, first = np.sort(logits)[-2:]
        assert first - second > 1e-4, "a tie: take another seed"
        tokens.append(int(logits.argmax()))
    return tokens[len(prompt):]


def start(cluster, workers=("w1",), extra=""):
    cluster.start_server(extra)
    return [cluster.start_worker(name) for name in workers]


def say(cluster, name, prompt, *flags, **options):
    return cluster.psctl_json("generate", name, "--prompt", prompt, *flags, **options)


@as_it_ships
def the_likeliest_tokens_are_numpys():
    with Cluster() as cluster:
        worker, = start(cluster)
        for architecture in NUMPY:
            tensors, config = weights(architecture)
            put(cluster, architecture, tensors, config)
            for prompt in ("the first prompt", "another, after it"):
                said = say(cluster, architecture, prompt, "--tokens", 40, "--temperature", 0)
                assert said["tokens"] == greedy(architecture, tensors, prompt.encode(), 40), said
                assert said["text"] == bytes(said["tokens"]).decode(errors="replace"), said
                assert (said["ended"], said["prompt_tokens"]) == ("length", len(prompt)), said
            assert worker.text().count(f"serving model={architecture}") == 1, "the second prompt found it loaded"
        tensors, config = weights("llama", seed=2)
        put(cluster, "llama", tensors, config, "--replace")
        said = say(cluster, "llama", "the first prompt", "--tokens", 40, "--temperature", 0)
        assert said["tokens"] == greedy("llama", tensors, b"the first prompt", 40), "the model that was replaced"

        # replaced by one of the same shapes and other heads between the task and the worker's fetching of the model
        worker.signal(signal.SIGSTOP)
        job_id = cluster.submit(job("gpt2", 40, prompt=b"the first prompt", more=", temperature: 0"))
        assert cluster.job(job_id)["state"] == "running", "the task is on its way"
        old, config = weights("gpt2")
        put(cluster, "gpt2", *weights("gpt2", seed=3), "--replace")
        put(cluster, "gpt2", weights("gpt2", seed=4)[0], config.replace("heads: 4", "heads: 2"), "--replace")
        assert files(cluster, "gpt2") == 2, "the job's version and today's"
        worker.signal(signal.SIGCONT)
        assert cluster.wait_job(job_id)["result"]["tokens"] == greedy("gpt2", old, b"the first prompt", 40), "its own"
        wait_until("the version that nobody needs is gone", lambda: files(cluster, "gpt2") == 1)


def a_context_that_is_full_ends_it():
    with Cluster() as cluster:
        start(cluster)
        tensors, config = weights("llama")
        put(cluster, "llama", tensors, config)
        for length, prompt in ((1, "x"), (64, "y" * 64)):
            said = say(cluster, "llama", prompt, "--tokens", 100, "--temperature", 0)
            assert said["ended"] == "context" and len(said["tokens"]) == 65 - length, said
            if length == 1:
                plain = cluster.psctl("generate", "llama", "--prompt", prompt, "--tokens", 100, "--temperature", 0)
                assert plain.stdout == said["text"] + "\n"
                assert plain.stderr == "psctl: the text ends after 64 tokens: the model's context is full\n"
            if length == 64:
                assert said["tokens"] == greedy("llama", tensors, prompt.encode(), 1)
        refused = cluster.psctl("generate", "llama", "--prompt", "z" * 65, check=False)
        assert refused.returncode != 0
        assert "the prompt has 65 tokens, the model's context is 64" in refused.stderr, refused.stderr


@as_it_ships
def a_seed_says_the_same_again():
    with Cluster() as cluster:
        start(cluster)
        put(cluster, "gpt2", *weights("gpt2"))
        how = ("--tokens", 30, "--temperature", 1.5, "--top-k", 100, "--top-p", 0.95, "--seed")
        one, same, other = (say(cluster, "gpt2", "once", *how, seed) for seed in (7, 7, 8))
        assert one["tokens"] == same["tokens"] != other["tokens"]
        text = cluster.psctl("generate", "gpt2", "--prompt", "once", *how, 7).stdout
        assert text == one["text"] + "\n"
        terminal = Terminal(cluster, "generate", "gpt2", "--prompt", "once", *how, 7)
        assert terminal.status() == 0
        line = rb"[^\n]\r\n30 tokens, [0-9.]+ a second, the first after [0-9.]+ s\r\n"
        assert re.search(line, terminal.text), terminal.text
        (cluster.dir / "prompt.txt").write_text("once")
        text = cluster.psctl("generate", "gpt2", "--prompt", f"@{cluster.dir}/prompt.txt", *how, 7).stdout
        assert text == one["text"] + "\n"
        free = [say(cluster, "gpt2", "once", "--tokens", 30) for _ in range(2)]
        assert free[0]["tokens"] != free[1]["tokens"] and free[0]["seed"] != free[1]["seed"], "a seed of their own"
        again = say(cluster, "gpt2", "once", "--tokens", 30, "--seed", free[0]["seed"])
        assert again["tokens"] == free[0]["tokens"]


def files(cluster, model):
    """How many files psd keeps of it."""
    return len(list((cluster.dir / "state/models").glob(f"{model}.*.safetensors")))


def slow_model(cluster, *more, **options):
    """Some milliseconds a token."""
    put(cluster, "slow", *weights("gpt2", context=8192, hidden=256, layers=6, **options), *more)


def watch_until(cluster, job_id, tokens):
    jobs, services = stubs()["jobs"]
    with cluster.channel() as channel:
        seen = []
        for event in services.JobsStub(channel).Watch(jobs.WatchJobRequest(job_id=job_id), timeout=60):
            if event.HasField("output"):
                assert event.output.first == len(seen), "output has no hole and comes once"
                seen += event.output.tokens
            if len(seen) >= tokens:
                return seen
    return seen


def job(name, tokens, seed=1, prompt=(104, 105), more=""):
    return f"""kind: generate
name: {name}
model_name: {name}
generate: {{prompt: {list(prompt)}, max_tokens: {tokens}, seed: {seed}{more}}}
"""


LONG_TEXT = 200 if SANITIZED else 600  # tokens, of a slow model: there is a middle


def the_next_worker_goes_on_where_one_was_lost():
    with Cluster() as cluster:
        first, = start(cluster, extra="jobs: {heartbeat: 500ms, lease_timeout: 2s}")
        slow_model(cluster)
        stubs()  # made here, which takes as long as many tokens
        whole = cluster.wait_job(cluster.submit(job("slow", LONG_TEXT)))["result"]["tokens"]
        assert len(whole) == LONG_TEXT
        job_id = cluster.submit(job("slow", LONG_TEXT))
        said = watch_until(cluster, job_id, 20)
        first.kill()
        assert 20 <= len(said) < LONG_TEXT and said == whole[:len(said)]
        slow_model(cluster, "--replace", seed=9)
        cluster.psctl("delete", "slow")
        cluster.server.kill()
        cluster.start_server("jobs: {heartbeat: 500ms, lease_timeout: 2s}")
        assert files(cluster, "slow") == 1, "the job's version, which it goes on with"
        cluster.start_worker("w2")
        seen = watch_until(cluster, job_id, LONG_TEXT)
        done = cluster.wait_job(job_id)
        assert seen == whole == done["result"]["tokens"], "nothing twice, nothing else"
        wait_until("the deleted model is gone", lambda: files(cluster, "slow") == 0)


def a_restart_of_psd_is_not_seen():
    with Cluster() as cluster:
        start(cluster)
        slow_model(cluster)
        how = ["generate", "slow", "--prompt", "hi", "--tokens", str(LONG_TEXT), "--seed", "5"]
        whole = cluster.psctl_json(*how)["tokens"]
        talk = subprocess.Popen([str(PSCTL), *cluster.flags(), *how], stdout=subprocess.PIPE, bufsize=0)
        text = talk.stdout.read(20)
        cluster.server.kill()
        cluster.start_server()
        text += talk.communicate(timeout=60)[0]
        assert talk.returncode == 0 and text.decode() == bytes(whole).decode(errors="replace") + "\n", text


def who_interrupts_it_ends_the_job():
    with Cluster() as cluster:
        start(cluster)
        slow_model(cluster)
        talk = subprocess.Popen([str(PSCTL), *cluster.flags(), "generate", "slow", "--prompt", "go", "--tokens", "8000"],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert talk.stdout.read(10), "text comes while it is made"
        talk.send_signal(signal.SIGINT)
        _, error = talk.communicate(timeout=30)
        assert talk.returncode == 130, (talk.returncode, error)
        page = cluster.psctl_json("jobs")
        last = page["jobs"][0] if isinstance(page, dict) else page[0]
        ended = cluster.wait_job(last["id"], states=("cancelled",))
        assert "cancelled by" in ended["reason"], ended
        said = say(cluster, "slow", "go", "--tokens", 5)
        assert len(said["tokens"]) == 5, "and the worker is there for the next"


def a_stock_client_reads_along_or_reads_the_result():
    with Cluster() as cluster:
        start(cluster)
        put(cluster, "gpt2", *weights("gpt2"))
        jobs, services = stubs()["jobs"]
        with cluster.channel() as channel:
            psd = services.JobsStub(channel)
            job_id = psd.Submit(jobs.SubmitRequest(spec=job("gpt2", 50, more=", temperature: 0"))).job_id
            seen, last = [], None
            for event in psd.Watch(jobs.WatchJobRequest(job_id=job_id), timeout=60):
                seen += event.output.tokens
                last = event.job if event.HasField("job") else last
            result = json.loads(last.result)
            assert len(result["tokens"]) == 50 and result["tokens"][:len(seen)] == seen, (seen, result)
            assert last.state == jobs.JOB_STATE_DONE and result["ended"] == "length" and result["prompt_tokens"] == 2
            stop = result["tokens"][10]
            job_id = psd.Submit(jobs.SubmitRequest(spec=job("gpt2", 50, more=f", temperature: 0, stop: [{stop}]"))).job_id
            stopped = cluster.wait_job(job_id)["result"]
            assert stopped["ended"] == "stop", stopped
            assert stopped["tokens"] == result["tokens"][:result["tokens"].index(stop)]
            for more, why in ((", top_p: 0", "generate.top_p"), (", stop: [-1]", "generate.stop"),
                              (", max_tokens: 1", "twice"), (", words: 1", "unknown key")):
                try:
                    psd.Submit(jobs.SubmitRequest(spec=job("gpt2", 5, more=more)))
                    raise AssertionError(f"taken: {more}")
                except grpc.RpcError as error:
                    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT and why in error.details(), error.details()
            try:
                psd.Submit(jobs.SubmitRequest(spec=job("gpt2", 5, prompt=(1, 256))))
                raise AssertionError("taken: a token that is none")
            except grpc.RpcError as error:
                assert "generate.prompt[1]: token 256, the vocabulary has 256" in error.details(), error.details()
        with cluster.channel("eve") as channel:
            try:
                services.JobsStub(channel).Submit(jobs.SubmitRequest(spec=job("gpt2", 5)))
                raise AssertionError("an observer may not")
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.PERMISSION_DENIED
        audit = (cluster.dir / "audit.log").read_text()
        assert re.search(r"alice.*Jobs/Submit", audit) or "Submit" in audit, audit[-2000:]


def letters():
    """GPT-2's letters for bytes (openai/gpt-2, encoder.py)."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {chr(b): b for b in keep}
    return table | {chr(256 + n): b for n, b in enumerate(b for b in range(256) if b not in keep)}


def decode(tokens):
    about, table = json.loads((GOLDEN / "tokenizer/tokenizer.json").read_text()), letters()
    words = {id: bytes(table[c] for c in word) for word, id in about["model"]["vocab"].items()}
    words |= {added["id"]: added["content"].encode() for added in about["added_tokens"]}
    return b"".join(words.get(id, b"") for id in tokens).decode(errors="replace")


def explained(cluster, *arguments):
    """The ids of the prompt of an explain job, as it keeps them."""
    job = cluster.psctl_json("explain", "bare", "--method", "gxi", "--baseline", "zero", *arguments)["job_id"]
    path = cluster.dir / f"explain-{job}.safetensors"
    cluster.psctl("fetch", job, "explain.safetensors", "-o", path)
    return [int(id) for id in read_safetensors(path)[1]["rows/tokens"].ravel()]


def taught(cluster, *arguments):
    """Those of a prompt in a token file, where bit 31 marks what is given."""
    path = cluster.dir / "taught.tokens"
    cluster.psctl("tokenize", "--force", "--prompt", "q", "--response", "a", "-o", path, *arguments)
    words = np.frombuffer(path.read_bytes()[64:], "<u4")
    return [int(word & 0xfffffff) for word in words if word >> 31]


def a_prompt_is_the_same_ids_for_every_command(cluster, begin):
    """What a post_processor puts around a text stands there for explain and in training data as it does for generate."""
    text = "the quick brown<|endoftext|>"
    (cluster.dir / "pairs.jsonl").write_text(json.dumps({"q": text, "a": " fox"}))
    plain, around = ("--tokenizer", GOLDEN / "tokenizer/tokenizer.json"), ("--tokenizer", cluster.dir / "around.json")
    bare = explained(cluster, "--prompt", text, *plain)
    assert bare[-1] == begin and len(bare) > 3, bare
    for flags, want in ((around, [begin, *bare]), ((*around, "--no-special"), bare)):
        said = say(cluster, "bare", text, *flags, "--tokens", 1)
        assert said["prompt_tokens"] == len(want), said
        assert explained(cluster, "--prompt", text, *flags) == want
        assert taught(cluster, "--added", *flags, cluster.dir / "pairs.jsonl") == want
    spelled = explained(cluster, "--prompt", text, *around, "--no-added")
    assert spelled == taught(cluster, *around, cluster.dir / "pairs.jsonl") != [begin, *bare], spelled
    assert explained(cluster, "--prompt", "", *around) == [begin]
    assert "is for --prompt and --response" in cluster.psctl("tokenize", "--no-special", "-o", cluster.dir / "taught.tokens",
                                                            cluster.dir / "pairs.jsonl", check=False).stderr


def a_tokenizer_stays_with_the_models_made_of_it():
    with Cluster() as cluster:
        start(cluster)
        tokenizer = GOLDEN / "tokenizer/tokenizer.json"
        config = "{architecture: gpt2, vocab_size: 1000, context_length: 32, hidden_size: 32, num_layers: 1, " \
                 "num_heads: 4, tokenizer: gpt2}"
        (cluster.dir / "text.txt").write_text("the quick brown fox jumps over the lazy dog. " * 40)
        cluster.psctl("tokenize", "--tokenizer", tokenizer, "-o", cluster.dir / "text.tokens", cluster.dir / "text.txt")
        train = f"""kind: train
name: NAME
model: {config}
data: {{format: tokens, sequence_length: 16, train: {{tokens: {cluster.dir}/text.tokens}}}}
train: {{epochs: 1, batch_size: 8, optimizer: {{name: adamw, learning_rate: 0.001}}}}
"""
        cluster.wait_job(cluster.submit(train.replace("NAME", "bare")))
        refused = cluster.psctl("generate", "bare", "--prompt", "the", check=False)
        assert refused.returncode != 0 and "model bare came without a tokenizer" in refused.stderr, refused.stderr
        how = ("--tokens", 12, "--seed", 3)
        bare = say(cluster, "bare", "the quick", "--tokenizer", tokenizer, *how)
        assert bare["text"] == decode(bare["tokens"]), bare
        # the special tokens around a text stand around a prompt, too
        around = json.loads(tokenizer.read_text())
        begin = around["added_tokens"][0]
        around["post_processor"] = {
            "type": "TemplateProcessing", "pair": [],
            "single": [{"SpecialToken": {"id": "begin", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "special_tokens": {"begin": {"id": "begin", "ids": [begin["id"]], "tokens": [begin["content"]]}}}
        (cluster.dir / "around.json").write_text(json.dumps(around))
        begun = say(cluster, "bare", "the quick", "--tokenizer", cluster.dir / "around.json", *how)
        written = say(cluster, "bare", begin["content"] + "the quick", "--tokenizer", tokenizer, *how)
        assert begun["prompt_tokens"] == bare["prompt_tokens"] + 1 and begun["tokens"] == written["tokens"], begun
        alone = say(cluster, "bare", "the quick", "--tokenizer", cluster.dir / "around.json", "--no-special", *how)
        assert alone["tokens"] == bare["tokens"], alone
        a_prompt_is_the_same_ids_for_every_command(cluster, begin["id"])

        cluster.psctl("export", "bare", "-o", cluster.dir / "bare.safetensors")
        metadata, tensors = read_safetensors(cluster.dir / "bare.safetensors")
        assert "tokenizer.json" not in metadata
        cluster.psctl("export", "bare", "--format", "hf", "-o", cluster.dir / "hf")
        (cluster.dir / "hf/tokenizer.json").write_bytes(tokenizer.read_bytes())
        cluster.psctl("import", cluster.dir / "hf", "full")
        assert say(cluster, "full", "the quick", *how)["tokens"] == bare["tokens"], "its own tokenizer"
        # what is said ends at any of the ids that came with the model, and by way of GGUF
        stop = bare["tokens"][4]
        (cluster.dir / "hf/generation_config.json").write_text(json.dumps({"eos_token_id": [70000, 999, stop]}))
        cluster.psctl("import", cluster.dir / "hf", "ends")
        cluster.psctl("export", "ends", "--format", "gguf", "--dtype", "f32", "-o", cluster.dir / "ends.gguf")
        cluster.psctl("import", cluster.dir / "ends.gguf", "ends-back")
        for model in ("ends", "ends-back"):
            ends = say(cluster, model, "the quick", *how)
            assert ends["ended"] == "stop" and ends["tokens"] == bare["tokens"][:bare["tokens"].index(stop)], (stop, ends)
        # a tokenizer of one id more than the embedding has rows: of use until that one comes
        larger = json.loads(tokenizer.read_text())
        larger["added_tokens"].append(larger["added_tokens"][0] | {"id": 1000, "content": "<pad>"})
        (cluster.dir / "hf/generation_config.json").unlink()
        (cluster.dir / "hf/tokenizer.json").write_text(json.dumps(larger))
        done = cluster.psctl("import", cluster.dir / "hf", "larger")
        assert "the tokenizer has 1001 ids, vocab_size is 1000" in done.stderr, done.stderr
        assert say(cluster, "larger", "the quick", *how)["tokens"] == bare["tokens"]
        done = cluster.psctl("generate", "larger", "--prompt", "a<pad>", check=False)
        assert "token 1000, the vocabulary has 1000" in done.stderr, done.stderr
        assert say(cluster, "larger", "a<pad>", "--no-added", *how)["prompt_tokens"] > 2, "text like any other"
        assert say(cluster, "larger", "@@ a", "--no-added", *how)["prompt_tokens"] == 2, "@@ stands for @"
        done = cluster.psctl("export", "larger", "--format", "gguf", "-o", cluster.dir / "larger.gguf")
        assert "the tokenizer does not go into the file: it has 1001 ids" in done.stderr, done.stderr
        for text, status in (("the lazy dog " * 20, 0), ("the lazy dog " * 20 + "<pad>", 6)):
            (cluster.dir / "few.txt").write_text(text)
            cluster.psctl("tokenize", "--tokenizer", cluster.dir / "hf", "--added", "--force", "-o", cluster.dir / "few.tokens",
                          cluster.dir / "few.txt")
            done = cluster.psctl("evaluate", "larger", cluster.dir / "few.tokens", check=False)
            assert (done.returncode == 0) == (status == 0), done.stderr
            assert not status or "but model.vocab_size is 1000, and token " in done.stderr, done.stderr

        cluster.psctl("export", "full", "--format", "gguf", "--dtype", "f32", "-o", cluster.dir / "full.gguf")
        cluster.psctl("import", cluster.dir / "full.gguf", "back")
        back = say(cluster, "back", "the quick", *how)
        assert (back["tokens"], back["text"]) == (bare["tokens"], bare["text"]), "by way of a GGUF file"

        unsaid = train.replace(f"model: {config}\n", "").replace("NAME", "tuned")
        cluster.wait_job(cluster.submit(unsaid + "initialize_from: full\n"))
        assert cluster.psctl_json("model", "tuned")["config"] == cluster.psctl_json("model", "full")["config"]
        cluster.psctl("tokenize", "-o", cluster.dir / "bytes.tokens", cluster.dir / "text.txt")
        other = unsaid.replace("text.tokens", "bytes.tokens") + "initialize_from: full\n"
        reason = cluster.wait_job(cluster.submit(other), ("failed",))["reason"]
        assert "bytes.tokens: made with another tokenizer than that of model full" in reason, reason
        tuned = say(cluster, "tuned", "the quick", *how)
        assert tuned["text"] == decode(tuned["tokens"]), tuned
        cluster.psctl("export", "tuned", "-o", cluster.dir / "tuned.safetensors")
        metadata, _ = read_safetensors(cluster.dir / "tuned.safetensors")
        assert metadata["tokenizer.json"] == tokenizer.read_text(), "kept by training"
        assert "architecture: gpt2" in metadata["psd.model"]


def what_cannot_be_said_is_one_clear_line():
    with Cluster() as cluster:
        start(cluster)
        put(cluster, "gpt2", *weights("gpt2"))
        hf.write_safetensors(cluster.dir / "mlp.safetensors",
                             {"layers.0.weight": (bytes(64), (4, 4)), "layers.0.bias": (bytes(16), (4,))}, "F32")
        cluster.psctl("import", cluster.dir / "mlp.safetensors", "mlp", "--model", "{architecture: mlp, layers: [4, 4]}")
        for arguments, status, text in (
                (("gpt2",), 2, "--prompt is missing"),
                (("gpt2", "--prompt", ""), None, "the prompt is empty"),
                (("gpt2", "--prompt", "x", "--top-p", "2"), 2, "--top-p: 2 is out of range"),
                (("gpt2", "--prompt", "x", "--temperature", "warm"), 2, "--temperature: "),
                (("gpt2", "--prompt", "x", "--tokens", "0"), 2, "--tokens: 0 is out of range"),
                (("gpt2", "--prompt", "@/nonexistent"), None, "/nonexistent"),
                (("mlp", "--prompt", "x"), None, "architecture mlp, which says no text"),
                (("nobody", "--prompt", "x"), None, "model 'nobody' does not exist")):
            done = cluster.psctl("generate", *arguments, check=False)
            assert done.returncode != 0 and status in (None, done.returncode), (arguments, done.returncode, done.stderr)
            assert text in done.stderr and done.stderr.count("\n") == 1 or status == 2, (arguments, done.stderr)
            assert text in done.stderr and done.stdout == "", (arguments, done.stderr)
        jobs = cluster.psctl_json("jobs")
        assert not (jobs["jobs"] if isinstance(jobs, dict) else jobs), "nothing was submitted"


@as_it_ships
def perplexity_is_the_exponential_of_the_loss():
    with Cluster() as cluster:
        start(cluster)
        write_tokens(cluster)
        tensors, config = weights("gpt2")
        put(cluster, "gpt2", tensors, config)
        # numpy's rows are of 16 tokens; those of a model that was not trained here are of its context
        cluster.psctl("export", "gpt2", "--format", "hf", "-o", cluster.dir / "hf")
        found = cluster.psctl_json("evaluate", "gpt2", cluster.dir / "test.tokens")
        assert abs(found["perplexity"] / np.exp(found["loss"]) - 1) < 1e-12 and "accuracy" in found, found
        assert re.search(r"perplexity +[0-9.]+\n", cluster.psctl("evaluate", "gpt2", cluster.dir / "test.tokens").stdout)
        short = f"""kind: evaluate
name: short
model_name: gpt2
data: {{format: tokens, sequence_length: 16, test: {{tokens: {cluster.dir}/test.tokens}}}}
"""
        progress = cluster.wait_job(cluster.submit(short))["progress"]
        loss, _ = numpy_loss("gpt2", tensors)
        assert abs(progress["test_perplexity"] / np.exp(loss) - 1) < 1e-4, (progress, loss)


if __name__ == "__main__":
    run([the_likeliest_tokens_are_numpys, a_context_that_is_full_ends_it, a_seed_says_the_same_again,
         the_next_worker_goes_on_where_one_was_lost, a_restart_of_psd_is_not_seen, who_interrupts_it_ends_the_job,
         a_stock_client_reads_along_or_reads_the_result, a_tokenizer_stays_with_the_models_made_of_it,
         what_cannot_be_said_is_one_clear_line, perplexity_is_the_exponential_of_the_loss])
