"""train.lora: adapters beside products of a stored model. Only they are the job's parameters; the model that comes of it is
the stored one with B·A added by numpy, and its loss that of the job's last test; the adapter is PEFT's folder.
train.freeze: all but some parameters of it are."""
import json

import numpy as np

from harness import Cluster, as_it_ships, read_safetensors, run, wait_until
from language import MODELS, job, numpy_loss, write_tokens

RANK, ALPHA = 4, 8


def base_job(cluster, architecture):
    """Two epochs of all parameters: what there is to adapt."""
    text = job(cluster, architecture).replace("epochs: 12", "epochs: 2")
    return text.replace(f"name: {architecture}\n", f"name: base-{architecture}\n")


def lora_job(cluster, architecture, targets, more="", mode="bsp", rest=""):
    model = f"model: {MODELS[architecture]}\n"
    text = job(cluster, architecture, mode=mode, train=f"  lora: {{rank: {RANK}, alpha: {ALPHA}, targets: {targets}{more}}}\n")
    text = text.replace(model, f"initialize_from: base-{architecture}\n").replace("epochs: 12", "epochs: 4")
    return text.replace("0.002", "0.01") + rest


def stored(cluster, name):
    return read_safetensors(cluster.dir / "state" / cluster.psctl_json("model", name)["version"])[1]


def fetched(cluster, job_id):
    """The adapter's configuration and tensors."""
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        cluster.psctl("fetch", job_id, name, "-o", cluster.dir / name)
    metadata, tensors = read_safetensors(cluster.dir / "adapter_model.safetensors")
    return json.loads((cluster.dir / "adapter_config.json").read_text()), tensors, metadata


def merged(base, adapter, prefix, turned):
    out = {name: values.astype(np.float64) for name, values in base.items()}
    for name, a in adapter.items():
        if not name.endswith(".lora_A.weight"):
            continue
        b = adapter[name.replace("lora_A", "lora_B")].astype(np.float64)
        module = name.removeprefix("base_model.model." + prefix).removesuffix(".lora_A.weight")
        delta = ALPHA / RANK * (b @ a.astype(np.float64))
        out[module + ".weight"] += delta.T if turned else delta
    return out


def check(cluster, architecture, job_id, modules, turned, prefix=""):
    progress = cluster.job(job_id)["progress"]
    base, model = stored(cluster, f"base-{architecture}"), stored(cluster, architecture)
    config, adapter, metadata = fetched(cluster, job_id)
    assert config["r"] == RANK and config["lora_alpha"] == ALPHA and config["fan_in_fan_out"] == turned, config
    assert config["target_modules"] == modules and config["peft_type"] == "LORA", config
    assert json.loads(metadata["psd.base"])["model"] == f"base-{architecture}", metadata
    assert all(np.abs(values).max() > 0 for values in adapter.values()), "B is not trained"
    expected = merged(base, adapter, prefix, turned)
    assert set(expected) == set(model)
    changed = [name for name in model if not np.array_equal(model[name], base[name])]
    assert len(changed) == len(adapter) // 2, changed
    for name, values in model.items():
        np.testing.assert_allclose(values, expected[name], rtol=2e-7, atol=1e-9, err_msg=name)
    loss, _ = numpy_loss(architecture, model)
    before, _ = numpy_loss(architecture, base)
    assert abs(loss - progress["test_loss"]) < 1e-4, (loss, progress)
    assert loss < before - 0.01, (before, loss)  # .16 and more, mostly; what it begins from hangs on who came first


