"""Models leave psd encrypted for people, whose age -d (Debian's) opens them, and come back by psctl import --identity."""
import os
import pathlib
import subprocess
import sys

from harness import PSCTL, SOURCE, Cluster, run, wait_until

sys.path.insert(0, str(pathlib.Path(SOURCE) / "tests/golden/hf"))
import make as hf  # noqa: E402
from test_lineage import signers  # noqa: E402

TOKENIZER, VOCAB, MERGES = (pathlib.Path(SOURCE) / "tests/golden/tokenizer" / n for n in ("tokenizer.json", "vocab.json", "merges.txt"))


def keygen(cluster, name):
    """A file of age-keygen's, and the recipient in it."""
    path = cluster.dir / f"{name}.txt"
    subprocess.run(["age-keygen", "-o", path], check=True, capture_output=True)
    return path, subprocess.run(["age-keygen", "-y", path], check=True, capture_output=True, text=True).stdout.strip()


def age(identity, path):
    """As a person does it."""
    return subprocess.run(["age", "-d", "-i", identity, path], check=True, capture_output=True).stdout


def age_for(recipients, data, path):
    """A file that age made."""
    subprocess.run(["age", "-o", path, *(word for r in recipients for word in ("-r", r))], input=data, check=True)


def refused(cluster, *arguments, words, status):
    before = sorted(cluster.dir.iterdir())
    done = cluster.psctl(*arguments, check=False)
    lines = done.stderr.splitlines()
    assert done.returncode == status and len(lines) == 1 and words in lines[0], (done.returncode, done.stderr)
    assert sorted(cluster.dir.iterdir()) == before, "it has left something"
    return lines[0]


def exports_open_for_each_recipient_and_for_nobody_else(cluster, keys, recipients):
    other, _ = keygen(cluster, "other")
    flags = [word for r in recipients for word in ("--recipient", r)]
    for form, ending in (("safetensors", ".safetensors"), ("gguf", ".gguf")):
        plain, encrypted = cluster.dir / f"plain{ending}", cluster.dir / f"model{ending}.age"
        said = cluster.psctl_json("export", "gpt2", "--format", form, "-o", plain)
        assert said["recipients"] == 0
        said = cluster.psctl_json("export", "gpt2", "--format", form, "-o", encrypted, *flags)
        assert said["recipients"] == 2 and said["bytes"] == plain.stat().st_size
        data = plain.read_bytes()
        for key in keys:
            assert age(key, encrypted) == data, (form, key)
        assert subprocess.run(["age", "-d", "-i", other, encrypted], capture_output=True, check=False).returncode
        assert data[1000:1032] not in encrypted.read_bytes()
        # into a pipe
        piped = subprocess.run([str(PSCTL), *cluster.flags(), "export", "gpt2", "--format", form, "-o", "-", *flags],
                               check=True, capture_output=True).stdout
        assert subprocess.run(["age", "-d", "-i", keys[0]], input=piped, check=True, capture_output=True).stdout == data
        # and back, with the one key as with the other; of GGUF the numbers are float16 now
        cluster.psctl("import", encrypted, "back", "--identity", keys[1], "--replace")
        cluster.psctl("export", "back", "--format", form, "-o", cluster.dir / "back", "--force")
        assert (cluster.dir / "back").read_bytes() == data, form
        with encrypted.open("rb") as file, keys[0].open("rb") as key:
            for command in (["-", "back", "-i", keys[0]], [encrypted, "back", "-i", "-"]):
                subprocess.run([str(PSCTL), *cluster.flags(), "import", *command, "--replace"], check=True, capture_output=True,
                               stdin=file if command[0] == "-" else key)
        # who names a plain file means it, whatever lies beside it
        beside = encrypted.with_suffix("")
        beside.write_bytes(b"")
        refused(cluster, "import", beside, "no", "-i", keys[0], words=f"{beside} is empty", status=6)
        beside.unlink()
        refused(cluster, "import", encrypted, "no", "--identity", other, status=7,
                words="it is encrypted for others: 2 recipients, and the identity given is not one of them")
        refused(cluster, "import", encrypted, "no", status=6, words="is encrypted by age; --identity FILE opens it")


