"""psd as an operator has it: signals, draining, the metrics page, systemd's protocols, files and logs."""
import fcntl
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import stat
import subprocess
import tempfile
import time

from harness import PSCTL, PSD, PSWORKER, SLOW, Cluster, as_it_ships, run, stubs, wait_until
from scenes import SLOW_LEASES, Scene, job_text, metrics, said_of, updates_of, wait_share, workers


MONITORING = pathlib.Path(__file__).parents[2] / "deploy/monitoring"


def get(cluster, path, method="GET"):
    """(status, content type, text) of a page of the second listener."""
    connection = http.client.HTTPConnection("127.0.0.1", cluster.metrics_port, timeout=10 * SLOW)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read().decode()
    finally:
        connection.close()


NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(rf"({NAME})(\{{{LABEL}(?:,{LABEL})*\}})? (\S+)")


def parse_exposition(text):
    """Prometheus' text format 0.0.4, strictly: ({name: type}, {name + labels: number})."""
    assert text.endswith("\n"), "the last line has no end"
    kinds, helped, samples, current = {}, set(), {}, None
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            assert re.fullmatch(NAME, name) and name not in helped and len(line.split(" ", 3)) == 4, line
            helped.add(name)
        elif line.startswith("# TYPE "):
            name, kind = line.split(" ")[2:]
            assert name not in kinds and kind in ("counter", "gauge", "histogram"), line
            kinds[name] = kind
            current = name
        else:
            found = SAMPLE.fullmatch(line)
            assert found, f"no sample: {line}"
            parts = ("_bucket", "_sum", "_count") if kinds[current] == "histogram" else ("",)
            assert found[1] in [current + part for part in parts], f"{found[1]} stands under {current}"
            key = found[1] + (found[2] or "")
            assert key not in samples, f"{key} twice"
            samples[key] = float(found[3])
            if kinds[current] == "counter":
                assert samples[key] >= 0, line
    assert helped == set(kinds)
    for name, kind in kinds.items():
        assert (kind == "counter") == name.endswith("_total"), f"{name} is a {kind}"
    # OpenMetrics takes the suffix off: a gauge and a counter of one base name are one metric twice
    assert len({name.removesuffix("_total") for name in kinds}) == len(kinds), "two names that collide"
    return kinds, samples


def promtool(*arguments, **more):
    """What promtool says; None where it is not installed."""
    try:
        return subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=60 * SLOW, **more)
    except FileNotFoundError:
        return None