def the_folder_comes_back(cluster):
    """As PEFT would write it, too: scaled by the root of the rank, a module with an alpha of its own, bfloat16."""
    folder = cluster.dir / "adapter"
    folder.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (cluster.dir / name).rename(folder / name)
    said = json.loads((folder / "adapter_config.json").read_text())

    def comes(name, check=True, **changed):
        (folder / "adapter_config.json").write_text(json.dumps(said | changed))
        return cluster.psctl("import", folder, name, "--base", "base-gpt2", check=check)

    comes("again")
    model, same = stored(cluster, "gpt2"), stored(cluster, "again")
    assert all(np.array_equal(same[name], values) for name, values in model.items()) and set(model) == set(same)
    again = cluster.psctl_json("model", "again")
    assert (again["parent"], again["job_id"]) == ("base-gpt2", 0), again
    tree = cluster.psctl("models", "--tree").stdout.splitlines()
    assert any(line.startswith(("└ again", "├ again", "`-again", "|-again")) for line in tree), tree
    lineage = cluster.psctl("model", "again", "--lineage").stdout
    assert "base-gpt2" in lineage, lineage
    comes("root", use_rslora=True, alpha_pattern={"h.1.attn.c_attn": 3})
    base, adapter = stored(cluster, "base-gpt2"), read_safetensors(folder / "adapter_model.safetensors")[1]
    for layer, alpha in ((0, ALPHA), (1, 3)):
        a, b = (adapter[f"base_model.model.transformer.h.{layer}.attn.c_attn.lora_{half}.weight"].astype(np.float64) for half in "AB")
        name = f"h.{layer}.attn.c_attn.weight"
        expected = base[name].astype(np.float64) + alpha / RANK ** .5 * (b @ a).T
        np.testing.assert_allclose(stored(cluster, "root")[name], expected, rtol=2e-7, atol=1e-9)
    for why, changed in (("use_dora: DoRA scales", {"use_dora": True}), ("peft_type: it is no adapter of type", {"peft_type": "IA3"}),
                         ("modules_to_save: whole modules", {"modules_to_save": ["wte"]}), ("says 5 (r)", {"r": 5}),
                         ("c_attn, which target_modules", {"target_modules": ["c_fc"]})):
        done = comes("bad", check=False, **changed)
        assert done.returncode and why in done.stderr and done.stderr.count("\n") == 1, done.stderr
    done = cluster.psctl("import", folder, "bad", "--base", "none", check=False)
    assert "model 'none' does not exist" in done.stderr, done.stderr
    for path in (folder, folder / "adapter_model.safetensors"):
        done = cluster.psctl("import", path, "bad", check=False)
        assert f"psctl import --base MODEL {folder} NAME adds it to" in done.stderr and done.stderr.count("\n") == 1, done.stderr
    looked = cluster.psctl_json("inspect", folder / "adapter_model.safetensors")
    assert looked["kind"] == "adapter" and looked["rank"] == RANK and looked["adapters"] == 2, looked
    assert "bad" not in cluster.psctl("models").stdout
    assert not list((cluster.dir / "state/models").glob(".incoming*"))


def two_workers_train_adapters_of_gpt2_which_become_a_model_and_a_folder():
    with Cluster() as cluster:
        cluster.start_server()
        cluster.start_worker("w1")
        cluster.start_worker("w2")
        write_tokens(cluster)
        cluster.wait_job(cluster.submit(base_job(cluster, "gpt2")))
        cluster.wait_job(cluster.submit(lora_job(cluster, "gpt2", "[q]")))  # of another that had its name
        done = cluster.submit(lora_job(cluster, "gpt2", "[q, v]"))
        cluster.wait_job(done)
        check(cluster, "gpt2", done, ["c_attn"], turned=True, prefix="transformer.")
        the_folder_comes_back(cluster)