def a_folder_is_encrypted_file_by_file(cluster, keys, recipients):
    flags = [word for r in recipients for word in ("-r", r)]
    plain, folder = cluster.dir / "hf", cluster.dir / "hf-age"
    cluster.psctl("export", "gpt2", "--format", "hf", "-o", plain)
    cluster.psctl("export", "gpt2", "--format", "hf", "-o", folder, *flags)
    assert {p.name for p in folder.iterdir()} == {p.name + ".age" for p in plain.iterdir()}
    for path in plain.iterdir():
        for key in keys:
            assert age(key, folder / f"{path.name}.age") == path.read_bytes(), path
    cluster.psctl("import", folder, "back", "-i", keys[0], "--replace")
    cluster.psctl("export", "back", "--format", "hf", "-o", cluster.dir / "hf-back")
    for path in plain.iterdir():
        assert (cluster.dir / "hf-back" / path.name).read_bytes() == path.read_bytes(), path
    refused(cluster, "import", folder, "no", status=5, words="its files are encrypted by age, and --identity FILE opens them")
    weights = (folder / "model.safetensors.age").read_bytes()
    age_for(recipients, b"{}", folder / "model.safetensors.age")
    refused(cluster, "import", folder, "no", "-i", keys[0], status=6, words="model.safetensors is JSON")
    (folder / "model.safetensors.age").write_bytes(weights)
    # somebody else's, in shards, its tokenizer in two files, and one of all left plain
    shards, ends = cluster.dir / "shards", {}
    hf.write(shards, "gpt2", shards=2, extras=True, tokenizer=[VOCAB, MERGES])
    for encrypted in (False, True):
        for path in list(shards.iterdir()) if encrypted else []:
            if path.name != "merges.txt":
                age_for(recipients, path.read_bytes(), path.with_name(path.name + ".age"))
                path.unlink()
        cluster.psctl("import", shards, "back", *(["-i", keys[1]] if encrypted else []), "--replace")
        cluster.psctl("export", "back", "-o", cluster.dir / "ends", "--force")
        ends[encrypted] = (cluster.dir / "ends").read_bytes()
    assert ends[True] == ends[False]
    # plain files that a folder has from before are not left in silence
    said = cluster.psctl("export", "gpt2", "--format", "hf", "-o", plain, "--force", *flags).stderr
    assert f"{plain}/model.safetensors was there before and is not encrypted" in said, said


def what_is_signed_is_what_lies_there(cluster, keys, recipients):
    """The encrypted files: who has no key can check whom they are from."""
    sign, check, _ = signers(cluster)
    for form in ("safetensors", "hf"):
        folder, plain = cluster.dir / f"signed-{form}", cluster.dir / ("plain.safetensors" if form == "safetensors" else "hf/model.safetensors")
        cluster.psctl("export", "gpt2", "--format", form, "-o", folder, "--sign", *sign, "-r", recipients[0])
        assert all(p.suffix == ".age" for p in folder.iterdir() if p.name != "model.sig"), list(folder.iterdir())
        cluster.psctl("model", "verify", folder, *check)
        (model,) = folder.glob("*.safetensors.age")
        assert age(keys[0], model) == plain.read_bytes()
        cluster.psctl("import", folder if form == "hf" else model, "back", "-i", keys[0], "--replace")
        age_for(recipients[:1], plain.read_bytes(), model)  # the same numbers, encrypted by somebody else
        done = cluster.psctl("model", "verify", folder, *check, check=False)
        assert done.returncode and model.name in done.stderr, done.stderr


