"""Prints how a run of tests/run went, from what it left in FOLDER: the time of each phase, the slowest tests, the
end of what each failed test printed, and the closing line that adds up meson's results: a log of which only the end is
kept tells what failed, and how. Status 1 if something failed or no test ran."""
import json
import pathlib
import re
import sys

SLOWEST = 10
TAIL = 40  # lines of either stream


def seconds(text):
    """Of what the shell's `times` prints: 1m2.5s 0m0.25s."""
    return sum(60 * float(m) + float(s) for m, s in re.findall(r"(\d+)m([\d.]+)s", text))


def phases(folder):
    """Rows (begin, end, name, processor seconds), in the order of their beginning. A file a phase: a line of the first
    three, and `times` of the shell that it had to itself."""
    files = [path.read_text().split("\n", 1) for path in folder.glob("*.phase")]
    rows = [(*head.split(" ", 2), seconds(used)) for head, used in files]
    return sorted((float(begin), float(end), name, used) for begin, end, name, used in rows)


def print_phases(rows):
    """Phases may be beside each other: all of them take less than their sum."""
    begin, end = min(row[0] for row in rows), max(row[1] for row in rows)
    print(f"{'from':>9} {'seconds':>9} {'processor':>9}")
    for start, over, name, used in [*rows, (begin, end, "all", sum(row[3] for row in rows))]:
        print(f"{start - begin:9.1f} {over - start:9.1f} {used:9.1f}  {name}")


def print_slowest(tests):
    print("the slowest tests:")
    for suite, test in sorted(tests, key=lambda row: row[1]["duration"], reverse=True)[:SLOWEST]:
        print(f"{test['duration']:9.1f}  {suite}: {test['name'].split(' / ')[-1]}")


def failed(test):
    return test["result"] not in ("OK", "EXPECTEDFAIL", "SKIP")


def print_failed(tests):
    """stdout comes last: an integration test has its traceback there, and on stderr the logs of its daemons."""
    for suite, test in tests:
        for stream in ("stderr", "stdout") if failed(test) else ():
            lines = test.get(stream, "").splitlines()
            if lines:
                print(f"---- {suite}: {test['name']}: the end of its {stream}, {len(lines)} lines")
                print(*lines[-TAIL:], sep="\n")


def count(tests, broken):
    """broken: builds, and runs of tests, that did not come to an end."""
    passed = skipped = 0
    bad = len(broken)
    for what in broken:
        print(f"failed: {what}")
    for suite, test in tests:
        if failed(test):
            bad += 1
            print(f"failed: {suite}: {test['name']} ({test['result']})")
        elif test["result"] == "SKIP":
            skipped += 1
            print(f"skipped: {suite}: {test['name']}")
        else:
            passed += 1
    print(f"{passed} passed, {bad} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if bad or not passed else 0


def main(folder):
    tests = [(path.stem, json.loads(line)) for path in sorted(folder.glob("*.json"))
             for line in path.read_text().splitlines()]
    broken = folder / "failed"
    print_phases(phases(folder))
    print_slowest(tests)
    print_failed(tests)
    return count(tests, broken.read_text().splitlines() if broken.exists() else [])


sys.exit(main(pathlib.Path(sys.argv[1])))
