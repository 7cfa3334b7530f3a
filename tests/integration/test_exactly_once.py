"""Every row is trained once, whoever comes, sleeps, leaves or is killed.

A tally: sgd on one-hot rows, so that weight k of the model counts how often row k was in an update. Three workers of
unequal speed; what happens to them and to psd is drawn from a seed. `python3 test_exactly_once.py N [SEED]` makes N
such disturbances in as many jobs as that takes; without arguments it is a short round for the suite.
"""
import hashlib
import random
import signal
import sys
import threading
import time

import numpy as np

from harness import SLOW, Cluster, read_safetensors, run, wait_until, write_idx

# One row adds RATE × FAR to its weight, next to which the values that the job begins with are nothing.
ROWS, RATE, FAR = 600, 1e-7, 1e8
QUICK = f"jobs: {{heartbeat: 200ms, lease_timeout: {int(2000 * SLOW)}ms}}"
WORKER = "reconnect: {min: 100ms, max: 500ms}"
NAMES = ("w1", "w2", "w3")
# Of each tenth of a second the worker stands still for so long.
STOOD = {"w2": 0.02, "w3": 0.06}


class Lab(Cluster):
    over, brakes = None, ()

    def begin(self, seed):
        self.random = random.Random(seed)
        self.disturbed = 0
        write_idx(self.dir / "train-x", np.eye(ROWS, dtype=np.uint8))
        write_idx(self.dir / "train-y", np.full((ROWS,), FAR, dtype=np.float32))
        self.start_server(QUICK)
        self.procs = {name: self.start_worker(name, WORKER) for name in NAMES}
        self.awake = threading.Lock()
        self.over = threading.Event()
        self.brakes = [threading.Thread(target=self.brake, args=of) for of in STOOD.items()]
        for thread in self.brakes:
            thread.start()

    def __exit__(self, kind, value, trace):
        if self.over:
            self.over.set()
        for thread in self.brakes:
            thread.join()
        return super().__exit__(kind, value, trace)

    def brake(self, name, seconds):
        while not self.over.wait(0.1 - seconds):
            with self.awake:
                proc = self.procs[name]
                if not proc.alive():
                    continue
                proc.signal(signal.SIGSTOP)
                self.over.wait(seconds)
                proc.signal(signal.SIGCONT)

    def job_text(self, name, mode, epochs, batch=1, optimizer=f"{{name: sgd, learning_rate: {RATE}}}", workers=3):
        return f"""
kind: train
name: {name}
model: {{architecture: mlp, layers: [{ROWS}, 1], loss: squared_error}}
data: {{format: idx, train: {{features: {self.dir}/train-x, labels: {self.dir}/train-y}}, normalise: {{scale: 1}}}}
shards: {{rows_per_task: {batch * 20}}}
checkpoint: {{every: 200ms}}
workers: {workers}
train: {{epochs: {epochs}, batch_size: {batch}, consistency: {{mode: {mode}}}, optimizer: {optimizer}, seed: 3}}
"""

    def model(self, name):
        path = self.dir / f"{name}.safetensors"
        self.psctl("export", name, "--force", "-o", path)
        return path

    def counts(self, name):
        """How often each row was in an update, by what one update of it alone adds."""
        weights = read_safetensors(self.model(name))[1]["layers.0.weight"].reshape(-1).astype(np.float64)
        return weights / self.unit

    def leave(self, name):
        self.procs[name].killed = True  # it may be so new that it knows of no signal yet
        self.procs[name].stop(timeout=30)

    # ---- what can happen ----

    def join_again(self, kill):
        """A worker leaves in order, or is killed, and one of its name comes soon after."""
        name = self.random.choice(NAMES)
        if kill:
            self.procs[name].kill()
        else:
            self.leave(name)
        time.sleep(self.random.uniform(0, 0.2))
        self.procs[name] = self.start_worker(name, WORKER)

    def sleep(self):
        """One stands still: within its lease, or beyond."""
        with self.awake:
            proc = self.procs[self.random.choice(NAMES)]
            proc.signal(signal.SIGSTOP)
            time.sleep(self.random.choice((0.2, 0.2, 3.0 * SLOW)))
            proc.signal(signal.SIGCONT)

    def restart(self, kill):
        if kill:
            self.server.kill()
        else:
            begun = time.monotonic()
            self.server.stop(timeout=30)
            took = time.monotonic() - begun
            assert took < 6 * SLOW, f"psd stopped after {took:.1f} s: somebody waited for its grace, 10 s"
        self.start_server(QUICK)

    def both(self):
        name = self.random.choice(NAMES)
        self.procs[name].kill()
        self.restart(True)
        self.procs[name] = self.start_worker(name, WORKER)

    def disturb(self):
        self.random.choice((lambda: self.join_again(False), lambda: self.join_again(True), self.sleep,
                            lambda: self.restart(False), lambda: self.restart(True), self.both))()
        self.disturbed += 1

    def run_job(self, name, text, most):
        """Until the job ends, with at most so many disturbances in it; it must end well, with all samples."""
        job_id = self.submit(text)
        while most > 0:
            time.sleep(self.random.uniform(0.1, 0.6))
            job = self.job(job_id)
            if job["state"] not in ("queued", "running"):
                break
            if job["progress"]["samples"] == 0:
                continue
            self.disturb()
            most -= 1
        job = self.wait_job(job_id, timeout=180)
        progress = job["progress"]
        assert progress["samples"] == progress["samples_total"] > 0, progress
        return job


