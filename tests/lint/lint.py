"""The house rules that a program can check: one process a rule, named by the first argument.

    lint.py RULE SOURCE_ROOT

Rules: length, borders, layers, registered, format, names, documents, asserts, threads. Prints file:line: what is
wrong; status 1 if any.
"""
import pathlib
import re
import shutil
import subprocess
import sys

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60

# folder -> what it may include of ours besides itself (prefixes)
BORDERS = {
    "common": ("common/", "psd/v1/", "psd/seal/", "grpc/"),
    "gpu": ("common/", "gpu/"),
    "server": ("common/", "psd/v1/", "server/"),
    "worker": ("common/", "psd/v1/", "gpu/", "worker/"),
    "client": ("common/", "psd/v1/", "client/"),
}

# header -> the only folders that may include it
PRIVATE = {
    r"uv\.h": ("common/loop/", "common/transport/"),
    r"nghttp2/.*": ("common/transport/",),
    r"openssl/.*": ("common/security/", "common/transport/"),
    r"sqlite3\.h": ("server/catalog/",),
    r"cblas\.h": ("gpu/cpu/",),
    r"cu(blas|da).*": ("gpu/cuda/",),
    r"(cyaml/.*|yaml\.h)": ("common/conf/",),
    r"microhttpd\.h": ("server/metrics/",),
    r"utf8proc\.h": ("common/base/", "common/tokenizer/"),
    r"zlib\.h": ("common/format/",),
    r"pcre2\.h": ("common/tokenizer/",),
    r"systemd/.*": ("common/base/",),
}

# Folders, lowest first: one may include only those before it.
LAYERS = (
    "common/base", "common/arch", "common/json", "common/codec", "common/form", "common/conf", "common/loop",
    "common/format", "common/tokenizer", "common/chat", "common/model", "common/record", "common/compress", "common/explain", "common/security", "common/signing", "common/seal", "common/age", "common/transport/tcp",
    "common/transport/tls", "common/transport/call", "common/transport/channel",
    "common/transport/server",
    "client/cli", "client/show", "client/report", "client/call", "client/follow", "client/commands", "client",
    "gpu", "gpu/cpu", "gpu/backends", "gpu/cuda",
    "server/guard", "server/quota", "server/optim", "server/record", "server/params", "server/consistency", "server/catalog",
    "server/sched", "server/sched/kinds", "server/metrics", "server/files", "server/durable",
    "server/runs", "server/service", "server",
    "worker/compress", "worker/data", "worker/layers", "worker/models", "worker/explain", "worker/conf", "worker/remote",
    "worker/exchange", "worker/task", "worker/job", "worker/tasks", "worker/link", "worker",
)

# Folders whose files have an order, too: by name without suffix, lowest first. A header that is
# the contract of several files is named with its suffix, and before them.
FILES = {
    "server/sched": (
        "task", "task_result", "sources", "output", "hello", "influence_check", "model_plan", "kept_sums",
        "partly_check", "job_file",
        "sched.h", "meter", "job_log", "lease_index", "outbox",
        "job_kind", "stage_past", "core", "book", "members", "worker", "waits", "send", "lease", "job_save",
        "job", "create", "finish", "stage", "assign", "watch", "turn", "watch_start", "recover", "attach",
        "worker_list", "reports", "jobs", "sched",
    ),
}


SUFFIXES = (".c", ".h", ".cc", ".cu")


def product_files(root, suffixes=SUFFIXES):
    for top in BORDERS:
        for path in sorted((root / top).rglob("*")):
            if path.suffix in suffixes:
                yield path, path.relative_to(root).as_posix()


def all_sources(root):
    yield from product_files(root)
    for path in sorted((root / "tests").rglob("*")):
        if path.suffix in SUFFIXES:
            yield path, path.relative_to(root).as_posix()


def rule_length(root):
    for path, name in all_sources(root):
        lines = path.read_text().splitlines()
        if len(lines) > MAX_FILE_LINES:
            yield f"{name}:{MAX_FILE_LINES}: {len(lines)} lines, at most {MAX_FILE_LINES}"
        start = None
        for number, line in enumerate(lines, 1):
            if line == "{":
                start = number
            elif line == "}" and start is not None:
                if number - start - 1 > MAX_FUNCTION_LINES:
                    yield (f"{name}:{start}: a function of {number - start - 1} lines, "
                           f"at most {MAX_FUNCTION_LINES}")
                start = None