def the_metrics_page_is_prometheus_text_and_its_counters_grow():
    with Scene() as cluster:
        cluster.begin("log: {level: debug}")
        status, content, text = get(cluster, "/metrics")
        assert status == 200 and content == "text/plain; version=0.0.4"
        kinds, before = parse_exposition(text)
        job_id = cluster.submit(job_text(cluster, "counted", more="checkpoint: {every: 200ms}"))
        labels = f'{{job_id="{job_id}",job_name="counted"}}'
        wait_share(cluster, job_id, 0.3)
        with cluster.wire.slowly():
            wait_until("a checkpoint", lambda: metrics(cluster).get(f"psd_job_checkpoint_timestamp_seconds{labels}"))
            _, during = parse_exposition(get(cluster, "/metrics")[2])
        assert during['psd_jobs{state="running"}'] == 1 and during["psd_leases"] >= 1
        assert during[f"psd_job_updates_total{labels}"] > 0 and during["psd_parameter_bytes"] > 0
        assert 0 < during[f"psd_job_samples_total{labels}"] < during[f"psd_job_planned_samples{labels}"]
        assert during[f"psd_job_loss{labels}"] > 0 and during[f"psd_job_workers{labels}"] >= 1
        assert time.time() - 60 < during[f"psd_job_checkpoint_timestamp_seconds{labels}"] <= time.time()
        cluster.wait_job(job_id)
        _, after = parse_exposition(get(cluster, "/metrics")[2])
        for name, kind in kinds.items():
            if kind == "counter" and not name.startswith("psd_job_"):
                for key in (k for k in before if k.split("{")[0] == name):
                    assert before[key] <= during[key] <= after[key], f"{key} went back"
        for name in ("psd_pushes_total", "psd_pulls_total", "psd_calls_total", "psd_received_bytes_total",
                     "psd_sent_bytes_total", "psd_tasks_sent_total", "psd_tasks_done_total", "psd_checkpoints_total",
                     "psd_checkpoint_bytes_total", "psd_audit_lines_total", "psd_connections_total"):
            assert after[name] > before[name], f"{name} did not grow"
        assert after["psd_pushes_total"] - before["psd_pushes_total"] == updates_of(cluster, job_id)
        assert after["psd_certificate_expiry_timestamp_seconds"] > time.time() > after["process_start_time_seconds"]
        assert after["psd_ca_certificate_expiry_timestamp_seconds"] > after["psd_certificate_expiry_timestamp_seconds"]
        for worker in ("w1", "w2"):
            until = after[f'psd_worker_certificate_expiry_timestamp_seconds{{worker="{worker}"}}']
            assert abs(until - time.time() - 90 * 86400) < 3600, until
        assert after["process_cpu_seconds_total"] > before["process_cpu_seconds_total"] > 0
        assert after["process_resident_memory_bytes"] > 1e6 and after["process_open_fds"] > 3
        push = 'grpc_service="psd.v1.Parameters",grpc_method="Push"'
        pushes = after[f"grpc_server_started_total{{{push}}}"]
        assert pushes == after["psd_pushes_total"]
        assert pushes == after[f'grpc_server_handled_total{{{push},grpc_code="OK"}}']
        assert pushes == after[f'grpc_server_handling_seconds_bucket{{{push},le="+Inf"}}']
        assert 0 < after[f"grpc_server_handling_seconds_sum{{{push}}}"] < 60 * pushes
        checked = promtool("check", "metrics", input=text)
        assert checked is None or (checked.returncode, checked.stdout + checked.stderr) == (0, ""), checked


def names_in(expressions):
    """The metrics that PromQL expressions name, without the suffixes of a histogram's parts."""
    return {re.sub("(_seconds)_(bucket|sum|count)$", r"\1", name)
            for text in expressions for name in re.findall(r"\b(?:psd|grpc_server|process)_[a-z_]+", text)}


