"""The manual pages are well-formed and know everything that there is to know.

    manuals.py SOURCE_ROOT PSCTL

mandoc finds no fault; every key of the example files is in the page of that file, every command and flag of
psctl in psctl(1), every flag of the daemons in theirs, every metric in psd(8); no line of psctl's help is too long for
a terminal. Prints what is missing; status 1 if any.
"""
import pathlib
import re
import shutil
import subprocess
import sys

ROOT, PSCTL = pathlib.Path(sys.argv[1]), sys.argv[2]
MAN = ROOT / "deploy/man"
EXAMPLES = ROOT / "deploy/examples"


def page(name):
    """The page as plain text, without the spaces of justified lines."""
    done = subprocess.run(["mandoc", "-T", "ascii", str(MAN / name)], capture_output=True, text=True, check=True)
    plain = re.sub(r".\x08", "", done.stdout)
    return re.sub(r"\s+", " ", plain)


def faults():
    for path in sorted(MAN.iterdir()):
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", str(path)], capture_output=True, text=True,
                              check=False)
        yield from done.stdout.splitlines()


def keys(path):
    """The dotted keys of an example file in block style, those in comments too."""
    above = []
    for line in path.read_text().splitlines():
        found = re.match(r"( *)(?:# ?( *))?([a-z_0-9]+):( |$)(.*)", line)
        if not found:
            continue
        depth = (len(found[1]) + len(found[2] or "")) // 2
        above[depth:] = [found[3]]
        value = found[5]
        for inner in re.findall(r"[{,] *([a-z_]+):", value):
            yield ".".join(above + [inner])
        if value and not value.startswith(("{", "#")):
            yield ".".join(above)


def flags(options):
    """The flags of a daemon: the rows of its table."""
    return re.findall(r'^\s*\[[A-Z_]+\] = \{"([a-z-]+)"', (ROOT / options).read_text(), re.M)


def missing():
    for name, example in (("psd.yaml.5", "psd.yaml"), ("psctl-job.5", "fashion-mlp.yaml"),
                          ("psworker.8", "psworker.yaml")):
        text, n = page(name), 0
        for key in keys(EXAMPLES / example):
            n += 1
            if not re.search(rf"(?<![\w.]){re.escape(key)}(?![\w])", text):
                yield f"{name}: key {key} is missing"
        if n < 10:
            yield f"{example}: only {n} keys found, this test is blind"
    for name, options in (("psd.8", "server/options.c"),
                          ("psworker.8", "worker/conf/worker_options.c")):
        text, names = page(name), flags(options)
        for flag in names:
            if f"--{flag}" not in text:
                yield f"{name}: --{flag} is missing"
        if len(names) < 5:
            yield f"{options}: only {len(names)} flags found, this test is blind"
    text, n = page("psd.8"), 0
    said = [re.escape(name).replace(r"\*", ".*") for name in re.findall(r"\b(?:psd|process|grpc_server)_[a-z_]*\*?", text)]
    for path in sorted((ROOT / "server").rglob("*.c")):
        for metric in re.findall(r'"((?:psd|process|grpc_server)_[a-z_]+)"', path.read_text()):
            n += 1
            if not any(re.fullmatch(name, metric) for name in said):
                yield f"psd.8: metric {metric} is missing"
    if n < 20:
        yield f"only {n} metrics found, this test is blind"
    text = page("psctl.1")

    def words(*what):
        return subprocess.run([PSCTL, "__complete", *what], capture_output=True, text=True,
                              check=True).stdout.splitlines()

    commands = words("commands")
    commands += [f"{c} {sub}" for c in commands for sub in words("commands", c)]
    if len(commands) < 20:
        yield f"only {len(commands)} commands found, this test is blind"
    for command in commands:
        if command not in text:
            yield f"psctl.1: command {command} is missing"
        said = subprocess.run([PSCTL, "help", *command.split()], capture_output=True, text=True, check=False).stdout
        yield from (f"psctl help {command}: a line of more than 80 columns: {line}"
                    for line in said.splitlines() if len(line) > 80)
        for flag in words("flags", command):
            if flag.split()[0] not in text:
                yield f"psctl.1: {command} {flag.split()[0]} is missing"


if not shutil.which("mandoc"):
    sys.exit(77)
found = [*faults(), *missing()]
print("\n".join(found))
sys.exit(1 if found else 0)
