"""What a describe job says of a stored model is what numpy says of its file, in float64."""
import json
import struct

import numpy as np

from harness import Cluster, read_safetensors, run

LOOK = "kind: describe\nname: look\nmodel_name: {}\n"


def numpys(values):
    v = values.astype(np.float64).ravel()
    finite = v[np.isfinite(v)]
    return {"elements": v.size, "mean": finite.mean(), "std": finite.std(), "min": finite.min(), "max": finite.max(),
            "zeros": int((v == 0).sum()), "nan": int(np.isnan(v).sum()), "inf": int(np.isinf(v).sum()),
            "l2_norm": np.linalg.norm(finite)}


def same(found, values):
    expected = numpys(values)
    for key, value in expected.items():
        small = 0 if isinstance(value, int) else 1e-13 * expected["std"]  # a mean may be of numbers that cancel out
        assert np.isclose(found[key], value, rtol=1e-12 if small else 0, atol=small), (key, found[key], value)


def with_odd_numbers(path):
    """Written over a tensor's first elements, in the file. None that is not finite: psd stores none."""
    data = bytearray(path.read_bytes())
    (length,) = struct.unpack("<Q", data[:8])
    begin = 8 + length + json.loads(data[8:8 + length])["layers.0.weight"]["data_offsets"][0]
    data[begin:begin + 24] = struct.pack("<6f", 0.0, -0.0, 1e30, -3e38, 1e-45, 0.0)
    path.write_bytes(data)


def describe(cluster, model):
    """Its description, the job, and the tensors of the model's file."""
    job = cluster.wait_job(cluster.submit(LOOK.format(model)))
    out = cluster.dir / f"{model}.out.safetensors"
    cluster.psctl("export", model, "-o", out)
    assert [a["name"] for a in cluster.psctl_json("artifacts", job["id"])["artifacts"]] == ["describe.json"]
    told = json.loads(cluster.psctl("fetch", job["id"], "describe.json", "-o", "-").stdout)
    return told, job, read_safetensors(out)[1]


def the_numbers_of_a_model_are_numpys():
    with Cluster() as cluster:
        cluster.tiny_data()
        cluster.start_server()
        cluster.start_worker("w1")
        cluster.wait_job(cluster.submit(cluster.tiny_job(layers="[16, 300, 4]")))
        path = cluster.dir / "odd.safetensors"
        cluster.psctl("export", "tiny", "-o", path)
        with_odd_numbers(path)
        cluster.psctl("import", path, "odd")
        for model in "tiny", "odd":
            told, job, tensors = describe(cluster, model)
            assert told["model"] == model and told["version"] == cluster.psctl_json("model", model)["version"], told
            assert {t["name"]: t["shape"] for t in told["tensors"]} == {n: list(v.shape) for n, v in tensors.items()}
            for tensor in told["tensors"]:
                assert tensor["dtype"] == "F32"
                same(tensor, tensors[tensor["name"]])
            everything = np.concatenate([v.ravel() for v in tensors.values()])
            assert told["total"]["tensors"] == len(tensors)
            same(told["total"], everything)
            assert job["result"]["report"] == told["total"] and job["result"]["artifact"] == "describe.json", job["result"]
            assert told["total"]["zeros"] == (3 if model == "odd" else 0), "or the second model says little"


def a_job_file_of_it_has_a_model_and_no_data():
    with Cluster() as cluster:
        cluster.start_server()
        path = cluster.dir / "job.yaml"
        path.write_text("kind: describe\nname: look\ndata: {format: idx, test: {features: /x}}\n")
        done = cluster.psctl("submit", path, check=False)
        assert done.returncode and "model_name: missing; kind describe needs a stored model's name" in done.stderr, done.stderr
        assert "data: not for kind describe, only for train, evaluate, predict, compare, compress and explain" in done.stderr, done.stderr
        path.write_text(LOOK.format("nobody"))
        done = cluster.psctl("submit", path, check=False)
        assert done.returncode and "model 'nobody' does not exist" in done.stderr, done.stderr


run([the_numbers_of_a_model_are_numpys, a_job_file_of_it_has_a_model_and_no_data])
