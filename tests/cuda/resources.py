"""What ptxas said of the kernels in each file given: each must fit a GPU.

    resources.py FILE.resources …

No spills and no stack (an array of registers that is not one), registers of all threads of a block
within the 65536 of an SM, shared memory within the 48 KiB that every GPU has. Each kernel is
judged by the largest block that any of them is launched with.
"""
import re
import sys

REGISTERS = 65536
SHARED = 48 << 10
THREADS = 256
KERNEL = re.compile(r"Compiling entry function '(\S+)' for '(\S+)'")
STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers(?:.*?(\d+) bytes smem)?")


def faults(text):
    """Yields what is wrong, and at the end the number of kernels."""
    kernel, count = "", 0
    for line in text.splitlines():
        if found := KERNEL.search(line):
            kernel, count = " ".join(found.groups()), count + 1
        elif found := STACK.search(line):
            if any(int(n) for n in found.groups()):
                yield f"{kernel}: {found.group(0)}"
        elif found := USED.search(line):
            registers, shared = int(found.group(1)), int(found.group(2) or 0)
            # registers are given to a warp in units of 256
            if (registers + 7) // 8 * 8 * THREADS > REGISTERS:
                yield f"{kernel}: {registers} registers × {THREADS} threads"
            if shared > SHARED:
                yield f"{kernel}: {shared} bytes of shared memory"
    yield count


def main():
    kernels, wrong = 0, []
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as file:
            *found, count = faults(file.read())
        if count == 0:
            wrong.append(f"{path}: ptxas named no kernel")
        kernels += count
        wrong += found
    print("\n".join(wrong) or f"{kernels} kernels fit")
    sys.exit(1 if wrong or not kernels else 0)


main()
