"""Makes common/tokenizer/classes_new.h: what Unicode 15 and 16 assigned, and where PyPI's `tokenizers` (0.23.3) is of
an older Unicode.

    python3 unicode.py     # in this folder; Python 3.11, whose unicodedata is of Unicode 14, as PCRE2 10.42 is

The library's regular expressions are of Unicode 16, and each code point is asked for by \\p{Lu} and so on: that is the
table of new ones, as utf8proc 2.8 is of Unicode 15. But its Punctuation, BertPreTokenizer, BertNormalizer and
StripAccents have tables of their own, of Unicode 8 and 9; here are the code points where these differ.
"""
import bisect
import pathlib
import unicodedata

from tokenizers import Regex, normalizers, pre_tokenizers

assert unicodedata.unidata_version == "14.0.0"
ROOT = pathlib.Path(__file__).parents[3]
NAMES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf".split()
# Those of the scripts that Unicode 14 had and later ones added to.
SCRIPTS = ("Arabic Balinese Common Cyrillic Devanagari Egyptian_Hieroglyphs Han Hiragana Inherited Kannada Katakana "
           "Khitan_Small_Script Khojki Lao Latin Myanmar").split()


# Those that Unicode 14 had, but not as alphabetic or lower case.
RECENT = {*range(0x363, 0x370), 0xc04, 0xf82, 0xf83, *range(0x1dd3, 0x1de7), 0x11080, 0x11081,
          0x10fc, 0xa7f2, 0xa7f3, 0xa7f4, 0xab69, 0x1171e}


def members(name, points):
    for i in range(0, len(points), 256):
        text = "".join(map(chr, points[i:i + 256]))
        inside = Regex(rf"\p{{{name}}}")
        for piece, _ in pre_tokenizers.Split(inside, "removed", invert=True).pre_tokenize_str(text):
            yield from map(ord, piece)


def new_ranges(new, category):
    """With each range, for PCRE2, the nearest that is as it is in all of this, or in the most important of it."""
    script = {p: name for name in SCRIPTS for p in members(name, list(category))}
    others = [set(members(name, list(category))) for name in ("Alphabetic", "Lowercase", "Math")]

    def keys(point):
        key = len(chr(point).encode()), category[point], *(point in other for other in others), script.get(point)
        return [key[:n] for n in range(len(key), 1, -1)]

    old = {}
    for point in sorted(category.keys() - new.keys() - RECENT):
        for key in keys(point):
            old.setdefault(key, []).append(point)

    def nearest(point):
        like = next(old[key] for key in keys(point) if key in old)
        at = bisect.bisect(like, point)
        return min(like[max(at - 1, 0):at + 1], key=lambda known: abs(known - point))

    ranges = []
    for point in sorted(new):
        if ranges and ranges[-1][1] == point - 1 and keys(ranges[-1][0]) == keys(point):
            ranges[-1][1] = point
        else:
            ranges.append([point, point])
    return [f"    {{0x{first:x}, 0x{last:x}, UTF8PROC_CATEGORY_{new[first].upper()}, 0x{nearest(first):x}}},"
            for first, last in ranges]


def ranges(name, points, assigned):
    """As few ranges as cover the points and no other one that is assigned."""
    out = []
    for point in sorted(points):
        if out and not any(p in assigned and p not in points for p in range(out[-1][1] + 1, point)):
            out[-1][1] = point
        else:
            out.append([point, point])
    lines = [f"    {{0x{first:x}, 0x{last:x}}}," for first, last in out]
    return [f"static const old_range {name}[] = {{", *lines, "};", ""]


def main():
    points = [p for p in range(0x110000) if not 0xd800 <= p <= 0xdfff and unicodedata.category(chr(p)) != "Co"]
    category = {point: name for name in NAMES for point in members(name, points)}
    new = {p: name for p, name in category.items() if unicodedata.category(chr(p)) == "Cn"}
    bert = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
    cut = pre_tokenizers.Punctuation()

    def goes(normalizer, kind):
        return {p for p in category if category[p][0] == kind and not normalizer.normalize_str(chr(p))}

    def all_of(kind):
        return {p for p, name in category.items() if name[0] == kind}

    punctuation = {p for p in category if p >= 0x80 and len(cut.pre_tokenize_str("a" + chr(p) + "a")) == 3}
    marks = goes(normalizers.StripAccents(), "M")
    nonspacing = goes(normalizers.BertNormalizer(**{**bert, "strip_accents": True}), "M")
    controls = goes(normalizers.BertNormalizer(**{**bert, "clean_text": True}), "C")
    forms = normalizers.NFKC(), normalizers.NFKD(), normalizers.NFD()
    stays = {p for p in category if p >= 0x80 and all(f.normalize_str(chr(p)) == chr(p) for f in forms)
             and (p in new or any(unicodedata.normalize(f, chr(p)) != chr(p) for f in ("NFKC", "NFKD", "NFD")))}
    mn = {p for p, name in category.items() if name == "Mn"}
    assert all(category[p][0] in "PL" or category[p] == "So" or category[p] == "Mn" for p in punctuation - all_of("P"))
    lines = ["static const new_range new_ranges[] = {", *new_ranges(new, category), "};", ""]
    lines += ranges("more_punctuation", punctuation - all_of("P"), category)
    lines += ranges("no_punctuation", {p for p in all_of("P") - punctuation if p >= 0x80}, category)
    lines += ranges("no_mark", all_of("M") - marks, category)
    lines += ranges("more_nonspacing", nonspacing - mn, category)
    lines += ranges("no_nonspacing", mn - nonspacing, category)
    lines += ranges("no_form", stays, category)
    lines += ranges("no_control", all_of("C") - controls - {9, 10, 13}, category)
    (ROOT / "common/tokenizer/classes_new.h").write_text("""\
/* classes_new: the code points that Unicode 15 and 16 assigned, and those that the library's older
 * tables have otherwise; private to classes.c. Made by tests/golden/tokenizers/unicode.py. */
#ifndef PS_TOKENIZER_CLASSES_NEW_H
#define PS_TOKENIZER_CLASSES_NEW_H

#include <stdint.h>
#include <utf8proc.h>

typedef struct new_range {
    uint32_t first, last;
    uint8_t category;
    uint32_t known; /* one that Unicode 14 has, as like it as there is */
} new_range;

typedef struct old_range {
    uint32_t first, last;
} old_range;

""" + "\n".join(lines) + "\n#endif\n")


main()
