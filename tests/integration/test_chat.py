"""Conversations: the answer is that to the text which transformers' apply_chat_template makes of them; what is typed on a
terminal, and where it no longer fits."""
import json
import os
import pathlib
import struct
import subprocess

import test_generate as generate
from harness import PSCTL, SOURCE, Cluster, run, wait_until
from scenes import Terminal

GOLDEN = pathlib.Path(SOURCE) / "tests/golden"
CASES = {case["name"]: case for case in json.loads((GOLDEN / "chat/cases.json").read_text())}
TOKENS = ["<s>", "</s>", "<|im_start|>", "<|im_end|>"]
ENDS = {"smollm2": "<|im_end|>", "llama2": "</s>"}
HOW = ("--temperature", 0, "--tokens", 6)
generate.VOCAB = 1000 + len(TOKENS)


def speaker(cluster, name, template, context=256):
    """A model of random weights with the golden tokenizer, the templates' tokens, and a chat template."""
    generate.put(cluster, "bare", *(part.replace("tokenizer: bytes", "tokenizer: gpt2") if isinstance(part, str) else part
                                    for part in generate.weights("gpt2", context=context)), "--replace")
    folder = cluster.dir / name
    cluster.psctl("export", "bare", "--format", "hf", "-o", folder)
    words = json.loads((GOLDEN / "tokenizer/tokenizer.json").read_text())
    words["added_tokens"] += [words["added_tokens"][0] | {"id": 1000 + i, "content": t} for i, t in enumerate(TOKENS)]
    (folder / "tokenizer.json").write_text(json.dumps(words))
    about = {"bos_token": "<s>", "eos_token": {"content": "</s>"}}
    if template:
        about["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    cluster.psctl("import", folder, name)


def taught(cluster, folder, question):
    """The tokens of a question as tokenize --template writes them, and those of its answer."""
    (cluster.dir / "qa.jsonl").write_text(json.dumps({"q": question, "a": "yes"}) + "\n")
    cluster.psctl("tokenize", "--template", "own", "--tokenizer", folder, "--prompt", "q", "--response", "a", "--force",
                  cluster.dir / "qa.jsonl", "-o", cluster.dir / "qa.tokens")
    words = [word for word, in struct.iter_unpack("<I", (cluster.dir / "qa.tokens").read_bytes()[64:])]
    return [word & 0x0fffffff for word in words if word >> 31], [word & 0x0fffffff for word in words if not word >> 31]


def a_question_is_asked_in_the_models_own_template():
    with Cluster() as cluster:
        generate.start(cluster)
        alone = set()
        for name in ("smollm2", "llama2 with a prompt"):
            model = name.split()[0]
            speaker(cluster, model, CASES[name]["template"])
            for case in CASES[name]["cases"][:2]:
                (cluster.dir / "prompt").write_text(case["text"])
                want = cluster.psctl_json("generate", model, "--prompt", f"@{cluster.dir}/prompt", *HOW)
                system = [flag for role, text in case["messages"] if role == "system" for flag in ("--system", text)]
                said = cluster.psctl_json("chat", model, "--message", case["messages"][-1][1], *system, *HOW)
                assert (said["tokens"], said["text"]) == (want["tokens"], want["text"]), (said, want)
                assert said["prompt_tokens"] == want["prompt_tokens"] == len(case["ids"]), (said, case)
                assert said["template"] == CASES[name]["row"]
                if len(case["messages"]) == 1:  # and is taught so
                    asked, answer = taught(cluster, cluster.dir / model, case["messages"][0][1])
                    assert asked == case["ids"] and answer[-1] == 1000 + TOKENS.index(ENDS[model]), (asked, answer, case)
                    alone.add(model)
        assert alone, "no case is one question"
        # by way of GGUF, from standard input, and as text
        cluster.psctl("export", "smollm2", "--format", "gguf", "--dtype", "f32", "-o", cluster.dir / "m.gguf")
        cluster.psctl("import", cluster.dir / "m.gguf", "back")
        said = cluster.psctl_json("chat", "smollm2", "-m", "Hello", *HOW)
        assert cluster.psctl_json("chat", "back", "-m", "Hello", *HOW)["tokens"] == said["tokens"]
        words = [str(PSCTL), *cluster.flags(), "chat", "smollm2", *map(str, HOW)]
        assert subprocess.run(words, input=b"Hello\n", capture_output=True, check=True).stdout.decode() == said["text"] + "\n"
        # a token that is typed is text
        odd = "a<|im_end|>"
        text, token = (cluster.psctl_json("chat", "smollm2", "-m", odd, *more, *HOW)["prompt_tokens"]
                       for more in ((), ("--allow-special",)))
        assert text > token == cluster.psctl_json("chat", "smollm2", "-m", "a", *HOW)["prompt_tokens"] + 1, (text, token)

        speaker(cluster, "other", "{% for m in messages %}<|im_start|>{{ m.content | upper }}{% endfor %}")
        speaker(cluster, "none", None)
        for model, flags, why in (("other", (), "the nearest is chatml, without"), ("none", (), "came without a chat template"),
                                  ("smollm2", ("--template", "llama3"), "which the model's tokenizer does not have"),
                                  ("smollm2", ("--template", "x"), "there is no chat template x"),
                                  ("none", ("--template", "mistral", "-m", "x" * 2000), "with what belongs to it the message"),
                                  ("smollm2", ("-m", ""), "the message is empty")):
            done = cluster.psctl("chat", model, "-m", "Hello", *flags, check=False)
            assert done.returncode and why in done.stderr and done.stderr.count("\n") == 1, done.stderr
        assert cluster.psctl_json("chat", "none", "--template", "chatml", "-m", "Hello", *HOW)["tokens"]


def a_conversation_is_typed():
    with Cluster() as cluster:
        generate.start(cluster)
        speaker(cluster, "smollm2", CASES["smollm2"]["template"], context=128)
        terminal = Terminal(cluster, "chat", "smollm2", *HOW)

        def types(line, *shows):
            seen = len(terminal.read())
            os.write(terminal.fd, line)
            wait_until(f"{line} shows {shows}", lambda: all(s in terminal.read()[seen:] for s in (*shows, b"\n> ")))

        wait_until("a prompt", lambda: b"/help\r\n> " in terminal.read())
        types(b"half a line\x03", b"/exit ends the conversation")
        types(b"/system\n", b"You are a helpful AI assistant named SmolLM")
        types(b"/system Be brief.\n")
        types(b"/system\n", b"Be brief.")
        types(b"/what\n", b"/what is no command")
        types(b"Hello\\\nyou\n", b"psctl: the answer was cut after 6 tokens")
        for _ in range(3):
            types(b"and a question of some length that takes its room here\n", b"psctl: the answer was cut")
        assert b"no longer fits into the model's context of 128 tokens" in terminal.text, terminal.text
        types(b"/reset\n")
        os.write(terminal.fd, b"\x04")
        assert terminal.status() == 0, terminal.text
        jobs = cluster.psctl_json("jobs")
        jobs = jobs["jobs"] if isinstance(jobs, dict) else jobs
        assert [j["name"] for j in jobs] == ["chat-smollm2"] * 4, jobs


if __name__ == "__main__":
    run([a_question_is_asked_in_the_models_own_template, a_conversation_is_typed])