@as_it_ships
def the_dashboard_and_the_alerts_ask_for_what_there_is():
    with Cluster() as cluster:
        cluster.start_server()
        kinds, _ = parse_exposition(get(cluster, "/metrics")[2])
    dashboard = json.loads((MONITORING / "psd-dashboard.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    asked += [re.match(r"label_values\((\w+),", variable["query"]["query"])[1]
              for variable in dashboard["templating"]["list"] if variable["type"] == "query"]
    rules = re.findall(r"^ +expr: (.*)", (MONITORING / "psd-alerts.yaml").read_text(), re.M)
    assert len(asked) > 30 and len(rules) > 10
    assert names_in(asked + rules) <= set(kinds), names_in(asked + rules) - set(kinds)
    for arguments in (["check", "config", "prometheus.yml"], ["test", "rules", "psd-alerts-test.yaml"]):
        said = promtool(*arguments, cwd=MONITORING)
        assert said is None or said.returncode == 0, said.stdout + said.stderr


def other_pages_and_methods():
    with Cluster() as cluster:
        cluster.start_server()
        assert get(cluster, "/healthz")[0] == 200 and get(cluster, "/readyz")[::2] == (200, "ready\n")
        assert get(cluster, "/metrics", "HEAD")[::2] == (200, "")
        assert get(cluster, "/metrics", "POST")[0] == 405
        status, _, text = get(cluster, "/")
        assert status == 404 and "/metrics" in text
        assert get(cluster, "/../../etc/passwd")[0] == 404


def draining_gives_out_no_tasks():
    with Scene() as cluster:
        cluster.begin(SLOW_LEASES)
        job_id = cluster.submit(job_text(cluster, "drained"))
        wait_share(cluster, job_id, 0.1)
        with cluster.wire.slowly():
            assert cluster.psctl_json("drain", who="root")["draining"]
        assert get(cluster, "/readyz")[::2] == (503, "draining\n") and get(cluster, "/healthz")[0] == 200
        wait_until("the tasks that were out are done", lambda: metrics(cluster)["psd_leases"] == 0)
        done = cluster.job(job_id)["progress"]["samples"]
        time.sleep(0.5)
        assert cluster.job(job_id)["progress"]["samples"] == done and cluster.job(job_id)["state"] == "running"
        assert {w["state"] for w in workers(cluster).values()} == {"draining"}
        assert cluster.psctl_json("status")["workers"] == len(workers(cluster)), "they are attached all the same"
        assert cluster.psctl("drain", check=False).returncode == 4, "not for a submitter"
        (cluster.dir / "other.yaml").write_text(job_text(cluster, "other"))
        refused = cluster.psctl("submit", cluster.dir / "other.yaml", check=False)
        assert refused.returncode == 3 and "psd is draining or about to stop and takes no new jobs" in refused.stderr
        assert [j["id"] for j in cluster.psctl_json("jobs")["jobs"]] == [job_id]
        cluster.server.kill()
        cluster.start_server(SLOW_LEASES)
        assert get(cluster, "/readyz")[::2] == (503, "draining\n"), "what was answered holds over a crash"
        cluster.psctl("drain", "--off", who="root")
        assert get(cluster, "/readyz")[0] == 200
        cluster.wait_job(job_id)


def a_pool_of_one_thread_is_slow_and_never_stuck():
    """Clocks that wait, merging, checkpoints and files share the one thread: none may wait for another in the queue."""
    with Scene() as cluster:
        cluster.begin(SLOW_LEASES + "\nloops: 1\nthreads: 1", mode="bsp")
        sync = cluster.submit(job_text(cluster, "sync", "bsp", more="checkpoint: {every: 100ms}"))
        free = cluster.submit(job_text(cluster, "free", "asp", workers=1, epochs=1, more="checkpoint: {every: 100ms}"))
        wait_share(cluster, sync, 0.1)
        watching = subprocess.Popen([PSCTL, *cluster.flags(), "watch", str(sync)], stdout=subprocess.DEVNULL)
        while any(cluster.job(job_id)["state"] == "running" for job_id in (sync, free)):
            cluster.psctl("checkpoint", who="root")
            cluster.psctl("jobs")
            if cluster.psctl_json("models")["models"]:
                cluster.psctl("export", "--force", "-o", cluster.dir / "free.safetensors", "free")
        cluster.wait_job(sync)
        cluster.wait_job(free)
        assert watching.wait(20 * SLOW) == 0
        threads = len(list(pathlib.Path(f"/proc/{cluster.server.popen.pid}/task").iterdir()))
        assert threads < 8, f"{threads}: main, loop, metrics and one of the pool are four"


def sigterm_writes_a_checkpoint_and_the_next_psd_goes_on():
    with Scene() as cluster:
        cluster.begin(SLOW_LEASES + "\ncheckpoint: {interval: 0s}\nshutdown_grace: 5s")
        job_id = cluster.submit(job_text(cluster, "stopped"))
        wait_share(cluster, job_id, 0.3)
        with cluster.wire.slowly():
            done = cluster.job(job_id)["progress"]["samples"]
        begin = time.monotonic()
        assert cluster.server.stop() == 0
        assert time.monotonic() - begin < 5 * SLOW + 2, "longer than its grace"
        assert list((cluster.dir / f"state/checkpoints/{job_id}").glob("checkpoint-[0-9]*")), "no checkpoint at the end"
        cluster.start_server(SLOW_LEASES)
        assert cluster.job(job_id)["progress"]["samples"] >= done, "it went back"
        job = cluster.wait_job(job_id)
        assert job["progress"]["samples"] == job["progress"]["samples_total"]
        assert job["progress"]["test_accuracy"] > 0.92
        assert any("goes on from its checkpoint" in line for line in said_of(cluster, job_id))


def sigterm_to_an_idle_psd_is_quick():
    """Attached workers and a watch do not hold it up, and workers say no more than that it has gone."""
    with Scene() as cluster:
        cluster.begin("shutdown_grace: 10s\n", ["w1"])
        wait_until("the worker is there", lambda: "w1" in workers(cluster))
        begin = time.monotonic()
        assert cluster.server.stop() == 0
        assert time.monotonic() - begin < 5 * SLOW, "an idle psd waited for its grace"
        worker = cluster.processes[1]
        wait_until("the worker knows", lambda: "not connected" in worker.text())
        assert worker.stop() == 0
        assert "Bad file descriptor" not in worker.text(), worker.text()


def cpu_seconds(process):
    """What all threads of a daemon have used so far."""
    threads = pathlib.Path(f"/proc/{process.popen.pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


@as_it_ships
def psd_at_rest_uses_no_cpu_time_nor_with_a_call_now_and_then():
    with Cluster() as cluster:
        cluster.start_server()
        messages, services = stubs()["jobs"]
        with cluster.channel() as channel:
            jobs = services.JobsStub(channel)
            for _ in range(1000):  # one right after the other, so that loops begin to poll
                jobs.List(messages.ListJobsRequest(), timeout=10 * SLOW)
            for pause, calls, share in ((3, 1, 0.03), (0.05, 60, 0.1)):
                before, began = cpu_seconds(cluster.server), time.monotonic()
                for _ in range(calls):
                    jobs.List(messages.ListJobsRequest(), timeout=10 * SLOW)
                    time.sleep(pause)
                used, took = cpu_seconds(cluster.server) - before, time.monotonic() - began
                assert used < share * SLOW * took, f"{used:.3f} s of CPU in {took:.1f} s, {calls} calls"


def sighup_reads_certificates_log_level_and_audit_file_again():
    with Cluster() as cluster:
        server = cluster.start_server("log: {level: info}")
        until = cluster.psctl_json("status", who="root")["certificate_expires_ms"]
        config = cluster.dir / "psd.yaml"
        config.write_text(config.read_text().replace("log: {level: info}", "log: {level: debug}"))
        audit = cluster.dir / "audit.log"
        audit.rename(cluster.dir / "audit.log.1")
        cluster.cert("create-server", "--name", "psd", "--host", "localhost", "--host", "127.0.0.1", "--days", "9",
                     "--force")
        server.signal(signal.SIGHUP)
        wait_until("it is reloaded", lambda: "reloaded certificates, audit log, log level" in server.text())
        new = cluster.psctl_json("status", who="root")["certificate_expires_ms"]
        assert new < until, "the new certificate ends sooner"
        assert re.search(r"warning tls: certificate \S+/psd.pem ends on .* in 8 days: issue a new one \(psctl cert create-server\)",
                         server.text()), server.text()
        assert "in force after a restart" not in server.text(), "nothing of the kind has changed"
        wait_until("debug lines", lambda: " debug " in server.text())
        cluster.psctl("cancel", "1", who="eve", check=False)
        wait_until("the audit log is a new file", lambda: audit.exists() and "eve" in audit.read_text())

        # each by itself: a bad certificate holds up neither the audit log nor the level, nor the other way round
        audit.rename(cluster.dir / "audit.log.2")
        key = (cluster.certs / "psd.key").read_bytes()
        (cluster.certs / "psd.key").write_text("no key")
        config.write_text(config.read_text().replace("level: debug", "level: info"))
        seen = len(server.text())
        server.signal(signal.SIGHUP)
        wait_until("the others are reloaded", lambda: "reloaded audit log, log level" in server.text()[seen:])
        assert re.search("certificates not reloaded, going on with what was there: private key .*psd.key: holds no PEM",
                         server.text()[seen:]), server.text()[seen:]
        assert audit.exists()
        seen = len(server.text())
        cluster.psctl("jobs")
        assert " debug " not in server.text()[seen:], "the level is not taken"
        (cluster.certs / "psd.key").write_bytes(key)

        # what a reload does not take is named, in the answer and in the log; --listen wins over listen, which so has not changed
        text = config.read_text()
        config.write_text(text.replace("psd.key}", f"psd.key, crl: {cluster.dir}/no.crl}}") + "limits: {streams: 99}\n")
        told = "changed, in force after a restart: tls.crl, limits.streams\n"
        assert cluster.psctl("reload", who="root").stdout.endswith(told)
        assert cluster.psctl_json("reload", who="root")["needs_restart"] == ["tls.crl", "limits.streams"]
        assert "changed in the configuration, in force after a restart: tls.crl, limits.streams\n" in server.text()
        assert "no.crl" not in server.text(), "a name, not what it says"
        config.write_text(text)
        assert cluster.psctl_json("reload", who="root")["needs_restart"] == []

        config.write_text(config.read_text() + "unknwon: 1\n")
        refused = cluster.psctl("reload", who="root", check=False)
        assert refused.returncode == 6, refused
        assert "log level not reloaded: " in refused.stderr and "unknwon" in refused.stderr, refused
        assert "reloaded: certificates, audit log" in refused.stderr, refused
        assert cluster.psctl_json("status", who="root")["certificate_expires_ms"] == new, "still the good one"


class Notify:
    """The service manager's end of sd_notify."""

    def __init__(self):
        self.dir = tempfile.TemporaryDirectory(prefix="psd-notify.")
        self.path = self.dir.name + "/socket"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.got = []  # (when, line)

    def lines(self, wait=0.05):
        self.socket.settimeout(wait)
        try:
            while True:
                for line in self.socket.recv(4096).decode().split("\n"):
                    self.got.append((time.monotonic(), line))
        except TimeoutError:
            pass
        return [line for _, line in self.got]

    def close(self):
        self.socket.close()
        self.dir.cleanup()


def check_notify(cluster, notify, start):
    limit = 1.5 * SLOW
    env = dict(os.environ, NOTIFY_SOCKET=notify.path, WATCHDOG_USEC=str(int(limit * 1e6)))
    env.pop("WATCHDOG_PID", None)
    process = start(env)
    wait_until("READY=1", lambda: "READY=1" in notify.lines())
    wait_until("three signs of life", lambda: notify.lines().count("WATCHDOG=1") >= 3)
    beats = [when for when, line in notify.got if line == "WATCHDOG=1"]
    gaps = [b - a for a, b in zip(beats, beats[1:])]
    assert max(gaps) < limit, f"systemd would have killed it: {gaps}"
    assert sum(gaps) / len(gaps) > limit / 6, f"too often: {gaps}"
    process.signal(signal.SIGHUP)
    wait_until("RELOADING, then READY", lambda: "READY=1" in after(notify.lines(), "RELOADING=1"))
    assert any(re.fullmatch(r"MONOTONIC_USEC=\d+", line) for line in after(notify.lines(), "RELOADING=1")), \
        "Type=notify-reload needs the time"
    process.signal(signal.SIGTERM)
    wait_until("STOPPING=1", lambda: "STOPPING=1" in notify.lines())
    assert process.popen.wait(20 * SLOW) == 0
    notify.close()


def after(lines, word):
    return lines[lines.index(word) + 1:] if word in lines else []


def psd_tells_the_service_manager():
    with Cluster() as cluster:
        check_notify(cluster, Notify(), lambda env: cluster.start_server(env=env))


def psworker_tells_the_service_manager():
    with Cluster() as cluster:
        cluster.start_server()
        check_notify(cluster, Notify(), lambda env: cluster.start_worker("w1", env=env))


def journald_gets_priorities_and_people_get_times():
    with Cluster() as cluster:
        log = open(cluster.dir / "psd.log", "ab")
        status = os.fstat(log.fileno())
        env = dict(os.environ, JOURNAL_STREAM=f"{status.st_dev}:{status.st_ino}")
        server = cluster.start_server(env=env)
        cluster.psctl("cancel", "1", who="eve", check=False)
        server.stop()
        lines = server.text().splitlines()
        assert lines and all(re.match(r"<[3-7]>[a-z0-9_]+: ", line) for line in lines), lines
        assert any(line.startswith("<5>psd: ready ") for line in lines), lines
        (cluster.dir / "psd.log").write_text("")
        other = cluster.start_server(env=dict(env, JOURNAL_STREAM="1:1"))
        other.stop()
        lines = other.text().splitlines()
        assert lines and all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warning|notice|info|debug) +\S",
                                      line) for line in lines), lines
        log.close()


