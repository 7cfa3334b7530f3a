#!/usr/bin/python3
"""submit.py SERVER CERTS NAME JOB-FILE: submits a job and watches it, with nothing but stock grpcio.

    submit.py localhost:7600 ~/certs you fashion-mlp.yaml

CERTS is the folder with ca.pem, NAME.pem and NAME.key. Needs grpcio and grpcio-tools (Debian: python3-grpcio,
python3-grpc-tools) and the .proto files: proto/ of the source tree, or share/psd/proto where this is installed.
"""
import pathlib
import sys
import tempfile

import grpc
from grpc_tools import protoc

here = pathlib.Path(__file__).resolve().parent
places = [here.parents[1] / "proto", here.parents[2] / "psd/proto", pathlib.Path("/usr/share/psd/proto")]
protos = next((p for p in places if (p / "psd/v1/jobs.proto").exists()), None)
if not protos:
    sys.exit(f"submit.py: the .proto files are in none of {', '.join(map(str, places))}")
with tempfile.TemporaryDirectory() as made:  # a larger program generates its stubs once
    if protoc.main(["protoc", f"-I{protos}", f"--python_out={made}", f"--grpc_python_out={made}",
                    str(protos / "psd/v1/jobs.proto")]):
        sys.exit("submit.py: protoc failed")
    sys.path.insert(0, made)
    from psd.v1 import jobs_pb2 as jobs, jobs_pb2_grpc as services


def main(server, certs, name, job_file):
    certs = pathlib.Path(certs).expanduser()
    credentials = grpc.ssl_channel_credentials(root_certificates=(certs / "ca.pem").read_bytes(),
                                               private_key=(certs / f"{name}.key").read_bytes(),
                                               certificate_chain=(certs / f"{name}.pem").read_bytes())
    with grpc.secure_channel(server, credentials) as channel:
        psd = services.JobsStub(channel)
        job_id = psd.Submit(jobs.SubmitRequest(spec=pathlib.Path(job_file).read_text(encoding="utf-8"))).job_id
        job = None
        for event in psd.Watch(jobs.WatchJobRequest(job_id=job_id)):
            if event.HasField("log"):
                print(event.log.text, flush=True)
            elif event.HasField("job"):
                job = event.job
        print(f"job {job.id} {job.name}: {jobs.JobState.Name(job.state)} {job.reason}".rstrip())
        if job.progress.has_test:
            for metric in job.progress.test_metrics:
                print(f"test {metric.name}: {metric.value:.4f}")
            print(f"test loss: {job.progress.test_loss:.4f}")
        return 0 if job.state == jobs.JOB_STATE_DONE else 1


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    try:
        sys.exit(main(*sys.argv[1:]))
    except grpc.RpcError as error:
        sys.exit(f"submit.py: {error.code().name}: {error.details()}")
    except OSError as error:
        sys.exit(f"submit.py: {error}")
