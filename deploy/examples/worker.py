#!/usr/bin/python3
"""worker.py SERVER CERTS NAME FEATURES LABELS: a worker of psd in one page, with stock grpcio and numpy.

    worker.py localhost:7600 ~/certs node-9 train-images-idx3-ubyte.gz train-labels-idx1-ubyte.gz

It trains a linear classifier (softmax regression) on files of idx bytes: a job whose model is
{architecture: mlp, layers: [INPUTS, CLASSES]}, without data.test and normalise. Model and data are its own; the job file
says the rest, and other workers, psworker among them, may have a part of the same job's rows. docs/protocol.md says why each call is as it is.

CERTS is the folder with ca.pem, NAME.pem and NAME.key (role worker). Needs python3-grpcio, python3-grpc-tools,
python3-numpy, python3-yaml, and the .proto files: proto/ of the source tree, or share/psd/proto where this is installed.
"""
import functools
import gzip
import pathlib
import queue
import sys
import tempfile
import threading
import time

import grpc
import numpy as np
import yaml
from grpc_tools import protoc

here = pathlib.Path(__file__).resolve().parent
places = [here.parents[1] / "proto", here.parents[2] / "psd/proto", pathlib.Path("/usr/share/psd/proto")]
protos = next((p for p in places if (p / "psd/v1/workers.proto").exists()), None)
if not protos:
    sys.exit(f"worker.py: the .proto files are in none of {', '.join(map(str, places))}")
with tempfile.TemporaryDirectory() as made:  # a larger program generates its stubs once
    names = [str(protos / f"psd/v1/{name}.proto") for name in ("jobs", "workers", "parameters")]
    if protoc.main(["protoc", f"-I{protos}", f"--python_out={made}", f"--grpc_python_out={made}", *names]):
        sys.exit("worker.py: protoc failed")
    sys.path.insert(0, made)
    from psd.v1 import parameters_pb2 as params, parameters_pb2_grpc, workers_pb2 as workers, workers_pb2_grpc

CHUNK = 1 << 18  # elements of a chunk at most: 1 MiB of float32
MASK = (1 << 64) - 1


def mix(x):
    """splitmix64's finaliser, of a number or of an array of them."""
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
    return x ^ x >> 31


def round_keys(seed):
    """Six numbers of xoshiro256++, seeded by splitmix64."""
    s = [mix(seed + (i + 1) * 0x9E3779B97F4A7C15 & MASK) for i in range(4)]
    for _ in range(6):
        x = s[0] + s[3] & MASK
        yield (x << 23 | x >> 41) + s[0] & MASK
        t = s[1] << 17 & MASK
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = (s[3] << 45 | s[3] >> 19) & MASK


def permutation(rows, seed, epoch):
    """The row at each position of an epoch, as every worker of psd orders them: a Feistel network over the next power of
    four, walked until it lands among the rows."""
    half = next(bits for bits in range(1, 33) if bits == 32 or 1 << 2 * bits >= rows)
    keys, mask = list(round_keys(mix(seed) + epoch & MASK)), (1 << half) - 1

    def encrypt(x):
        left, right = x >> half, x & mask
        for key in keys:
            left, right = right, left ^ mix(right + key & MASK) & mask
        return left << half | right

    out = []
    for x in range(rows):
        x = encrypt(x)
        while x >= rows:
            x = encrypt(x)
        out.append(x)
    return np.array(out)


def read_idx(path):
    data = gzip.open(path).read() if str(path).endswith(".gz") else pathlib.Path(path).read_bytes()
    sizes = [int.from_bytes(data[4 + 4 * i:8 + 4 * i], "big") for i in range(data[3])]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * len(sizes)).reshape(sizes[0], -1)