class UnreadPipe:
    """In the place of a daemon's log: a pipe that is full before the daemon starts."""

    def __init__(self, path):
        self.path = path
        os.mkfifo(path)
        self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        fcntl.fcntl(self.fd, fcntl.F_SETPIPE_SZ, 4096)
        os.write(self.fd, b"x" * 4096)

    def read(self):
        try:
            return os.read(self.fd, 1 << 20).decode(errors="replace")
        except BlockingIOError:
            return ""

    def end(self):
        """The harness reads a daemon's log at the end."""
        self.path.unlink()
        self.path.write_text(self.read())
        os.close(self.fd)


def a_log_that_nobody_reads_stops_nothing():
    with Cluster() as cluster:
        pipes = [UnreadPipe(cluster.dir / name) for name in ("psd.log", "w1.log")]
        server = cluster.start_server("log: {level: debug}")
        worker = cluster.start_worker("w1")
        wait_until("the worker is there", lambda: "w1" in workers(cluster))
        assert get(cluster, "/healthz")[::2] == (200, "ok\n")
        assert metrics(cluster)["psd_log_lines_dropped_total"] == 0, "a queue takes some thousand lines"
        said = []
        wait_until("what psd had to say comes when somebody reads",
                   lambda: said.append(pipes[0].read()) or "psd: ready version=" in "".join(said))
        for process in (worker, server):
            assert process.stop(5) == 0, "the log held it up"
        for pipe in pipes:
            pipe.end()