def rule_borders(root):
    include = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')
    for path, name in product_files(root):
        top = name.split("/")[0]
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = include.match(line)
            if not found:
                continue
            kind, target = found.groups()
            if kind == '"' and not target.startswith(BORDERS[top]):
                yield f"{name}:{number}: {top} may not include {target}"
            for pattern, folders in PRIVATE.items():
                if re.fullmatch(pattern, target) and not name.startswith(folders):
                    yield f"{name}:{number}: {target} is for {', '.join(folders)} only"


OURS = re.compile(r'^\s*#\s*include\s+"([^"]+/[^"/]+\.h)"')


def place(name):
    """A file's folder, and its name in the order of that folder's files."""
    folder, base = name.rsplit("/", 1)
    return folder, base if base in FILES.get(folder, ()) else base.rsplit(".", 1)[0]


def points_up(name, target):
    """What is wrong with this include; None: nothing."""
    (folder, unit), (to, what) = place(name), place(target)
    if to not in LAYERS:
        return None
    if folder != to:
        up = LAYERS.index(to) > LAYERS.index(folder)
        return f"{folder} lies below {to}" if up else None
    order = FILES.get(folder)
    if not order or order.index(what) <= order.index(unit):
        return None
    return f"{unit} lies below {what}"


def rule_layers(root):
    for path, name in product_files(root):
        folder, unit = place(name)
        if folder not in LAYERS:
            yield f"{name}:1: {folder} is not in LAYERS"
            continue
        if unit not in FILES.get(folder, (unit,)):
            yield f"{name}:1: {unit} is not in FILES"
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = OURS.match(line)
            if not found:
                continue
            wrong = points_up(name, found.group(1))
            if wrong:
                yield f"{name}:{number}: {wrong}"


def rule_registered(root):
    listed = "".join(p.read_text() for p in (root / "tests").rglob("meson.build"))
    for path in sorted((root / "tests" / "unit").rglob("test_*.c")):
        name = path.relative_to(root / "tests" / "unit").as_posix()
        row = name.replace("test_", "", 1)[:-2] if "/" not in name else (
            name.rsplit("/", 1)[0] + "/" + path.stem[len("test_"):])
        if f"'{row}'" not in listed:
            yield f"tests/unit/{name}:1: not named in any meson.build as '{row}'"
    for path in sorted((root / "tests" / "integration").glob("test_*.py")):
        if f"'{path.stem[len('test_'):]}'" not in listed and f"'{path.name}'" not in listed:
            yield f"{path.relative_to(root)}:1: not named in tests/integration/meson.build"
    for path in sorted((root / "tests" / "fuzz").glob("fuzz_*.c")):
        if f"'{path.stem[len('fuzz_'):]}'" not in listed:
            yield f"{path.relative_to(root)}:1: not named in tests/fuzz/meson.build"


def rule_names(root):
    """A guard named by folder and file, and the house's own header first in each .c that has one."""
    for path, name in product_files(root):
        text = path.read_text()
        if path.suffix == ".h":
            guard = "_".join(["PS", *re.sub(r"[^A-Z0-9/]", "_", name[:-2].upper()).split("/")[-2:], "H"])
            if not re.search(rf"^#ifndef PS_(\w+_)?{guard[3:]}$", text, re.M):
                yield f"{name}:1: include guard {guard} expected"
        elif path.with_suffix(".h").exists():
            first = re.search(r'^#include\s+(\S+)', text, re.M)
            own = f'"{name[:-len(path.suffix)]}.h"'
            if not first or first.group(1) != own:
                yield f"{name}:1: {own} must be its first include"


def rule_format(root):
    if not shutil.which("clang-format"):
        sys.exit(77)
    files = [name for _, name in all_sources(root)]
    done = subprocess.run(["clang-format", "--dry-run", "-Werror", *files], cwd=root,
                          capture_output=True, text=True, check=False)
    for line in done.stderr.splitlines():
        if "error:" in line:
            yield line


