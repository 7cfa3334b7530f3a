"""Prints what meson's tests of some suites need built, for ninja: test_targets.py BUILD_FOLDER SUITE...
or, with "all --but SUITE...", all that is built by default but what only tests of those suites need."""
import json
import os
import subprocess
import sys

folder, suites = sys.argv[1], set(sys.argv[2:])


def introspect(what):
    return json.loads(subprocess.run(["meson", "introspect", "--" + what, folder], check=True, capture_output=True).stdout)


def needed_by(tests):
    return {target for test in tests for target in test["depends"]}


def of_suites(test):
    return bool(suites & {suite.split(":")[-1] for suite in test["suite"]})


targets, tests = introspect("targets"), introspect("tests")
wanted = needed_by(test for test in tests if of_suites(test))
if "--but" in suites:
    wanted -= needed_by(test for test in tests if not of_suites(test))
    wanted = {target["id"] for target in targets if target["build_by_default"]} - wanted
print("\n".join(sorted({os.path.relpath(file, os.path.abspath(folder))
                        for target in targets if target["id"] in wanted for file in target["filename"]})))
