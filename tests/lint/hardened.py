"""The programs are built so that a fault in them is hard to use: hardened.py PROGRAM…

Each is position-independent; what the dynamic linker has filled in is read-only before main (full RELRO); no page is both
written and run, nor the stack run; functions that write to arrays have canaries, and calls of the C library's that know the
size of what they write to check it; what may be jumped to is marked (CET, in force where the C library has it, too: not in Debian 12). Nothing of the
folder that it was built in is in it. By readelf, which knows nothing of how it was built; prints what is missing, status 1 if any.
"""
import pathlib
import platform
import re
import subprocess
import sys

FLAGS = re.compile(r"^\s*(GNU_STACK|LOAD)\s.*?\s([RWE ]{3})\s+0x", re.M)


def readelf(*arguments):
    return subprocess.run(["readelf", "--wide", *arguments], capture_output=True, text=True, check=True).stdout


def missing(program, folders):
    header, segments, dynamic, symbols = (readelf(flag, program) for flag in ("-h", "-l", "-d", "--dyn-syms"))
    if "DYN (Position-Independent Executable file)" not in header and "DYN (Shared object file)" not in header:
        yield "it is not position-independent"
    if "GNU_RELRO" not in segments or not re.search(r"FLAGS.*BIND_NOW|FLAGS_1.*NOW", dynamic):
        yield "no full RELRO"
    kinds = FLAGS.findall(segments)
    if not any(kind == "GNU_STACK" for kind, _ in kinds):
        yield "it does not say that the stack is not run"
    for kind, rights in kinds:
        if "W" in rights and "E" in rights:
            yield f"{kind} is written and run"
    if "__stack_chk_fail" not in symbols:
        yield "no canaries"
    if not re.search(r"__\w+_chk(@|$)", symbols.replace("__stack_chk_fail", ""), re.M):
        yield "no checked calls (_FORTIFY_SOURCE)"
    if "TEXTREL" in dynamic:
        yield "its code is written to when it is loaded"
    text = pathlib.Path(program).read_bytes()
    if platform.machine() == "x86_64" and text.count(b"\xf3\x0f\x1e\xfa") < 1000:
        yield "places that may be jumped to are not marked (endbr64)"
    for folder in folders:
        if folder.encode() in text:
            yield f"the folder {folder} is in it"


def main():
    folders = [str(pathlib.Path(__file__).resolve().parents[2]) + "/"]
    bad = [f"{program}: {what}" for program in sys.argv[1:] for what in missing(program, folders)]
    print("\n".join(bad))
    return 1 if bad else 0


sys.exit(main())