def daemons_start_without_standard_descriptors():
    """As cron and some supervisors start them: what they open first must not become their log."""
    def close_all():
        for fd in (0, 1, 2):
            os.close(fd)

    with Cluster() as cluster:
        port_file = cluster.dir / "port"
        cluster.start_server().stop()
        port_file.unlink()
        commands = [[PSD, "--config", cluster.dir / "psd.yaml", "--port-file", port_file],
                    [PSWORKER, "--config", cluster.worker_config("w1"), "--name", "stairs \u202e1"]]
        started = [subprocess.Popen(command, preexec_fn=close_all) for command in commands]
        wait_until("psd is up", port_file.exists)
        wait_until("the worker is there", lambda: "w1" in workers(cluster))
        assert workers(cluster)["w1"]["shown_name"] == "stairs ?1"
        assert "w1    stairs ?1" in cluster.psctl("workers").stdout
        for daemon in reversed(started):
            for fd in (0, 1, 2):
                assert os.readlink(f"/proc/{daemon.pid}/fd/{fd}") == "/dev/null"
            daemon.terminate()
            assert daemon.wait(20 * SLOW) == 0


def nothing_secret_is_written_and_nobody_else_may_read():
    with Scene() as cluster:
        cluster.begin("log: {level: debug}")
        job_id = cluster.submit(job_text(cluster, "modest", more="checkpoint: {every: 100ms}"))
        wait_share(cluster, job_id, 0.3)
        checked = 0
        state = cluster.dir / "state"
        for path in [state, *state.rglob("*")]:
            try:
                mode = path.lstat().st_mode
            except FileNotFoundError:
                continue  # a checkpoint that has given way
            wanted = 0o700 if stat.S_ISDIR(mode) else 0o600
            assert stat.S_IMODE(mode) == wanted, f"{path}: {stat.S_IMODE(mode):o}"
            checked += 1
        assert checked >= 8
        assert stat.S_IMODE((cluster.dir / "audit.log").stat().st_mode) in (0o600, 0o640)
        cluster.wait_job(job_id)
        cluster.psctl("cancel", job_id, who="eve", check=False)
        keys = [k.read_text() for k in cluster.certs.glob("*.key")]
        # the third line of each is of its public point alone, which certificates have, too
        secrets = {line for key in keys for line in key.splitlines()[1:3]}
        assert len(secrets) >= 10
        written = [cluster.dir / "audit.log", *cluster.dir.glob("*.log")]
        for path in written:
            text = path.read_text()
            assert "PRIVATE KEY" not in text and not any(s in text for s in secrets), path
        for line in (cluster.dir / "audit.log").read_text().splitlines():
            json.loads(line)
        events = [json.loads(line) for line in (cluster.dir / "audit.log").read_text().splitlines()]
        assert any(e.get("outcome") == "refused" and "eve" in str(e) for e in events), events