class Model:
    """Gradients of softmax regression; parameters are those of psworker's mlp with one layer."""

    def __init__(self, x, labels):
        self.x, self.labels = x.astype(np.float32) / 255, labels.ravel().astype(int)
        self.shapes = {"layers.0.weight": (self.labels.max() + 1, x.shape[1]), "layers.0.bias": (self.labels.max() + 1,)}

    def gradients(self, values, rows):
        x, labels = self.x[rows], self.labels[rows]
        z = x @ values["layers.0.weight"].T + values["layers.0.bias"]
        p = np.exp(z - z.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        loss = -np.log(p[range(len(labels)), labels]).sum()
        p[range(len(labels)), labels] -= 1
        p /= len(labels)
        return {"layers.0.weight": p.T @ x, "layers.0.bias": p.sum(axis=0)}, loss


class Parameters:
    """A job's tensors: where psd has cut them into column blocks (shards), pulled and pushed."""

    def __init__(self, channel, job_id, incarnation, sequence):
        self.psd, self.job_id = parameters_pb2_grpc.ParametersStub(channel), job_id
        self.incarnation, self.sequence = incarnation, sequence
        self.tensors = self.psd.Describe(params.DescribeRequest(job_id=job_id), wait_for_ready=True).tensors

    def pull(self):
        flat = {(t.id, s.index): np.empty(s.elements, np.float32) for t in self.tensors for s in t.shards}
        version = 0
        for message in self.psd.Pull(params.PullRequest(job_id=self.job_id), wait_for_ready=True):
            if message.HasField("header"):
                version = message.header.version
            else:
                at = message.chunk
                flat[at.tensor_id, at.shard][at.offset:at.offset + at.count] = np.frombuffer(message.payload, "<f4")
        values = {}
        for t in self.tensors:  # shard i is columns [column_begin, column_end) of every row
            parts = [flat[t.id, s.index].reshape(-1, s.column_end - s.column_begin) for s in t.shards]
            values[t.name] = np.concatenate(parts, axis=1).reshape(tuple(t.shape))
        return values, version

    def chunks(self, gradients):
        for t in self.tensors:
            columns = gradients[t.name].reshape(-1, t.shape[-1])
            for s in t.shards:
                flat = columns[:, s.column_begin:s.column_end].astype("<f4").ravel()
                for block in range(0, s.elements, s.block_elements):  # a chunk lies in one block
                    end = min(block + s.block_elements, s.elements)
                    for at in range(block, end, CHUNK):
                        part = flat[at:min(at + CHUNK, end)]
                        yield params.PushRequest(payload=part.tobytes(), chunk=params.Chunk(
                            tensor_id=t.id, shard=s.index, offset=at, count=len(part)))

    def push(self, gradients, **header):
        """The same sequence until psd has answered: so it is applied once, however often it is sent."""
        sequence = next(self.sequence)
        head = params.PushHeader(job_id=self.job_id, incarnation=self.incarnation, sequence=sequence, **header)
        while True:
            try:
                messages = [params.PushRequest(header=head), *self.chunks(gradients)]
                return self.psd.Push(iter(messages), wait_for_ready=True)
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    raise

    def clock(self, lease_id, ended):
        return self.psd.Clock(params.ClockRequest(job_id=self.job_id, incarnation=self.incarnation, clock=ended,
                                                  lease_id=lease_id), wait_for_ready=True).slowest_clock + 1


class Worker:
    def __init__(self, channel, name, model):
        self.channel, self.name, self.model = channel, name, model
        self.incarnation = int(time.time() * 1000)  # greater at every start
        self.sequence = iter(range(1, 1 << 62))
        self.outgoing, self.tasks, self.cancelled = queue.Queue(), queue.Queue(), set()
        self.order = functools.lru_cache(2)(functools.partial(permutation, len(model.x)))

    def send(self, **body):
        self.outgoing.put(workers.WorkerMessage(**body))

    def listen(self, call):
        """psd's messages, on a thread of their own: a cancellation comes while a task computes."""
        try:
            for message in call:
                if message.HasField("welcome"):
                    threading.Thread(target=self.beat, args=[message.welcome.heartbeat_ms / 1000], daemon=True).start()
                elif message.HasField("task"):
                    self.tasks.put(message.task)
                elif message.HasField("cancel"):
                    self.cancelled.add(message.cancel.lease_id)
        except grpc.RpcError as error:
            self.tasks.put(error)

    def beat(self, seconds):
        while True:
            time.sleep(seconds)
            self.send(heartbeat=workers.Heartbeat())

    def run(self):
        call = workers_pb2_grpc.WorkersStub(self.channel).Attach(iter(self.outgoing.get, None), wait_for_ready=True)
        self.send(hello=workers.Hello(version="worker.py", device="numpy", slots=1, kinds=["plan", "train"],
                                      incarnation=self.incarnation, shown_name=self.name))
        threading.Thread(target=self.listen, args=[call], daemon=True).start()
        while True:
            task = self.tasks.get()
            if isinstance(task, grpc.RpcError):
                raise task
            result = workers.TaskResult(lease_id=task.lease_id)
            try:
                self.plan(task, result) if task.kind == "plan" else self.train(task)
            except grpc.RpcError as error:
                result.code, result.message, result.retry = error.code().value[0], error.details(), True
            except InterruptedError:
                result.code, result.message, result.retry = 1, "cancelled", True
            self.send(result=result)

    def plan(self, task, result):
        """What the job's parameters are, and how many rows an epoch has."""
        if {"test", "normalise"} & set(yaml.safe_load(task.spec)["data"]):
            result.code, result.message = 3, "worker.py has neither data.test nor normalise: leave them out"
            return
        result.plan.train_rows, result.plan.features = self.model.x.shape
        result.plan.classes = self.model.shapes["layers.0.bias"][0]
        for name, shape in self.model.shapes.items():
            result.plan.tensors.add(name=name, shape=shape, initializer=workers.INITIALIZER_ZEROS)

    def train(self, task):
        spec = yaml.safe_load(task.spec)["train"]
        psd = Parameters(self.channel, task.job_id, self.incarnation, self.sequence)
        clock, row, most = task.first_clock, task.row_begin, spec.get("batch_size", 128)
        if clock:  # in a bsp job: until the clock at which it enters has begun
            psd.clock(task.lease_id, clock - 1)
        order = self.order(task.seed, task.epoch)
        while row < task.row_end:
            if task.lease_id in self.cancelled:
                raise InterruptedError
            end = min(row + most, task.row_end)
            values, version = psd.pull()
            gradients, loss = self.model.gradients(values, order[row:end])
            try:
                psd.push(gradients, lease_id=task.lease_id, clock=clock, pulled_version=version, weight=end - row,
                         row_begin=row, row_end=end)
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.FAILED_PRECONDITION:
                    raise
                clock = psd.clock(task.lease_id, 0)  # another clock is open: the same rows once more
                continue
            psd.clock(task.lease_id, clock)
            self.send(progress=workers.TaskProgress(lease_id=task.lease_id, position=end, samples=end - row, steps=1,
                                                    loss_sum=loss))
            clock, row = clock + 1, end


def main(server, certs, name, features, labels):
    certs = pathlib.Path(certs).expanduser()
    credentials = grpc.ssl_channel_credentials(root_certificates=(certs / "ca.pem").read_bytes(),
                                               private_key=(certs / f"{name}.key").read_bytes(),
                                               certificate_chain=(certs / f"{name}.pem").read_bytes())
    model = Model(read_idx(features), read_idx(labels))
    while True:
        with grpc.secure_channel(server, credentials) as channel:
            try:
                Worker(channel, name, model).run()
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE:  # psd is restarted: come again
                    sys.exit(f"worker.py: {error.code().name}: {error.details()}")
        time.sleep(1)


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except (OSError, KeyboardInterrupt) as error:
        sys.exit(f"worker.py: {error}")
