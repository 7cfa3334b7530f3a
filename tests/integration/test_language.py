"""Language models from a text to an evaluated model: tokenize, train by two workers, export, and the
same loss from numpy in float64."""

import numpy as np

from harness import Cluster, as_it_ships, read_safetensors, run
from language import job, numpy_loss, write_documents, write_prompts, write_tokens


def trained(model, mode="asp", train="", tolerance=1e-5, prompts=False):
    with Cluster() as cluster:
        write_tokens(cluster)
        cluster.start_server()
        cluster.start_worker("w1")
        cluster.start_worker("w2")
        progress = cluster.wait_job(cluster.submit(job(cluster, model, mode, train)), timeout=180)["progress"]
        assert progress["test_loss"] < 2.0, progress
        assert abs(progress["test_perplexity"] / np.exp(progress["test_loss"]) - 1) < 1e-6, progress
        assert f"test perplexity  {progress['test_perplexity']:.4f}" in cluster.psctl("model", model).stdout
        cluster.psctl("export", model, "-o", cluster.dir / "model.safetensors")
        _, tensors = read_safetensors(cluster.dir / "model.safetensors")
        loss, accuracy = numpy_loss(model, tensors)
        print(f"     {model} {mode}: loss {loss:.4f}, accuracy {accuracy:.3f}")
        assert abs(progress["test_loss"] - loss) < tolerance * loss, (progress, loss)
        assert abs(progress["test_accuracy"] - accuracy) < 0.001 + 100 * tolerance, (progress, accuracy)
        if prompts:  # of prompts with responses only these count
            learnt = write_prompts(cluster, cluster.dir / "prompts.tokens")
            loss, accuracy = numpy_loss(model, tensors, learnt)
            found = cluster.psctl_json("evaluate", model, cluster.dir / "prompts.tokens")
            assert abs(found["loss"] - loss) < tolerance * loss, (found, loss)
            assert abs(found["accuracy"] - accuracy) < 0.001, (found, accuracy)


@as_it_ships
def gpt2_trains_and_agrees_with_numpy():
    trained("gpt2", prompts=True)


@as_it_ships
def llama_trains_and_agrees_with_numpy():
    trained("llama")


@as_it_ships
def batches_add_up_and_blocks_are_computed_again_under_bsp():
    trained("gpt2", "bsp", "  accumulate: 2\n  recompute: true\n")


@as_it_ships
def documents_in_a_row_are_learnt_apart():
    """By two workers; numpy's rows are cut where documents begin."""
    with Cluster() as cluster:
        write_tokens(cluster)
        begins = write_documents(cluster, cluster.dir / "documents.tokens")
        cluster.start_server()
        cluster.start_worker("w1")
        cluster.start_worker("w2")
        spec = job(cluster, "llama").replace("format: tokens", "format: tokens\n  documents: apart")
        failed = cluster.wait_job(cluster.submit(spec), states=("failed",))
        assert "train.tokens does not mark where documents begin" in failed["reason"], failed["reason"]
        for name in ("train.tokens", "test.tokens"):
            spec = spec.replace(name, "documents.tokens")
        progress = cluster.wait_job(cluster.submit(spec), timeout=180)["progress"]
        cluster.psctl("export", "llama", "-o", cluster.dir / "model.safetensors")
        _, tensors = read_safetensors(cluster.dir / "model.safetensors")
        loss, accuracy = numpy_loss("llama", tensors, begins=begins)
        assert abs(progress["test_loss"] - loss) < 1e-5 * loss and loss < 4, (progress, loss)
        assert abs(progress["test_accuracy"] - accuracy) < 0.001, (progress, accuracy)
        found = cluster.psctl_json("evaluate", "llama", cluster.dir / "documents.tokens")  # as it was trained
        assert abs(found["loss"] - loss) < 1e-5 * loss, (found, loss)
        together, _ = numpy_loss("llama", tensors)
        assert abs(together - loss) > 0.01 * loss, (together, loss)


@as_it_ships
def bfloat16_trains_as_well():
    trained("llama", train="  precision: bf16\n", tolerance=0.01)


def what_does_not_fit_is_one_clear_line():
    with Cluster() as cluster:
        write_tokens(cluster)
        cluster.start_server()
        cluster.start_worker("w1")
        (cluster.dir / "train.tokens").write_bytes(b"PSDTOKEN" + bytes(100))
        failed = cluster.wait_job(cluster.submit(job(cluster, "gpt2")), states=("failed",))
        assert "train.tokens" in failed["reason"], failed["reason"]
        small = job(cluster, "llama").replace("vocab_size: 256", "vocab_size: 300").replace("train.tokens", "test.tokens")
        small = small.replace("tokenizer: bytes", "tokenizer: ''").replace("vocab_size: 300", "vocab_size: 64")
        failed = cluster.wait_job(cluster.submit(small), states=("failed",))
        assert "vocabulary of 256, but model.vocab_size is 64" in failed["reason"], failed["reason"]


if __name__ == "__main__":
    run([gpt2_trains_and_agrees_with_numpy, llama_trains_and_agrees_with_numpy,
         batches_add_up_and_blocks_are_computed_again_under_bsp, bfloat16_trains_as_well, documents_in_a_row_are_learnt_apart,
         what_does_not_fit_is_one_clear_line])