def what_is_no_age_file_for_us_is_refused_in_a_line(cluster, keys, recipients):
    whole = cluster.dir / "model.safetensors.age"
    data, broken = whole.read_bytes(), cluster.dir / "broken.age"
    age_for(recipients, age(keys[0], whole), cluster.dir / "by-age")  # not named .age
    cluster.psctl("import", cluster.dir / "by-age", "back", "-i", keys[0], "--replace")

    def refuses(change, words, status=6):
        broken.write_bytes(change)
        refused(cluster, "import", broken, "no", "-i", keys[0], words=words, status=status)

    refuses(data[:-1], "of the age file does not authenticate")
    refuses(data[:100], "the header of an age file is damaged, line 3: it ends there")
    refuses(data + b"x", "of the age file does not authenticate")
    refuses(data[:-40] + bytes([data[-40] ^ 1]) + data[-39:], "of the age file does not authenticate")
    middle = 70000
    refuses(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1:], "chunk 1 of the age file does not authenticate")
    refuses(data.replace(b"-> X25519", b"-> x25519"), "encrypted for recipients of kind x25519", status=7)
    refuses(data.replace(b"age-encryption.org/v1", b"age-encryption.org/v2"), "an age file of version v2", status=7)
    refuses(b"age-encryption.org/v1\n" + b"-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
            b"hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n" * 100000, "of more than 128 KiB")
    armored = subprocess.run(["age", "-a", "-r", recipients[0]], input=b"text", check=True, capture_output=True).stdout
    refuses(armored, "an age file in armor, as text, is not read here: age -d opens it", status=7)
    broken.unlink()
    assert "no" not in [m["name"] for m in cluster.psctl_json("models")["models"]]

    open_to_all = cluster.dir / "open.txt"
    open_to_all.write_bytes(keys[0].read_bytes())
    open_to_all.chmod(0o644)
    refused(cluster, "import", whole, "no", "-i", open_to_all, words="others may read it (mode 644): chmod 600", status=7)
    out = cluster.dir / "out.age"
    refused(cluster, "export", "gpt2", "-o", out, "-r", "age1hello", words="--recipient: age1hello: it has 5 letters", status=2)
    refused(cluster, "export", "gpt2", "-o", out, "-r", keys[0].read_text().split()[-1], words="that is a secret identity", status=2)


def the_operators_recipients_are_always_added(cluster, keys, recipients):
    escrow, escrow_recipient = keygen(cluster, "escrow")
    config = cluster.dir / "psd.yaml"
    cluster.server.stop()
    server = cluster.start_server("sealing: {export_recipients: [age1hello]}", wait=False)
    wait_until("it gives up", lambda: not server.alive())
    assert "sealing.export_recipients: age1hello" in server.text(), server.text()
    cluster.processes.remove(server)
    cluster.start_server(f"sealing: {{export_recipients: [{escrow_recipient}]}}")
    for form, ending in (("safetensors", ".safetensors.age"), ("gguf", ".gguf.age")):
        os.chdir(cluster.dir)
        said = cluster.psctl_json("export", "gpt2", "--format", form, "-r", recipients[0])
        assert (said["file"], said["recipients"]) == (f"gpt2{ending}", 2)
        data = age(escrow, cluster.dir / f"gpt2{ending}")
        assert data == age(keys[0], cluster.dir / f"gpt2{ending}")
    refused(cluster, "export", "gpt2", "-o", cluster.dir / "x", status=2,
            words=f"name who is to open this one besides, --recipient age1…, or again one of its own, {escrow_recipient}")
    only = cluster.psctl_json("export", "gpt2", "-r", escrow_recipient, "--force")
    assert only["recipients"] == 1 and age(escrow, cluster.dir / "gpt2.safetensors.age")
    # the list is read again while psd runs
    config.write_text(config.read_text().replace(escrow_recipient, recipients[1]))
    cluster.psctl("reload", who="root")  # in force when it answers
    cluster.psctl("export", "gpt2", "-r", recipients[0], "--force")
    assert age(keys[1], cluster.dir / "gpt2.safetensors.age")
    assert subprocess.run(["age", "-d", "-i", escrow, cluster.dir / "gpt2.safetensors.age"], capture_output=True, check=False).returncode


def models_leave_and_come_back():
    with Cluster() as cluster:
        cluster.start_server()
        hf.write(cluster.dir / "in", "gpt2", tokenizer=[TOKENIZER])
        cluster.psctl("import", cluster.dir / "in", "gpt2")
        keys, recipients = zip(*(keygen(cluster, name) for name in ("first", "second")))
        for part in (exports_open_for_each_recipient_and_for_nobody_else, a_folder_is_encrypted_file_by_file, what_is_signed_is_what_lies_there,
                     what_is_no_age_file_for_us_is_refused_in_a_line, the_operators_recipients_are_always_added):
            part(cluster, keys, recipients)


run([models_leave_and_come_back])
