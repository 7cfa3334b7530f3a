"""Makes patterns.cases: what PyPI's `tokenizers` (0.23.3), whose patterns are Oniguruma's, matches with each of them.

    python3 patterns.py     # in this folder

The first line has the texts. Each of the others has a pattern and, for some of the texts (`in`, their places in the
first line), `ends`: in bytes, where the pieces end that the text falls into, below zero for a match. A pattern that the
library refuses has none.
"""
import json
import pathlib
import sys
import unicodedata

from tokenizers import Regex, pre_tokenizers

HERE = pathlib.Path(__file__).parent
MOST = 4  # texts of a pattern that matches in them; and one in which it does not
TEXTS = [
    "aBc pL Q E z", "I've 12 apples, don't you?  \n\n  'S 'LL\tx", "a\nb\n", "\n", "a\n\n", "aaabbbccc", "abababab xyz",
    "漢字〇々ひらカナー、。a1", "e\u0301a\u0300 ñ Ñ ǅ ß SS ſ K İ ı", "\u2028\u2029\x85\xa0\u3000\u200b\ufeff\t\v\f\r\n x",
    "1२Ⅳ½²①Ⓐ_‿", "$+<=>^`|~!\"#%&'()*,-./:;?@[\\]{}", "fi ﬁ st ﬆ ff ﬀ", "😀👍🏽🇩🇪", "абв АБВ ΑΒΓ αβγς", "x\ny\r\nz",
    "--a--b", "]a[b]c^", "a{2}b{,}", "9876 abc_DEF-12.5", "ก็ ที่ नि क्", "\u0897\u1c8a\U00031350\U0001ccf0\U00010d50",
    # One of each category that begins a block of 256, as far as it does.
    "".join({(unicodedata.category(chr(c)), c >> 8): chr(c) for c in range(0x1ffff, 0x1f, -1)
             if unicodedata.category(chr(c)) not in ("Cn", "Co", "Cs") and not 0x3400 <= c < 0xa000
             and not 0xac00 <= c < 0xd800 and c != 0x1171e and c != 0x180e}.values()),
]
PATTERNS = r"""
'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+
(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}
[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lo}\p{M}&&[^\p{Han}]]+|\p{N}{1,3}
 ?[^(\s|[.,!?…。，、।۔،])]+
[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*
\p{N}{1,3}(?=(?:\p{N}{3})*\b)
(?<=[a-z])(?=[A-Z])
^a
a$
^
$
\A
\Z
\s\Z
\s$
\P{N}+\P{L}
[^\p{N}]+[^\p{L}]
\p{^N}??\P{L}[a-z]
\z
(?m)a.b
(?m:^)b
a.b
.+
\bA|\b
\B
\w+
\W+
\s+
\S+
\d
\D+
\h+
\H+
\v
\R
\N+
\O
\X
\y
[\w]
[^\w]+
[\W]+
[\h]+
[\H]+
[\v]
[\d-]
[\s\S]
[^\S\n]+
\p{Alpha}+
\p{Alnum}+
\p{Punct}+
\p{Graph}+
\p{Print}+
\p{^Graph}
\P{Alpha}
\p{Word}+
\p{Space}
\p{Upper}
\p{Lower}
\p{Blank}
\p{Cntrl}
\p{XDigit}
\p{ASCII}+
\p{Han}+
\p{Hiragana}
\p{Katakana}+
\p{Greek}+
\p{Cyrillic}+
\p{Latin}+
\p{Latn}+
\p{Common}+
\p{Inherited}
\p{Letter}+
\p{Uppercase_Letter}
\p{ uppercase-letter }
\p{LC}
\p{Cased_Letter}
\p{Mark}
\p{Decimal_Number}
\p{Punctuation}+
\p{Symbol}
\p{Separator}
\p{Other}
\p{Format}
\p{Emoji}
\p{Extended_Pictographic}
\p{Any}
\p{Assigned}
\p{White_Space}
\p{ID_Start}+
\p{Alphabetic}+
\p{Uppercase}
\p{Lowercase}
\p{Math}
\p{Dash}
\p{Ideographic}+
\p{Xan}
\p{L&}
\p{BidiAL}
\p{script=han}
\p{sc:Han}
\p{}
\p{^}
\p{Lu
\pL
\PL
[\pL]
\p
\Q
\E
\i
a{,2}
a{2}+
a{2}?
a{2,}+
a{2,3}+
a{3,2}
a{3,2}a
a{2}{2}
a{2,3}?
a{
a{,}
a{2}b{,}
{2}
*a
+
a**
a+*
a?+a
a++b
^*a
(?=a)*a
(?:ab)+
(?:ab){2}{2}
(ab)+
(?<n>ab)\k<n>
(?<n>a)(b)\1
(.)\1+
(.)(.)\1\2
(?i)abc
(?i)k
(?i)[a-z]+
(?i)[^a-z]+
(?i)\p{Lu}
(?i)\p{Upper}
(?i)\p{ASCII}+
(?i)[\p{L}]+
(?i)[^\s\p{L}\p{N}]+
(?i)ΑΒΓ
a(?i)b|c
a(?i)b|C
(?x)a b # c
(?x) a + b
(?x:p L) Q
(?i-m:B)
(?im-x:a.b)
(?#c)a
(?#c)
a(?#c)+
(?#a\)b)a
(?s)a
(?P<n>a)
(?|a|b)
(?R)
(?1)
(?<=a)b
(?<!a)b
(?<=a|bb)c
(?!a)b
(?>a+)b
b\Kb
[]a]+
[]
[a
[]a
[^]a]+
[a[bc]d]+
[a-c-e]+
[a-]
[-a]
[--a]
[!--]
[a--]
[a-\d]
[\w-a]
[a&&]
[&&a]
[a&&b]
[a&b]
[a-z&&[^aeiou]]+
[^a-z&&[^aeiou]]+
[^[^a]]
[^a[b]]+
[a-z&&b-y&&[^c]]+
[\w&&[^\d]]+
[[a-c][x-z]]+
[\P{L}]
[^\P{L}]+
[\p{^L}]
[^\p{^L}\d]+
[\p{Lu}\p{Ll}&&[^A-Z]]+
[[:foo:]]
[[:alpha:][:digit:]]+
[:alpha:]+
[[::]]+
[[:^punct:]]+
[\b]
[\]]
[\[]
[a\-c]
[\x61-\x63]+
[\x{61}-\x{63}]+
\x61
\x{6f22}
\x85
\u6f22
\u304
\o{141}
\0
\t|\n|\r|\f|\v|\a|\e
a|
|a
(a|)x
()
(a
a)
\.
\_
é|[ñÑ]
""".strip("\n").split("\n") + [f"{o}[:{name}:]]+" for name in (
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "xdigit",
    "word") for o in ("[", "[^")] + ["\\"]


def pieces(pattern, text):
    """In bytes: where each ends, below zero if it is a match."""
    matches = {at for _, at in pre_tokenizers.Split(pattern, "removed", invert=True).pre_tokenize_str(text)}
    cuts = [at for _, at in pre_tokenizers.Split(pattern, "isolated").pre_tokenize_str(text)]
    return [len(text[:at[1]].encode()) * (-1 if at in matches else 1) for at in cuts]


def case(words):
    try:
        pattern = Regex(words)
    except Exception:
        return {"pattern": words}
    ends = [pieces(pattern, text) for text in TEXTS]
    said = [i for i, text in enumerate(TEXTS) if len(ends[i]) > 1 or ends[i][0] < 0]
    shown = said[:MOST] + [i for i in range(len(TEXTS)) if i not in said][:1]
    if said and said[-1] == len(TEXTS) - 1 and len(ends[-1]) < 400:
        shown = sorted({*shown, len(TEXTS) - 1})
    return {"pattern": words, "in": shown, "ends": [ends[i] for i in shown]}


def main():
    lines = [{"texts": TEXTS}] + [case(words) for words in PATTERNS]
    (HERE / "patterns.cases").write_text("".join(
        json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines))


sys.exit(main())
