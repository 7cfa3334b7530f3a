"""Makes common/tokenizer/scripts_table.h: which script each code point is of for UnicodeScripts of PyPI's `tokenizers`
(0.23.3), found by where the library cuts between two.

    python3 scripts.py     # in this folder; under a minute
"""
import pathlib

from tokenizers import pre_tokenizers

ROOT = pathlib.Path(__file__).parents[3]
CUT = pre_tokenizers.UnicodeScripts()
POINTS = [p for p in range(0x110000) if not 0xd800 <= p <= 0xdfff]
BLOCK = 2000


def apart(before, points):
    """Those that are cut off what is before them."""
    for i in range(0, len(points), BLOCK):
        block = points[i:i + BLOCK]
        starts = {start for _, (start, _) in CUT.pre_tokenize_str("".join(before + chr(p) for p in block))}
        yield from (p for k, p in enumerate(block) if 2 * k + 1 in starts)


def main():
    script = {}
    other = set(apart("a", POINTS))
    latin = set(apart("1", [p for p in POINTS if p not in other]))  # what is cut off neither is of any script: 0
    script.update(dict.fromkeys(latin, 1))
    left, number = sorted(other), 1
    while left:
        number += 1
        rest = set(apart(chr(left[0]), left))
        script.update(dict.fromkeys((p for p in left if p not in rest), number))
        left = sorted(rest)
    starts = [p << 8 | script.get(p, 0) for i, p in enumerate(POINTS)
              if not i or script.get(p, 0) != script.get(POINTS[i - 1], 0)]
    lines = ["    " + " ".join(f"0x{start:x}," for start in starts[i:i + 8]) for i in range(0, len(starts), 8)]
    (ROOT / "common/tokenizer/scripts_table.h").write_text("""\
/* scripts_table: the scripts of code points, as the library's table of Unicode 8 has them, hiragana and
 * katakana being Han; private to pre_unicode_scripts.c. Made by tests/golden/tokenizers/scripts.py. */
#ifndef PS_TOKENIZER_SCRIPTS_TABLE_H
#define PS_TOKENIZER_SCRIPTS_TABLE_H

#include <stdint.h>

/* From a code point on, << 8, and the number of its script; 0: of any. */
static const uint32_t script_starts[] = {
""" + "\n".join(lines) + "\n};\n\n#endif\n")


main()