TOPS = r"(?:client|common|server|worker|gpu|tests|deploy|proto|docs)"


def documents(root):
    yield from (p for p in sorted(root.glob("*.md")) if p.name != "CHANGELOG.md")
    for top in ("docs", *BORDERS, "deploy", "proto", "tests"):
        yield from (p for p in sorted((root / top).rglob("*.md")) if "/build/" not in p.as_posix())


# Row of docs/files.md -> the file that writes it, and what stands there: its version, or, without a group, once a version
VERSIONS = {
    "catalog": ("server/catalog/catalog.c", r'^    ".*",$'),
    "checkpoint": ("server/durable/checkpoint_file.c", r"magic\[8\] = .*, (\d+)\}"),
    "its config": ("server/durable/checkpoint_config.h", r"CONFIG_VERSION = (\d+)"),
    "its rows": ("server/params/ledger_save.c", r"\bVERSION = (\d+)"),
    "its windows": ("server/params/push_window.c", r"SAVE_VERSION = (\d+)"),
    "its progress": ("server/sched/kinds/kind_train.h", r"PS_TRAIN_PROGRESS = (\d+)"),
    "manifest": ("server/durable/manifest.c", r"psd-manifest (\d+)"),
    "token file": ("common/format/token_file.c", r"\bVERSION = (\d+)"),
}


def versions(root):
    """docs/files.md has the versions that are written."""
    text = (root / "docs/files.md").read_text()
    for what, (name, pattern) in VERSIONS.items():
        found = re.findall(pattern, (root / name).read_text(), re.M)
        version = found[0] if found and found[0].isdigit() else str(len(found))
        said = re.search(rf"^\| {what} \| [^|]* \| (\d+)", text, re.M)
        if not said or said.group(1) != version:
            yield f"docs/files.md:1: {what}: {name} writes version {version}, the table says {said and said.group(1)}"


LOCK = re.compile(r"^ *(?:static )?(?:ps_mutex|pthread_(?:mutex|rwlock)_t) \w+(?: = |;)", re.M)


def locks(root):
    """docs/threads.md names the file of each lock, in the order in which they may be taken."""
    text = (root / "docs/threads.md").read_text()
    for path, name in product_files(root):
        if LOCK.search(path.read_text()) and name != "common/base/mutex.h" and path.name not in text:
            yield f"docs/threads.md:1: the lock of {name} is not in the order of locks"


def rule_documents(root):
    """What documents name exists: links, paths of the tree, commands of psctl, keys of configuration, metrics;
    and versions of files, and locks, are all there."""
    commands = set(re.findall(r'\.name = "([a-z-]+)[ "]',
                              "".join(p.read_text() for p in (root / "client" / "commands").glob("*.c"))))
    examples = "".join(p.read_text() for p in (root / "deploy" / "examples").glob("*.yaml"))
    keys = set(re.findall(r"([a-z_0-9]+):", examples))
    metrics = "".join(p.read_text() for p in (root / "server").rglob("*.c"))
    for path in documents(root):
        name = path.relative_to(root).as_posix()
        for number, line in enumerate(path.read_text().splitlines(), 1):
            at = f"{name}:{number}:"
            for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", line):
                if "://" not in link and not (path.parent / link).exists():
                    yield f"{at} there is no {link}"
            for place in re.findall(rf"(?<![\w./-])({TOPS}/[\w./*-]*\w)", re.sub(r"\]\([^)]*\)", "]", line)):
                if not any(next(root.glob(place + end), None) for end in ("", ".c", ".h", ".cu")):
                    yield f"{at} there is no {place}"
            for command in re.findall(r"(?:`|^ {4,}|&& |sudo )psctl ([a-z][a-z-]*)", line):
                if command not in commands:
                    yield f"{at} psctl has no command {command}"
            for key in re.findall(r"`((?!ps_|grpc)(?:[a-z_]+\.)+[a-z_]+)(?:: [^`]*)?`", line):
                if not re.search(r"\.(c|h|cc|cu|md|py|sh|pem|key|yaml|json|proto|so|db|log|txt|bin|css|js)$", key) and not (
                        set(key.split(".")) <= keys):
                    yield f"{at} no configuration has the key {key}"
            for metric in re.findall(r"`(psd_[a-z_]+)`", line):
                if metric not in metrics:
                    yield f"{at} there is no metric {metric}"
    yield from versions(root)
    yield from locks(root)