def all_products_of_llama_are_adapted_with_dropout():
    with Cluster() as cluster:
        cluster.start_server()
        cluster.start_worker("w1")
        write_tokens(cluster)
        cluster.wait_job(cluster.submit(base_job(cluster, "llama")))
        done = cluster.submit(lora_job(cluster, "llama", "all-linear", ", dropout: 0.1", mode="asp"))
        cluster.wait_job(done)
        check(cluster, "llama", done,
              ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"], turned=False)


def what_is_frozen_stays_and_is_not_psds():
    """Of gpt2, in a job that is trained by two workers, and of an mlp; a word that means nothing is said."""
    with Cluster() as cluster:
        cluster.start_server()
        cluster.start_worker("w1")
        cluster.start_worker("w2")
        write_tokens(cluster)
        cluster.wait_job(cluster.submit(base_job(cluster, "gpt2")))
        text = lora_job(cluster, "gpt2", "[q]").replace("lora: {rank: 4, alpha: 8, targets: [q]}", "freeze: [wte, wpe, h.0]")
        done = cluster.submit(text)
        progress = cluster.wait_job(done)["progress"]
        base, model = stored(cluster, "base-gpt2"), stored(cluster, "gpt2")
        for name, values in model.items():
            frozen = name.startswith(("wte.", "wpe.", "h.0."))
            assert np.array_equal(values, base[name]) == frozen, name
        loss, _ = numpy_loss("gpt2", model)
        assert abs(loss - progress["test_loss"]) < 1e-4, (loss, progress)
        assert loss < numpy_loss("gpt2", base)[0] - 0.05
        cluster.wait_job(cluster.submit(text))  # and again: it takes the place of the first
        for was, word, why in (("h.0]", "h.9]", "train.freeze: 'h.9' is no parameter of model base-gpt2"),
                               ("[wte, wpe, h.0]", "['*']", "train.freeze: nothing is left to be trained")):
            (cluster.dir / "job.yaml").write_text(text.replace(was, word))
            line = text[:text.index("freeze")].count("\n") + 1
            for flag in ((), ("--dry-run",)):
                done = cluster.psctl("submit", *flag, cluster.dir / "job.yaml", check=False)
                assert f"job.yaml:{line}: {why}" in done.stderr, done.stderr

        cluster.tiny_data()
        cluster.wait_job(cluster.submit(cluster.tiny_job(name="base")))
        text = cluster.tiny_job(name="head").replace("model: {architecture: mlp, layers: [16, 32, 4], activation: relu}",
                                                     "initialize_from: base")
        cluster.wait_job(cluster.submit(text.replace("train:\n  epochs", "train:\n  freeze: layers.0\n  epochs")))
        base, model = stored(cluster, "base"), stored(cluster, "head")
        assert {name for name in model if np.array_equal(model[name], base[name])} == {"layers.0.weight", "layers.0.bias"}


@as_it_ships
def after_a_restart_adapters_go_on_from_their_checkpoint():
    """psd is killed in the middle; base and checkpoint are all that it has."""
    with Cluster() as cluster:
        cluster.start_server()
        cluster.start_worker("w1")
        write_tokens(cluster)
        cluster.wait_job(cluster.submit(base_job(cluster, "gpt2")))
        text = lora_job(cluster, "gpt2", "[q, o]", rest="checkpoint: {every: 500ms}\n").replace("epochs: 4", "epochs: 20")
        done = cluster.submit(text)
        checkpoints = cluster.dir / f"state/checkpoints/{done}"
        wait_until("a checkpoint", lambda: list(checkpoints.glob("checkpoint-[1-9]*")), timeout=60)
        size = max(path.stat().st_size for path in checkpoints.glob("checkpoint-*"))
        cluster.server.kill()
        cluster.start_server()
        job_ = cluster.wait_job(done, timeout=120)
        assert "goes on from its checkpoint" in cluster.server.text(), cluster.server.text()[-2000:]
        base, model = stored(cluster, "base-gpt2"), stored(cluster, "gpt2")
        numbers = sum(values.size for values in base.values())
        assert size < 3 * 4 * numbers, (size, numbers)  # what all parameters with adamw's moments would be
        expected = merged(base, fetched(cluster, done)[1], "transformer.", turned=True)
        for name, values in model.items():
            np.testing.assert_allclose(values, expected[name], rtol=2e-7, atol=1e-9, err_msg=name)
        assert abs(numpy_loss("gpt2", model)[0] - job_["progress"]["test_loss"]) < 1e-4


if __name__ == "__main__":
    run([after_a_restart_adapters_go_on_from_their_checkpoint, what_is_frozen_stays_and_is_not_psds,
         two_workers_train_adapters_of_gpt2_which_become_a_model_and_a_folder,
         all_products_of_llama_are_adapted_with_dropout])