def the_port_file_is_complete_and_new_at_each_start():
    with Cluster() as cluster:
        cluster.port = cluster.metrics_port = 0  # any free ones
        cluster.start_server()
        assert cluster.port > 0 and cluster.metrics_port > 0
        text = (cluster.dir / "port").read_text()
        assert text == f"listen {cluster.port}\nmetrics {cluster.metrics_port}\n"
        assert not list(cluster.dir.glob("port?*")), "a temporary file stays"


def start_fails(cluster, status, words, *arguments):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, timeout=30 * SLOW, check=False)
    assert done.returncode == status, f"{done.returncode}: {done.stderr}"
    for word in words:
        assert word in done.stderr, f"'{word}' is not in: {done.stderr}"


def a_psd_that_cannot_start_says_why():
    with Cluster() as cluster:
        cluster.port = cluster.metrics_port = 0
        cluster.start_server()
        config = (cluster.dir / "psd.yaml").read_text()

        def fails(status, words, **changes):
            text = config.replace(f"{cluster.dir}/state", f"{cluster.dir}/other")
            for old, new in changes.get("change", []):
                assert old in text, old
                text = text.replace(old, new)
            path = cluster.dir / "bad.yaml"
            path.write_text(text)
            start_fails(cluster, status, words, PSD, "--config", path)
        listen, page = "listen: {address: 127.0.0.1, port: 0}", "metrics: {address: 127.0.0.1, port: 0}"
        fails(1, ["bad.yaml:1: listen: cannot listen on 127.0.0.1 port", str(cluster.port), "in use"],
              change=[(listen, listen.replace("port: 0", f"port: {cluster.port}"))])
        fails(1, ["bad.yaml:2: metrics: cannot listen on 127.0.0.1 port", str(cluster.metrics_port), "in use"],
              change=[(page, page.replace("port: 0", f"port: {cluster.metrics_port}"))])
        fails(1, ["missing.key"], change=[("psd.key", "missing.key")])
        fails(1, ["psd.key"], change=[("psd.pem", "alice.pem")])
        fails(2, ["bad.yaml:1", "listen.port", "65535"], change=[("port: 0}\nmetrics", "port: 65536}\nmetrics")])
        fails(1, [f"{cluster.dir}/no/where"], change=[(f"data_dir: {cluster.dir}/other",
                                                       f"data_dir: {cluster.dir}/no/where")])
        fails(1, ["another psd works in it", str(cluster.server.popen.pid)], change=[(f"{cluster.dir}/other", f"{cluster.dir}/state")])
        (cluster.dir / "bad.yaml").write_text(config.replace(f"{cluster.dir}/state", f"{cluster.dir}/other"))
        start_fails(cluster, 1, ["--metrics: cannot listen on 203.0.113.1", "no interface of this machine has this address"],
                    PSD, "--config", cluster.dir / "bad.yaml", "--metrics", "203.0.113.1:0")
        start_fails(cluster, 2, ["nothing.yaml"], PSD, "--config", cluster.dir / "nothing.yaml")
        start_fails(cluster, 2, ["--frobnicate"], PSD, "--frobnicate")
        start_fails(cluster, 2, ["nothing.yaml"], PSWORKER, "--config", cluster.dir / "nothing.yaml")
        assert cluster.psctl_json("status", who="root")["cluster"] == "test", "the first is not disturbed"


