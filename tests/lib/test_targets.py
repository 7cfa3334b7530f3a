"""Prints what meson's tests of some suites need built, for ninja: test_targets.py BUILD_FOLDER SUITE..."""
import json
import os
import subprocess
import sys

folder, suites = sys.argv[1], set(sys.argv[2:])


def introspect(what):
    return json.loads(subprocess.run(["meson", "introspect", "--" + what, folder], check=True, capture_output=True).stdout)


files = {target["id"]: target["filename"] for target in introspect("targets")}
needed = set()
for test in introspect("tests"):
    if suites & {suite.split(":")[-1] for suite in test["suite"]}:
        for target in test["depends"]:
            needed.update(os.path.relpath(file, os.path.abspath(folder)) for file in files[target])
print("\n".join(sorted(needed)))
