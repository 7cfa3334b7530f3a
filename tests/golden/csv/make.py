"""Makes the golden files of this folder with Python's csv module and float(), which are independent of psd.

    python3 make.py        # in this folder

texts.json: csv texts with the records that csv.reader makes of them (strict, blanks behind a delimiter skipped), null
where it refuses them; empty lines, which it gives as records of no fields, are left out. numbers.json: texts with the bits
of the nearest double, null where the grammar of csv_number.h does not allow them, which is narrower than float()'s.
"""
import csv
import io
import json
import pathlib
import random
import re
import struct

HERE = pathlib.Path(__file__).parent
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
FIXED = [
    (",", 'a,"b",c\n"1, 2","say ""hi""",3\n'), (",", '"two\nlines","and\r\nthree\rmore"\n1,2\n'), (",", 'a\r1\n2\r\n3\n'),
    (",", '"price, EUR", y\n1, 2\n'), (",", '""\n'), (",", '"",""\n'), (",", 'a,\n,b\n,\n'), (",", '\n\n1,2\n\r\n\r\r3,4'),
    (",", '5" pipe,x\n'), (",", 'a"b"c,d\n'), (",", '"a"b,c\n'), (",", '"never closed\n1,2\n'), (",", '"""",""""""\n'), (",", '"a""",b'),
    (";", '"1;2";3,5\n'), ("\t", 'a\t"b\tc"\n\t\n'), ("|", '"|"|x|\n'), (" ", '1  2 "3 4"\n'), (",", ' a, "b c",  d\n'), (",", 'größe,"ж, ñ"\n'),
    (",", '"1\r\n'), (",", '"'), (",", '"a"\r"b"\r'), (",", 'x,"\r\n",y\r\nz'), (",", '1,2'), (",", '"1","2"'), (",", "'a,b',c\n"),
]


def records(delimiter, text):
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=delimiter != " ")
    try:
        return [record for record in reader if record]
    except csv.Error:
        return None


def random_table(r):
    delimiter, end = r.choice(",;|\t"), r.choice(["\n", "\r", "\r\n"])
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=r.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    for _ in range(r.randint(1, 4)):
        writer.writerow(["".join(r.choice(["a", "1", '"', delimiter, "\n", "\r", "é", "2.5"]) for _ in range(r.randint(0, 4)))
                         for _ in range(r.randint(2, 4))])
    return delimiter, out.getvalue()


def number(text):
    whole = NUMBER.fullmatch(text)
    return struct.unpack("<Q", struct.pack("<d", float(text)))[0] if whole else None


def random_number(r):
    digits = "".join(r.choice("0123456789") for _ in range(r.choice([1, 3, 8, 15, 16, 17, 18, 19, 20, 25, 60])))
    point = r.randint(0, len(digits))
    text = digits[:point] + r.choice([".", ""]) + digits[point:]
    return r.choice(["", "-", "+"]) + text + r.choice(["", "", f"e{r.randint(-330, 320)}", f"E+{r.randint(0, 30)}"])


def halfway(r):
    """A decimal in the middle between two doubles, and its neighbours by a digit far behind."""
    bits = r.getrandbits(52) | (r.randint(1023 - 30, 1023 + 70) << 52)
    low, high = (struct.unpack("<d", struct.pack("<Q", b))[0] for b in (bits, bits + 1))
    a, b = low.as_integer_ratio(), high.as_integer_ratio()
    num, den = a[0] * b[1] + b[0] * a[1], 2 * a[1] * b[1]
    places = den.bit_length() - 1
    text = str(num * 5 ** places)
    while den > 1 << places:
        raise AssertionError
    text = text.rjust(places + 1, "0")
    whole = text[:-places] if places else text
    rest = text[-places:] if places else ""
    return r.choice([f"{whole}.{rest}", f"{whole}.{rest}0000001", f"{whole}.{rest or '0'}"])


def main():
    r = random.Random(20)
    texts = FIXED + [random_table(r) for _ in range(150)]
    texts += [(",", "".join(r.choice(["a", "1", ",", '"', '"', "\n", "\r"]) for _ in range(r.randint(1, 12)))) for _ in range(450)]
    cases = [{"delimiter": d, "text": t, "rows": records(d, t)} for d, t in texts]
    (HERE / "texts.json").write_text("[" + ",\n".join(json.dumps(c, ensure_ascii=False) for c in cases) + "]\n")
    numbers = ["0", "-0", "+0", "1.", ".5", "-.5e1", "00012", "1e5", "1E+05", "1e-400", "1e400", "-1e400", "4.9e-324", "2.4703282292062327e-324",
               "2.4703282292062328e-324", "1.7976931348623157e308", "1.7976931348623159e308", "9007199254740993", "9007199254740992",
               "16777217", "0.1", "1e22", "1e23", "8.5e-23", "123456789012345678901234567890", "0.000000000000000000000000000001",
               "", ".", "+", "-", "e5", "1e", "1e+", "1.2.3", "0x10", "0x1p-2", "0X1P3", "nan", "inf", "Infinity", "1_000", "1,5", "1f", "1 2",
               " 1", "1 ", "--1", "1e5.0", "1d5", "\u0661", "1e99999999999999999999", "-1e-99999999999999999999", "1\t", "INF", "NaN(1)"]
    numbers += [random_number(r) for _ in range(400)] + [halfway(r) for _ in range(100)]
    (HERE / "numbers.json").write_text("[" + ",\n".join(json.dumps([t, number(t)]) for t in numbers) + "]\n")


main()