def measure_unit(lab):
    """What one row alone adds, at the weights the job begins with: all far from its label by the same."""
    lab.unit = 1.0
    lab.run_job("unit", lab.job_text("unit", "bsp", 1, workers=1), 0)
    lab.unit = float(np.median(lab.counts("unit")))
    assert np.allclose(lab.counts("unit"), 1, atol=0.02), "one epoch in peace is one of each"


def check_tally(lab, name, mode, epochs):
    counts = lab.counts(name)
    if mode == "asp":  # each update is one row's
        wrong = np.flatnonzero(np.abs(counts - epochs) > 0.05)
    else:  # the mean over as many rows as there were workers in the clock: 1, 1/2 or 1/3 of it
        shares = np.array([1, 1 / 2, 1 / 3])
        wrong = np.flatnonzero(np.abs(counts[:, None] - shares).min(axis=1) > 0.02)
    assert len(wrong) == 0, f"{name}: rows {wrong[:9]} count {counts[wrong[:9]]}"


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def soak(lab, disturbances):
    measure_unit(lab)
    jobs = 0
    while lab.disturbed < disturbances:
        mode = ("bsp", "bsp", "asp")[jobs % 3]
        epochs = 1 if mode == "bsp" else 3
        jobs += 1
        lab.run_job(f"tally-{mode}", lab.job_text(f"tally-{mode}", mode, epochs), disturbances - lab.disturbed)
        check_tally(lab, f"tally-{mode}", mode, epochs)
    return jobs


def same_model(lab, optimizer, disturbances):
    """With one worker the order of all updates is given: the model is the calm run's, bit for bit."""
    for name in NAMES[1:]:
        lab.leave(name)
    lone = lab.job_text("lone", "bsp", 4, batch=4, optimizer=optimizer, workers=1)
    lab.run_job("lone", lone, 0)
    calm = digest(lab.model("lone"))
    job_id = lab.submit(lone)
    for k in range(disturbances):
        total = ROWS * 4
        wait_until("it has come further", lambda share=(k + 1) / (disturbances + 1): lab.job(job_id)["progress"][
            "samples"] >= share * total * 0.9 or lab.job(job_id)["state"] == "done", 60)
        if k % 3 != 1:
            lab.procs["w1"].kill()
        if k % 3 != 0:
            lab.restart(True)
        if k % 3 != 1:
            lab.procs["w1"] = lab.start_worker("w1", WORKER)
    lab.wait_job(job_id, timeout=120)
    assert digest(lab.model("lone")) == calm, f"{optimizer}: not the calm run's model"


def every_row_is_trained_once_and_no_job_fails():
    with Lab() as lab:
        lab.begin(5)
        soak(lab, 6)
        same_model(lab, "{name: momentum, learning_rate: 0.01}", 3)


def long_soak(count, seed):
    with Lab() as lab:
        lab.begin(seed)
        begun = time.monotonic()
        jobs = soak(lab, count)
        print(f"{lab.disturbed} disturbances in {jobs} jobs, {time.monotonic() - begun:.0f} s: none failed, "
              "every row counted", flush=True)
        for optimizer in ("{name: momentum, learning_rate: 0.01}", "{name: adamw8bit, learning_rate: 0.003}"):
            same_model(lab, optimizer, 6)
            print(f"{optimizer}: the calm run's model, bit for bit", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        long_soak(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time()))
    else:
        run([every_row_is_trained_once_and_no_job_fails])
