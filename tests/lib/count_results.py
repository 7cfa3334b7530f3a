"""Adds up meson's test results (FOLDER/*.json) and prints the closing line of tests/run."""
import json
import pathlib
import sys

passed = failed = skipped = 0
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.json")):
    for line in path.read_text().splitlines():
        test = json.loads(line)
        if test["result"] in ("OK", "EXPECTEDFAIL"):
            passed += 1
        elif test["result"] == "SKIP":
            skipped += 1
            print(f"skipped: {path.stem}: {test['name']}")
        else:
            failed += 1
            print(f"failed: {path.stem}: {test['name']} ({test['result']})")
print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
sys.exit(1 if failed or not passed else 0)
