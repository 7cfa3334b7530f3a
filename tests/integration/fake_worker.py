"""A worker made of a stock gRPC client: it attaches, answers the plan task with tensors of the test's choice, takes a
train task, and keeps its lease as long as the test wants, so that Parameters can be called as a worker would."""
import queue
import threading

import grpc

from harness import SLOW, stubs


class FakeWorker:
    def __init__(self, channel, tensors, rows=1000, incarnation=1, form=""):
        """tensors: a list of (name, shape); all are trained in the form, if there is one."""
        self.workers_pb, workers_grpc = stubs()["workers"]
        self.parameters_pb, parameters_grpc = stubs()["parameters"]
        self.parameters = parameters_grpc.ParametersStub(channel)
        self.tensors, self.rows, self.incarnation, self.form = tensors, rows, incarnation, form
        self.outgoing, self.tasks, self.cancelled, self.error = queue.Queue(), queue.Queue(), [], None
        self.sequence = 0
        self.call = workers_grpc.WorkersStub(channel).Attach(iter(self.outgoing.get, None))
        hello = self.workers_pb.Hello(version="test", device="cpu", slots=1, kinds=["plan", "train", "evaluate"],
                                      incarnation=incarnation)
        self.send(hello=hello)
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()
        self.stopping = threading.Event()
        threading.Thread(target=self._beat, daemon=True).start()

    def send(self, **body):
        self.outgoing.put(self.workers_pb.WorkerMessage(**body))

    def _beat(self):
        while not self.stopping.wait(0.5):
            self.send(heartbeat=self.workers_pb.Heartbeat())

    def _listen(self):
        try:
            for message in self.call:
                kind = message.WhichOneof("body")
                if kind == "task" and message.task.kind == "plan":
                    self.answer_plan(message.task)
                elif kind == "task":
                    self.tasks.put(message.task)
                elif kind == "cancel":
                    self.cancelled.append(message.cancel)
                    self.send(result=self.workers_pb.TaskResult(lease_id=message.cancel.lease_id, code=1,
                                                                message="cancelled"))
        except grpc.RpcError as error:
            self.error = error

    def answer_plan(self, task):
        plan = self.workers_pb.PlanResult(train_rows=self.rows, test_rows=self.rows, features=16, classes=4)
        for name, shape in self.tensors:
            plan.tensors.add(name=name, shape=shape, initializer=self.workers_pb.INITIALIZER_UNIFORM, scale=0.1,
                             form=self.form)
        self.send(result=self.workers_pb.TaskResult(lease_id=task.lease_id, plan=plan))

    def task(self, timeout=20):
        return self.tasks.get(timeout=timeout * SLOW)

    def push(self, job_id, chunks, sequence=None, header=True, incarnation=None, **rows):
        """chunks: a list of Chunk keyword dicts with `payload`; rows: the header's lease_id, row_begin, row_end."""
        pb = self.parameters_pb
        if sequence is None:
            self.sequence += 1
            sequence = self.sequence
        head = pb.PushHeader(job_id=job_id, incarnation=incarnation or self.incarnation, sequence=sequence, clock=1,
                             **rows)
        messages = [pb.PushRequest(header=head)] if header else []
        for chunk in chunks:
            fields = dict(chunk)
            payload = fields.pop("payload", b"")
            messages.append(pb.PushRequest(chunk=pb.Chunk(**fields), payload=payload))
        return self.parameters.Push(iter(messages), timeout=20 * SLOW)

    def pull(self, job_id, **request):
        """{(tensor, shard): {offset: bytes}} and the header's version."""
        out, version = {}, None
        for response in self.parameters.Pull(self.parameters_pb.PullRequest(job_id=job_id, **request),
                                             timeout=20 * SLOW):
            if response.HasField("header"):
                version = response.header.version
            else:
                chunk = response.chunk
                assert len(response.payload) == 4 * chunk.count
                out.setdefault((chunk.tensor_id, chunk.shard), {})[chunk.offset] = response.payload
        return out, version

    def close(self):
        self.stopping.set()
        self.outgoing.put(None)
        self.call.cancel()
        self.thread.join(5)
