"""psctl as people and scripts use it: exit statuses, one line an error, the bar on a terminal, JSON lines."""
import json
import os
import re
import signal
import subprocess
import sys
import time

from harness import PSCTL, SLOW, SOURCE, Cluster, run, wait_until
from scenes import Proxy, Terminal

sys.path[:0] = [str(SOURCE / "tests/golden/hf")]
import make as hf  # noqa: E402


def fails(cluster, status, text, *arguments, who="alice", **options):
    done = cluster.psctl(*arguments, who=who, check=False, **options)
    assert done.returncode == status, f"{arguments}: status {done.returncode}, expected {status}: {done.stderr}"
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("psctl: "), done.stderr
    assert text in lines[0], f"{arguments}: '{text}' is not in: {lines[0]}"
    assert done.stdout == "", done.stdout


def every_failure_has_one_line_and_its_status():
    with Cluster() as cluster:
        cluster.tiny_data(rows=200)
        cluster.start_server()
        job = cluster.dir / "bad.yaml"
        job.write_text(cluster.tiny_job().replace("epochs", "epocs"))
        fails(cluster, 2, "unknown command 'sumbit'; did you mean 'submit'?", "sumbit", job)
        fails(cluster, 2, "'-7' is neither a job's number nor its name", "watch", "--", "-7")
        fails(cluster, 5, "no job is called 'x'", "watch", "x")
        fails(cluster, 6, f"{job}:9: train.epocs: unknown key; did you mean 'epochs'?", "submit", job)
        two = cluster.psctl("submit", job, "--set", "name=Big", check=False).stderr.splitlines()
        assert len(two) == 2 and two[0].startswith("psctl: submit: --set name=Big: ") and two[1].startswith(
            f"psctl: submit: {job} with --set: train.epocs: "), two
        fails(cluster, 5, "job 77 does not exist", "watch", "77")
        fails(cluster, 5, "nothing.yaml", "submit", cluster.dir / "nothing.yaml")
        fails(cluster, 5, "'none' does not exist", "export", "none", "-o", cluster.dir / "none.safetensors")
        assert not list(cluster.dir.glob("none.safetensors*")), "a failed export has left a file"
        fails(cluster, 4, "role observer may not call", "cancel", "1", who="eve")
        fails(cluster, 6, "cannot be a model's name", "import", job, "No Name")
        fails(cluster, 3, "Connection refused", "--server", "127.0.0.1:1", "jobs")
        other = cluster.dir / "other"
        subprocess.run([PSCTL, "cert", "create-ca", "--cluster", "test", "--dir", other], check=True,
                       capture_output=True)
        subprocess.run([PSCTL, "cert", "create-client", "--role", "admin", "--name", "mallory", "--dir", other],
                       check=True, capture_output=True)
        fails(cluster, 4, "unknown CA", "--ca", other / "ca.pem", "--cert", other / "mallory.pem", "--key",
              other / "mallory.key", "jobs")
        fails(cluster, 7, "exists", "cert", "create-client", "--role", "worker", "--name", "mallory", "--dir", other)
        command = [PSCTL, *cluster.flags(), "workers"]
        for closed in ((0,), (1,), (2,), (0, 1, 2)):
            done = subprocess.run(command, preexec_fn=lambda fds=closed: [os.close(fd) for fd in fds], check=False,
                                  capture_output=True)
            assert done.returncode == 0, f"without the descriptors {closed}: {done.returncode}: {done.stderr}"
        ends = os.pipe()
        os.close(ends[0])
        done = subprocess.run(command, stdout=ends[1], stderr=subprocess.PIPE, check=False)
        os.close(ends[1])
        assert (done.returncode, done.stderr) == (1, b""), "`| head` has what it wanted"
        cluster.cert("create-client", "--role", "observer", "--name", "brief", "--days", "10")
        (cluster.certs / "brief.key").chmod(0o640)
        said = cluster.psctl("jobs", who="brief").stderr.splitlines()
        assert re.fullmatch(r"psctl: warning: private key \S+brief.key can be read by others .*; chmod 600 it", said[0]), said
        assert re.fullmatch(r"psctl: your certificate \S+brief.pem ends on .* UTC, in 9 days; who runs psd .*", said[1]), said


