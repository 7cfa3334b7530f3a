"""What `meson install` puts down works from there, and what it says of files is true there."""
import json
import os
import re
import shutil
import subprocess
import sys

import harness
from harness import BUILD, SLOW, SOURCE, Cluster, run


def option(name):
    found = subprocess.run(["meson", "introspect", "--buildoptions", BUILD], capture_output=True, text=True, check=True)
    return next(o["value"] for o in json.loads(found.stdout) if o["name"] == name)


class Installed(Cluster):
    """A cluster whose programs are those of an installation in a folder of its own."""

    def make_certificates(self):
        self.to = self.dir / "to"
        self.prefix = option("prefix")
        done = subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", self.to],
                              capture_output=True, text=True, timeout=120 * SLOW)
        assert done.returncode == 0, done.stdout + done.stderr
        for name in ("PSD", "PSWORKER", "PSCTL"):
            setattr(harness, name, self.at("bin", name.lower()))
        super().make_certificates()

    def at(self, *below):
        return self.to.joinpath(self.prefix.lstrip("/"), *below)

    def texts(self):
        """What people and programs read: {file: its text}, of all that was installed."""
        folders = [self.at("share"), *self.to.rglob("systemd"), *self.to.rglob("sysusers.d"), *self.to.rglob("tmpfiles.d")]
        files = {f for folder in folders for f in folder.rglob("*") if f.is_file()}
        return {str(f.relative_to(self.to)): f.read_text() for f in files}


def it_names_no_file_that_is_not_there():
    with Installed() as cluster:
        texts = cluster.texts()
        assert any(name.endswith("psd.service") for name in texts) or option("systemd") == "disabled", sorted(texts)
        assert any(name.endswith("man8/psd.8") for name in texts) and len(texts) > 20, sorted(texts)
        places = [re.escape(f"{cluster.prefix}/{part}/") + r"[\w@./-]*[\w]" for part in ("bin", "share")]
        named = 0
        for name, text in texts.items():
            assert str(SOURCE) not in text and str(BUILD) not in text, f"{name} names the folders it was made from"
            assert "deploy/" not in text, f"{name} names the source tree: {re.findall('.*deploy/.*', text)}"
            for path in re.findall("|".join(places), text):
                if path.startswith("/usr/share/datasets"):
                    continue
                named += 1
                assert os.path.exists(f"{cluster.to}{path}"), f"{name} names {path}, which was not installed"
        assert named >= 3, "units and examples name programs"
        etc = f"{option('sysconfdir')}/psd" if option("sysconfdir").startswith("/") \
            else f"{cluster.prefix}/{option('sysconfdir')}/psd"
        for name, text in texts.items():
            wrong = [m for m in re.findall(r"\S*/etc/psd", text) if not m.endswith(etc)]
            assert not wrong, f"{name} says {wrong}, and the daemons look in {etc}"
        assert etc in subprocess.run([harness.PSD, "--help"], capture_output=True, text=True).stdout


def programs_examples_and_the_client_in_python_work():
    with Installed() as cluster:
        examples = cluster.at("share/doc/psd/examples")
        made = subprocess.run([examples / "make-csv", cluster.dir], capture_output=True, text=True, timeout=60 * SLOW)
        assert made.returncode == 0, made.stderr
        cluster.start_server()
        cluster.start_worker("w1")
        job = cluster.dir / "job.yaml"
        job.write_text((examples / "csv-regression.yaml").read_text().replace("/usr/share/datasets/example", str(cluster.dir)))
        env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        done = subprocess.run([sys.executable, examples / "submit.py", f"localhost:{cluster.port}", cluster.certs, "alice", job],
                              capture_output=True, text=True, timeout=60 * SLOW, env=env, cwd=cluster.dir)
        assert done.returncode == 0 and "csv-regression: JOB_STATE_DONE" in done.stdout, done.stdout + done.stderr
        assert "csv-regression" in cluster.psctl("models").stdout
        for config in ("psd.yaml", "psworker.yaml"):  # every key of them is known; only the certificates are missing
            program = harness.PSD if config == "psd.yaml" else harness.PSWORKER
            said = subprocess.run([program, "--config", examples / config, "--check"], capture_output=True, text=True)
            assert said.returncode == 2 and re.search(r"tls/\S+: No such file", said.stdout + said.stderr), said
        if shutil.which("mandoc"):
            for page in cluster.at("share/man").rglob("*.?"):
                assert subprocess.run(["mandoc", "-T", "utf8", page], capture_output=True).stdout, page


run([it_names_no_file_that_is_not_there, programs_examples_and_the_client_in_python_work])