def check_says_every_fault_and_changes_nothing():
    def check(program, config, *arguments):
        done = subprocess.run([program, "--config", config, "--check", *arguments], capture_output=True, text=True,
                              timeout=60 * SLOW, check=False)
        return done.returncode, done.stdout, [line for line in done.stderr.splitlines() if ": note: " not in line]

    with Cluster() as cluster:
        cluster.start_server()
        config = cluster.dir / "psd.yaml"
        fine = (0, f"psd: {config} is fine\n", [])
        assert check(PSD, config) == fine, "beside the psd that runs"
        one = "127.0.0.1:7600"
        assert check(PSD, config, "--listen", one, "--metrics", one) == (
            2, "", ["psd: --metrics: port 7600 of 127.0.0.1 is that of listen, too"]), "nor is any port tried then"
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            before = sorted(cluster.dir.rglob("*"))
            (cluster.certs / "psd.key").write_text("no key")
            status, _, faults = check(PSD, config, "--data-dir", cluster.dir / "none" / "state", "--listen",
                                      f"127.0.0.1:{taken.getsockname()[1]}", "--metrics", "nowhere.invalid:1")
            assert status == 2 and len(faults) == 4, faults
            for start, fault in zip(("tls: private key ", "data_dir: ", "--listen: ", "--metrics: "), faults):
                assert fault.startswith(f"psd: {start}"), faults
            assert sorted(cluster.dir.rglob("*")) == before
            free = f"127.0.0.1:{taken.getsockname()[1]}"
        (cluster.dir / "damaged").mkdir()
        (cluster.dir / "damaged/psd.db").write_bytes(bytes(range(100)))
        (cluster.dir / "link").symlink_to("nowhere")
        text = config.read_text()
        config.write_text(re.sub("(?m)^audit_log: .*", f"audit_log: {cluster.dir}/damaged", text))
        for folder, words in (("damaged", "catalog: "), ("link", "link is a link that leads nowhere")):
            _, _, faults = check(PSD, config, "--data-dir", cluster.dir / folder, "--listen", free, "--metrics", ":0")
            assert any(words in fault for fault in faults), faults
            assert any("damaged is a folder" in fault for fault in faults), faults
        config.write_text(text)
        _, _, faults = check(PSD, config, "--data-dir", cluster.dir / "other", "--listen", free, "--metrics", free)
        assert len(faults) == 2 and faults[1].startswith("psd: --metrics: cannot listen"), "one port for two"
        worker = cluster.worker_config("w1")
        assert check(PSWORKER, worker)[:2] == (0, f"psworker: {worker} is fine\n")
        worker.write_text(worker.read_text().replace("data_roots: [", "data_roots: [/no/such, ").replace("w1.pem", "x"))
        status, _, faults = check(PSWORKER, worker)
        assert status == 2 and len(faults) == 2 and "/no/such: No such file" in faults[1], faults
        worker.write_text("device: gpu\n")
        assert check(PSWORKER, worker)[0] == 2