def a_followed_job_ends_with_its_result():
    with Cluster() as cluster:
        cluster.tiny_data()
        cluster.make_client("submitter", "bob")
        cluster.start_server()
        cluster.start_worker("w1")
        path = cluster.dir / "job.yaml"
        path.write_text(cluster.tiny_job())
        done = cluster.psctl("submit", path, "--follow")
        assert "\033" not in done.stdout, "colours in a pipe"
        assert done.stdout.splitlines()[-1].startswith("job 1 tiny is done after "), done.stdout
        assert "epoch 5/5" in done.stdout, done.stdout
        assert cluster.psctl("submit", path, "--set", "name=again", "--set", "train.epochs=1").stdout.startswith("job 2 ")
        assert cluster.wait_job(2)["progress"]["epochs"] == 1
        assert cluster.psctl_json("delete", "again")["deleted"] == "again"
        assert cluster.psctl_json("whoami")["identity"] == "spiffe://test/submitter/alice"
        path.write_text(cluster.tiny_job(name="broken").replace("train-labels", "missing-labels"))
        done = cluster.psctl("submit", path, "--follow", check=False)
        assert done.returncode == 1 and "missing-labels" in done.stderr, done.stderr
        assert (done.stdout + done.stderr).count("missing-labels") == 1, "a failure is told once"

        model, again = cluster.dir / "m.safetensors", cluster.dir / "again.safetensors"
        cluster.psctl("export", "tiny", "-o", model)
        fails(cluster, 7, "--force overwrites it", "export", "tiny", "-o", model)
        cluster.psctl("export", "tiny", "-o", model, "--force")
        cluster.psctl("import", model, "copy")
        piped = subprocess.run([PSCTL, *cluster.flags(), "export", "tiny", "-o", "-"], capture_output=True, check=True)
        assert piped.stdout == model.read_bytes() and b"model tiny is in -" in piped.stderr, piped.stderr
        subprocess.run([PSCTL, *cluster.flags(), "import", "--replace", "-", "copy"], input=piped.stdout, check=True,
                       capture_output=True)
        fails(cluster, 2, "is a folder, which needs a name", "export", "tiny", "--format", "hf", "-o", "-")
        fails(cluster, 6, "'-' is standard input", "predict", "copy", "-")
        fails(cluster, 7, "copy", "import", model, "copy")
        cluster.psctl("export", "copy", "-o", again)
        assert model.read_bytes() == again.read_bytes(), "import and export change the file"
        few = cluster.psctl_json("predict", "copy", cluster.dir / "test-features.gz", "--rows", "2:5")
        assert [p["row"] for p in few["predictions"]] == [2, 3, 4], few
        fails(cluster, 1, "but there are 500 rows", "predict", "copy", cluster.dir / "test-features.gz", "--rows", "500:")
        the_manual_names_what_json_has(cluster)
        with open("/dev/full", "w") as full:
            done = subprocess.run([PSCTL, *cluster.flags(), "predict", "copy", cluster.dir / "test-features.gz", "--rows",
                                   ":3"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 1 and "No space left on device" in done.stderr, (done.returncode, done.stderr)
        text = cluster.psctl("predict", "copy", cluster.dir / "test-features.gz", "--rows", "7").stdout
        assert text.split()[:6] == ["ROW", "CLASS", "PROBABILITY", "NEXT", "7", text.split()[5]], text
        what_an_ended_job_left(cluster, text)
        control_c_ends_a_prediction(cluster)


def a_dry_run_says_what_would_become_of_a_model():
    with Cluster() as cluster:
        cluster.start_server()
        hf.write(cluster.dir / "hf", "llama", tied=True)
        cluster.psctl("import", cluster.dir / "hf", "tiny")
        path = cluster.dir / "small.yaml"
        path.write_text("kind: compress\nname: small\nmodel_name: tiny\n"
                        "compress: {quantise: {scheme: int4, keep: [lm_head]}}\n")
        fails(cluster, 6, "'lm_head' names no tensor of model tiny", "submit", path, "--dry-run")
        fails(cluster, 6, "--set compress.quantise.scheme=int5: 'int5' is not known; did you mean", "submit", path, "--dry-run",
              "--set", "compress.quantise.scheme=int5")
        fails(cluster, 5, "'none' does not exist", "submit", path, "--dry-run", "--set", "model_name=none")
        said = cluster.psctl("submit", path, "--dry-run", "--set", "compress.quantise.keep=[]").stdout
        assert "model.layers.*.mlp.down_proj.weight" in said and "int4/32" in said, said
        plan = cluster.psctl_json("submit", path, "--dry-run", "--set", "compress.quantise.keep=[]")["plan"]
        sizes = {t["name"]: t["bytes"] for t in plan["tensors"]}
        assert sizes["model.layers.0.mlp.down_proj.weight"] == 64 * 3 * (2 + 16), sizes
        assert sizes["model.embed_tokens.weight"] == 1003 * (2 + 64), sizes
        assert plan["tensor_bytes"] == sum(sizes.values()) and plan["tensor_bytes_before"] == 4 * plan["parameters"]
        assert cluster.psctl_json("jobs")["jobs"] == [], "a dry run has submitted something"
        cluster.start_worker("w1")
        cluster.wait_job(cluster.submit(path.read_text().replace(", keep: [lm_head]", "")))
        made = cluster.psctl_json("model", "small")
        assert plan["file_bytes_most"] - made["bytes"] in (0, 8) and plan["tensor_bytes"] == made["tensor_bytes"], (plan, made)
        assert {t["name"]: t["form"] for t in plan["tensors"]} == {t["name"]: t["form"] for t in made["tensors"]}
        assert (made["parent"], cluster.psctl_json("report", "small")["report"]["parent"]["name"]) == ("tiny", "tiny")
        tree = cluster.psctl("models", "--tree").stdout.splitlines()
        assert [line.split()[:2] for line in tree[1:]] == [["tiny", tree[1].split()[1]], ["└", "small"]], tree
        said = cluster.psctl("report", "small").stdout
        assert "model.layers.1.mlp.down_proj.weight" in said and "made of" in said, said
        path.write_text(path.read_text().replace("model_name: tiny", "model_name: small").replace("name: small", "name: less", 1))
        fails(cluster, 7, "model small is compressed already", "submit", path, "--dry-run", "--set", "compress.quantise.keep=[]")
        path.write_text(cluster.tiny_job())
        assert "nothing is wrong with it" in cluster.psctl("submit", path, "--dry-run").stdout


def control_c_ends_a_prediction(cluster):
    """Nobody is left to work on it."""
    cluster.processes[-1].stop()
    predict = subprocess.Popen([PSCTL, *cluster.flags(), "predict", "tiny", cluster.dir / "test-features.gz"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    job = wait_until("the job is there", lambda: [j for j in cluster.psctl_json("jobs")["jobs"] if j["kind"] == "predict"])
    predict.send_signal(signal.SIGINT)
    said = predict.communicate(timeout=20 * SLOW)[1]
    assert predict.returncode == 130 and "goes on" not in said, said
    cluster.wait_job(job[0]["id"], states=("cancelled",))


def names_in(value):
    """The names in a document, but for those of lists and mappings that are documents of other commands."""
    if isinstance(value, list):
        return set().union(*map(names_in, value))
    if not isinstance(value, dict):
        return set()
    below = (names_in(v) for k, v in value.items() if k != "result")
    return set(value).union(*below)


def the_manual_names_what_json_has(cluster):
    page = (SOURCE / "deploy/man/psctl.1").read_text().split(".Sh JSON")[1].split("\n.Sh ")[0]
    entries = {}
    for entry in page.split("\n.It Cm ")[1:]:
        title, text = entry.split("\n", 1)
        entries.update(dict.fromkeys(title.split(" , "), set(re.findall("[a-z_]+", text))))
    entries["jobs"] |= entries["job"]
    entries["models"] |= entries["model"]
    features = cluster.dir / "test-features.gz"
    commands = [["job", "1"], ["jobs"], ["workers"], ["model", "tiny"], ["models"], ["artifacts", "predict-copy"], ["status"],
                ["evaluate", "tiny", features, cluster.dir / "test-labels.gz"], ["predict", "tiny", features], ["whoami"]]
    for command in commands:
        told = names_in(cluster.psctl_json(*command))
        assert told and told <= entries[command[0]], (command, told - entries[command[0]])
    watched = [json.loads(line) for line in cluster.psctl("--output", "json", "watch", "1").stdout.splitlines()]
    assert set().union(*watched) - {"event"} <= entries["watch"], watched


def what_an_ended_job_left(cluster, predictions):
    """Found by the job's name, of several the newest: it predicted row 7."""
    job_id = cluster.psctl_json("jobs", "--limit", 1)["jobs"][0]["id"]
    found = cluster.psctl_json("artifacts", "predict-copy")
    assert found["job_id"] == job_id and [a["name"] for a in found["artifacts"]] == ["predictions.jsonl"], found
    only = [json.loads(line) for line in cluster.psctl("fetch", "predict-copy", "-o", "-").stdout.splitlines()]
    assert [line["row"] for line in only] == [7], "no other row was computed, or kept"
    assert [json.loads(line) for line in cluster.psctl("fetch", job_id, "-o", "/dev/stdout").stdout.splitlines()] == only
    target = cluster.dir / "p.jsonl"
    assert cluster.psctl_json("fetch", job_id, "predictions.jsonl", "-o", target)["bytes"] == target.stat().st_size
    fails(cluster, 2, "no artifact has that name: 1 to 64 letters", "fetch", job_id, "../psd.db", "-o", "x")
    assert cluster.psctl("watch", "predict-copy").stdout.endswith(predictions)
    told = cluster.psctl("watch", "tiny").stdout
    assert "epoch 1 of 5 is done" in told and "epoch 5 of 5 is done" in told and "tiny is done after" in told, told

    fails(cluster, 4, f"job {job_id} belongs to spiffe://test/submitter/alice", "delete-job", job_id, who="bob")
    fails(cluster, 7, "trained the stored model 'tiny'", "delete-job", "tiny")
    assert cluster.psctl_json("delete-artifact", job_id, "predictions.jsonl")["artifacts"] == 1
    fails(cluster, 5, f"job {job_id} has no artifacts", "fetch", job_id)
    assert cluster.psctl_json("delete-job", job_id)["jobs"] == 1
    fails(cluster, 5, f"job {job_id} does not exist", "job", job_id)
    left = len(list((cluster.dir / "state/artifacts").iterdir()))
    assert left >= 1, "of the predictions before"
    assert cluster.psctl_json("prune", "--older-than", "0s", who="bob") == \
        {"jobs": 0, "artifacts": 0, "artifact_bytes": 0}
    assert cluster.psctl_json("prune", "--older-than", "0s")["artifacts"] == left
    assert [j["name"] for j in cluster.psctl_json("jobs")["jobs"]] == ["tiny"], "it trained a model that is there"
    assert not list((cluster.dir / "state/artifacts").iterdir())
    assert '"call":"/psd.v1.Jobs/Prune"' in (cluster.dir / "audit.log").read_text()


def an_interrupted_export_leaves_nothing():
    """psd answers late, and no more when the file is begun."""
    with Cluster() as cluster:
        cluster.start_server()
        hf.write(cluster.dir / "hf", "llama", "F32")
        cluster.psctl("import", cluster.dir / "hf", "tiny")
        proxy = Proxy(cluster.port)
        proxy.delay = 0.2
        export = subprocess.Popen([PSCTL, *cluster.flags(), "--server", f"localhost:{proxy.port}", "export", "tiny", "-o",
                                   cluster.dir / "cut.safetensors"])
        wait_until("the file is begun", lambda: list(cluster.dir.glob("cut.safetensors*")))
        proxy.mode = "mute"
        export.send_signal(signal.SIGINT)
        assert export.wait(20 * SLOW) == 130
        assert not list(cluster.dir.glob("cut.safetensors*"))
        proxy.close()


def control_c_detaches_and_watching_outlives_psd():
    with Cluster() as cluster:
        cluster.tiny_data(rows=20000)
        cluster.start_server()
        cluster.start_worker("w1")
        path = cluster.dir / "job.yaml"
        path.write_text(cluster.tiny_job(epochs=1000, batch=16))
        terminal = Terminal(cluster, "submit", path, "--follow")
        wait_until("the bar", lambda: b"epoch 1/1000" in terminal.read())
        os.write(terminal.fd, b"\x03")
        assert terminal.status() == 130
        assert b"detached: job 1 goes on" in terminal.text and b"psctl watch 1" in terminal.text
        assert terminal.text.rfind(b"\033[?25h") > terminal.text.rfind(b"\033[?25l"), "the cursor is still hidden"
        assert cluster.job(1)["state"] == "running"

        watch = subprocess.Popen([PSCTL, "--server", f"localhost:{cluster.port}", "--ca", cluster.certs / "ca.pem",
                                  "--cert", cluster.certs / "alice.pem", "--key", cluster.certs / "alice.key",
                                  "--output", "json", "--timeout", "20s", "watch", "1"], stdout=subprocess.PIPE, text=True)
        try:
            while json.loads(watch.stdout.readline())["event"] != "job":
                pass
            cluster.server.kill()
            cluster.start_server()
            cluster.psctl("cancel", "1", "--reason", "enough")
            events = [json.loads(line) for line in watch.stdout]
            assert watch.wait(20 * SLOW) == 1
        finally:
            watch.kill()
        last = [e for e in events if e["event"] == "job"][-1]["job"]
        assert last["state"] == "cancelled" and "enough" in last["reason"], last


def the_shell_completes_commands_jobs_and_models():
    with Cluster() as cluster:
        cluster.tiny_data(rows=400)
        cluster.start_server()
        cluster.start_worker("w1")
        cluster.wait_job(cluster.submit(cluster.tiny_job(epochs=1)))
        certs, config = cluster.certs, cluster.dir / "contexts.yaml"
        environment = {**os.environ, "PSCTL_CONFIG": str(config), "PATH": f"{PSCTL.parent}:{os.environ['PATH']}"}
        subprocess.run([PSCTL, "context", "set", "here", "--server", f"localhost:{cluster.port}", "--ca",
                        certs / "ca.pem", "--cert", certs / "alice.pem", "--key", certs / "alice.key"],
                       env=environment, check=True, capture_output=True)

        def complete(*words):
            script = ('source "$0"; compopt() { :; }; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _psctl; '
                      'printf "%s\\n" "${COMPREPLY[@]}"')
            return subprocess.run(["bash", "-c", script, SOURCE / "deploy/completion/psctl.bash", *words],
                                  env=environment, check=True, capture_output=True, text=True).stdout.split()

        assert complete("psctl", "su") == ["submit"]
        assert complete("psctl", "cert", "ins") == ["inspect"]
        assert complete("psctl", "watch", "") == ["1"]
        assert complete("psctl", "export", "") == ["tiny"]
        cluster.psctl("predict", "tiny", cluster.dir / "test-features.gz")
        assert complete("psctl", "fetch", "") == ["2", "1"]
        assert complete("psctl", "fetch", "2", "") == ["predictions.jsonl"]
        assert complete("psctl", "fetch", "1", "") == []
        assert complete("psctl", "jobs", "--st") == ["--state"]
        assert complete("psctl", "--context", "") == ["here"]
        assert complete("psctl", "--output", "j") == ["json"]
        cluster.server.kill()
        begin = time.monotonic()
        assert complete("psctl", "watch", "") == []
        assert time.monotonic() - begin < 3 * SLOW


run([every_failure_has_one_line_and_its_status, a_dry_run_says_what_would_become_of_a_model,
     a_followed_job_ends_with_its_result, an_interrupted_export_leaves_nothing,
     control_c_detaches_and_watching_outlives_psd, the_shell_completes_commands_jobs_and_models])