# ---- what is asserted

ASSERT = re.compile(r"\b(?:PS_REQUIRE|ps_(?:\w+_)?require(?:_\w+)?|ps_sm_go)\(")
ASSERTS_A_THOUSAND = 10 # at least, in lines of .c and .h
ASSERTING = ("server", "worker", "common/transport", "common/loop")


def rule_asserts(root):
    """Enough of what the code rests on is asserted, in each of the folders that peers speak to. Prints the figures."""
    for folder in ASSERTING:
        lines = [line for path in sorted((root / folder).rglob("*")) if path.suffix in (".c", ".h")
                 for line in path.read_text().splitlines()]
        asserts = sum(len(ASSERT.findall(line)) for line in lines if not line.startswith("#define"))
        rate = 1000 * asserts / len(lines)
        print(f"{folder}: {asserts} asserts in {len(lines)} lines, {rate:.1f} a thousand")
        if rate < ASSERTS_A_THOUSAND:
            yield f"{folder}: {rate:.1f} asserts a thousand lines, at least {ASSERTS_A_THOUSAND}"
    for path, name in product_files(root):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if re.search(r"(?<!\w)assert\(", line):
                yield f"{name}:{number}: PS_REQUIRE (common/base/require.h) says more than assert"


# A comment that says on which thread, or with which lock, something may be done. "Any thread" demands nothing.
THREADS = re.compile(
    r"\bmutex\b|\block(?:ed)?\b|(?<!with )\bone thread\b(?! an? |'s)|not thread-safe|(?<!\w)\(gate"
    r"|(?:loop|task|stream)'s(?: own)? thread|on (?:the|its|that) (?:\w+'s )?loop\b"
    r"|\boff (?:the )?loops?\b|not on (?:a )?loops?\b"
    r"|all on (?:one|that) (?:loop|thread)", re.I)
ASSERTS_THREADS = re.compile(
    r"\bps_(?:\w+_)?(?:require_(?:on|off|held|free|locked|unlocked|entered)|one_thread_require|lock)\(")
NOT_ASSERTED = "not asserted"  # and why
OTHER_LOCKS = ("server/data_lock.h",)  # a file's, between processes


def words(text):
    """Comments of a C file, as running text."""
    return " ".join(re.sub(r"\s+\*?\s*", " ", c) for c in re.findall(r"/\*.*?\*/", text, re.S))


def rule_threads(root):
    """What a header demands of threads and locks is asserted by who implements it, or it says why not."""
    texts = {name: path.read_text() for path, name in product_files(root)}
    asserted = excused = 0
    for name, text in texts.items():
        if not name.endswith(".h") or name in OTHER_LOCKS:
            continue
        said = words(text)
        if not THREADS.search(said):
            continue
        if NOT_ASSERTED in said:
            excused += 1
            continue
        stem = name[:-len(".h")]
        own = [n for n in texts if n == stem + ".c" or n.startswith(stem + "_") and n.endswith(".c")]
        # without a file of its own: its folder's
        near = [n for n in texts if n.endswith(".c") and n.rsplit("/", 1)[0] == name.rsplit("/", 1)[0]]
        if any(ASSERTS_THREADS.search(texts[n]) for n in (own or near) + [name]):
            asserted += 1
        else:
            yield (f"{name}:1: '{THREADS.search(said).group(0)}': assert it where it is implemented "
                   f"(common/base/mutex.h, one_thread.h, common/loop/loop.h), or say '({NOT_ASSERTED}: why)'")
    print(f"{asserted} headers' rules of threads and locks are asserted, {excused} say why not")


def main():
    rule, root = sys.argv[1], pathlib.Path(sys.argv[2])
    found = list(globals()["rule_" + rule](root))
    print("\n".join(found))
    sys.exit(1 if found else 0)


main()