def admin_commands_in_json_and_their_statuses():
    with Cluster() as cluster:
        cluster.start_server()
        status = cluster.psctl_json("status", who="root")
        assert status["workers"] == 0 and not status["draining"] and status["cluster"] == "test"
        assert cluster.psctl_json("reload", who="root") == {
            "certificate_expires_ms": status["certificate_expires_ms"], "needs_restart": []}
        assert cluster.psctl_json("checkpoint", who="root") == {"jobs": 0, "bytes": 0}
        assert cluster.psctl_json("drain", who="root") == {"draining": True, "running_tasks": 0}
        assert cluster.psctl_json("drain", "--off", who="root")["draining"] is False
        for command, key in (("jobs", "jobs"), ("workers", "workers"), ("models", "models")):
            assert cluster.psctl_json(command) == {key: []}
        for arguments, expected in ((("reload",), 4), (("job", "7"), 5), (("model", "none"), 5), (("job",), 2),
                                    (("--output", "xml", "jobs"), 2), (("nonsense",), 2)):
            done = cluster.psctl(*arguments, check=False)
            assert done.returncode == expected, f"{arguments}: {done.returncode}: {done.stderr}"
        cluster.server.stop()
        assert cluster.psctl("jobs", check=False).returncode == 3


run([the_metrics_page_is_prometheus_text_and_its_counters_grow,
     the_dashboard_and_the_alerts_ask_for_what_there_is, other_pages_and_methods, draining_gives_out_no_tasks,
     a_pool_of_one_thread_is_slow_and_never_stuck,
     sigterm_writes_a_checkpoint_and_the_next_psd_goes_on, sigterm_to_an_idle_psd_is_quick,
     psd_at_rest_uses_no_cpu_time_nor_with_a_call_now_and_then,
     sighup_reads_certificates_log_level_and_audit_file_again, psd_tells_the_service_manager,
     psworker_tells_the_service_manager, journald_gets_priorities_and_people_get_times,
     a_log_that_nobody_reads_stops_nothing, daemons_start_without_standard_descriptors,
     nothing_secret_is_written_and_nobody_else_may_read, the_port_file_is_complete_and_new_at_each_start,
     a_psd_that_cannot_start_says_why, check_says_every_fault_and_changes_nothing, admin_commands_in_json_and_their_statuses])
