"""Prints how a run of tests/run went, from what it left in FOLDER: the time of each phase, the slowest tests, and
the closing line that adds up meson's results. Status 1 if a test failed or none ran."""
import json
import pathlib
import re
import sys

SLOWEST = 10


def seconds(text):
    """Of what the shell's `times` prints: 1m2.5s 0m0.25s."""
    return sum(60 * float(m) + float(s) for m, s in re.findall(r"(\d+)m([\d.]+)s", text))


def phases(file):
    """Rows [name, seconds, processor seconds]; three lines a phase: its start and name, `times` of the shell and of
    what it has waited for. The last one begins where all is over."""
    lines = file.read_text().splitlines()
    starts = [(*lines[i].split(" ", 1), seconds(lines[i + 1]) + seconds(lines[i + 2])) for i in range(0, len(lines), 3)]
    return [(name, float(then) - float(now), used_then - used)
            for (now, name, used), (then, _, used_then) in zip(starts, starts[1:])]


def print_phases(rows):
    print(f"{'seconds':>9} {'processor':>9}")
    for name, wall, used in [*rows, ("all", sum(row[1] for row in rows), sum(row[2] for row in rows))]:
        print(f"{wall:9.1f} {used:9.1f}  {name}")


def print_slowest(tests):
    print("the slowest tests:")
    for suite, test in sorted(tests, key=lambda row: row[1]["duration"], reverse=True)[:SLOWEST]:
        print(f"{test['duration']:9.1f}  {suite}: {test['name'].split(' / ')[-1]}")


def count(tests):
    passed = failed = skipped = 0
    for suite, test in tests:
        if test["result"] in ("OK", "EXPECTEDFAIL"):
            passed += 1
        elif test["result"] == "SKIP":
            skipped += 1
            print(f"skipped: {suite}: {test['name']}")
        else:
            failed += 1
            print(f"failed: {suite}: {test['name']} ({test['result']})")
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


def main(folder):
    tests = [(path.stem, json.loads(line)) for path in sorted(folder.glob("*.json"))
             for line in path.read_text().splitlines()]
    print_phases(phases(folder / "phases"))
    print_slowest(tests)
    return count(tests)


sys.exit(main(pathlib.Path(sys.argv[1])))
