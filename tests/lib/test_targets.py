"""Prints what meson's tests of some suites need built, for ninja: test_targets.py BUILD_FOLDER SUITE... [--but SUITE...],
all: what is built by default. --but: less what only tests of these suites need."""
import json
import os
import subprocess
import sys

folder, suites = sys.argv[1], sys.argv[2:]
but = suites.index("--but") if "--but" in suites else len(suites)
suites, left_out = set(suites[:but]), set(suites[but + 1:])


def introspect(what):
    return json.loads(subprocess.run(["meson", "introspect", "--" + what, folder], check=True, capture_output=True).stdout)


def needed_by(tests):
    return {target for test in tests for target in test["depends"]}


def any_of(suites, test):
    return bool(suites & {suite.split(":")[-1] for suite in test["suite"]})


targets, tests = introspect("targets"), introspect("tests")
kept = [test for test in tests if not any_of(left_out, test)]
if "all" in suites:
    wanted = {target["id"] for target in targets if target["build_by_default"]}
    wanted -= needed_by(test for test in tests if any_of(left_out, test)) - needed_by(kept)
else:
    wanted = needed_by(test for test in kept if any_of(suites, test))
print("\n".join(sorted({os.path.relpath(file, os.path.abspath(folder))
                        for target in targets if target["id"] in wanted for file in target["filename"]})))
