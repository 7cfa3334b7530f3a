"""A data_dir of an earlier psd, killed in the middle of a training (tests/golden/data_dir), is taken over."""
import json
import pathlib
import shutil
import tarfile

from harness import SOURCE, Cluster, run

DATA = pathlib.Path("/var/tmp/psd-golden-data")  # as in the job files of the golden one


def take_over(cluster, version):
    with tarfile.open(SOURCE / f"tests/golden/data_dir/{version}.tar.gz") as tar:
        tar.extractall(cluster.dir)
    (cluster.dir / "state").chmod(0o700)
    cluster.tiny_data()
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir()
    for file in cluster.dir.glob("t*-*.gz"):
        shutil.copy(file, DATA)
    cluster.start_server()


def what_had_ended_is_there(cluster):
    jobs = cluster.psctl_json("jobs")["jobs"]
    assert [(job["kind"], job["state"]) for job in jobs] == [
        ("train", "running"), ("train", "cancelled"), ("predict", "done"), ("evaluate", "done"), ("train", "done")], jobs
    assert [model["name"] for model in cluster.psctl_json("models")["models"]] == ["first"]
    predictions = cluster.psctl("fetch", jobs[2]["id"], "--to", "-").stdout.splitlines()
    assert len(predictions) == 500 and json.loads(predictions[0])["class"] in range(4), predictions[:2]
    return jobs


def goes_on_from(version):
    """Its catalog is read, and its checkpoint: the job goes on where it was, and every row is trained once."""
    with Cluster() as cluster:
        try:
            take_over(cluster, version)
            jobs = what_had_ended_is_there(cluster)
            begun = cluster.job(jobs[0]["id"])["progress"]["epoch"]
            cluster.start_worker("w1", data=DATA)
            evaluated = cluster.psctl_json("evaluate", "first", DATA / "test-features.gz", DATA / "test-labels.gz")
            job = cluster.wait_job(jobs[0]["id"])
            was = cluster.job(jobs[3]["id"])["progress"]
            assert abs(evaluated["loss"] - was["test_loss"]) < 1e-6 and evaluated["accuracy"] == was["test_accuracy"], was
            assert begun > 1 and job["progress"]["samples"] == 60 * 2000, (begun, job)
        finally:
            shutil.rmtree(DATA, ignore_errors=True)


def a_data_dir_of_39b2b3d_is_taken_over():
    goes_on_from("39b2b3d")


def a_data_dir_of_eeb907e_is_taken_over():
    """The last whose checkpoints have settings by position."""
    goes_on_from("eeb907e")


run([a_data_dir_of_39b2b3d_is_taken_over, a_data_dir_of_eeb907e_is_taken_over])
