"""Pictures of a report: pictures.py REPORT.html FOLDER [--wide] [SECTION[:HEIGHT][@KEY] ...]

One of each section, or of those that are named, light: FOLDER/SECTION.png, 868 pixels wide, no higher than HEIGHT, with KEY
chosen, as in the page's address: attention:900@head-1-2. Their colours are the 256 that most of them have, so that files
are small. With --wide also dark, on a narrow screen and a wide one, and the whole page printed, as they are:
SECTION-dark.png, SECTION-400.png, SECTION-1920.png, print.pdf.
"""
import base64
import json
import pathlib
import re
import struct
import sys
import tempfile
import zlib

from browser import Browser


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def rows_of(png):
    """(width, bytes of a pixel, rows) of what Chromium writes: 8 bits, not interlaced; filters as PNG's section 9 has them."""
    width, height, bits, colour, _, _, interlaced = struct.unpack(">2I5B", png[16:29])
    assert bits == 8 and colour in (2, 6) and not interlaced
    n, at, data = 3 if colour == 2 else 4, 8, b""
    while at < len(png):
        (size,) = struct.unpack(">I", png[at:at + 4])
        data += png[at + 8:at + 8 + size] if png[at + 4:at + 8] == b"IDAT" else b""
        at += 12 + size
    data, rows, above = zlib.decompress(data), [], bytearray(width * n)
    for y in range(height):
        kind, row = data[y * (width * n + 1)], bytearray(data[y * (width * n + 1) + 1:(y + 1) * (width * n + 1)])
        for i in range(width * n if kind else 0):
            a, b, c = row[i - n] if i >= n else 0, above[i], above[i - n] if i >= n else 0
            p = a + b - c
            nearest = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            row[i] = (row[i] + (a, b, (a + b) // 2, nearest)[kind - 1]) & 255
        rows.append(row)
        above = row
    return width, n, rows


def small(png):
    width, n, rows = rows_of(png)
    pixels = [[bytes(row[i:i + 3]) for i in range(0, width * n, n)] for row in rows]
    count = {}
    for row in pixels:
        for p in row:
            count[p] = count.get(p, 0) + 1
    palette = sorted(count, key=count.get, reverse=True)[:256]
    place = {p: i for i, p in enumerate(palette)}
    for p in count:
        if p not in place:
            place[p] = min(range(len(palette)), key=lambda i: sum((a - b) ** 2 for a, b in zip(p, palette[i])))
    plain = b"".join(b"\0" + bytes(place[p] for p in row) for row in pixels)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">2I5B", width, len(rows), 8, 3, 0, 0, 0)) +
            chunk(b"PLTE", b"".join(palette)) + chunk(b"IDAT", zlib.compress(plain, 9)) + chunk(b"IEND", b""))


def shoot(b, section, height=None):
    """What is in the section, from its left edge to its right."""
    x, y, w, h = b.js(f"(r => [r.left + scrollX, r.top + scrollY, r.width, r.height])"
                      f"(document.querySelector({json.dumps('#' + section)}).getBoundingClientRect())")
    shot = b("Page.captureScreenshot", captureBeyondViewport=True,
             clip={"x": x, "y": y, "width": w, "height": min(h, height or h), "scale": 1})
    return base64.b64decode(shot["data"])


names = [a for a in sys.argv[1:] if a != "--wide"]
wide = len(names) < len(sys.argv) - 1
if len(names) < 2:
    sys.exit(__doc__)
report, folder = pathlib.Path(names[0]), pathlib.Path(names[1])
folder.mkdir(parents=True, exist_ok=True)
with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
    b = Browser(home)
    try:
        b.look(1180)
        b.open(report.resolve().as_uri())
        for asked in names[2:] or b.js("[...document.querySelectorAll('main section')].map(s => s.id)"):
            section, height, key = re.fullmatch(r"([a-z]+)(?::(\d+))?(?:@(.+))?", asked).groups()
            b.look(1180)
            b.js(f"location.hash = {json.dumps('select=' + (key or ''))}")
            b.js("new Promise(done => setTimeout(done, 300))")
            (folder / f"{section}.png").write_bytes(small(shoot(b, section, height and int(height))))
            for name, width, dark in (("-dark", 1180, True), ("-400", 400, False), ("-1920", 1920, False)) if wide else ():
                b.look(width, dark)
                (folder / f"{section}{name}.png").write_bytes(shoot(b, section))
        if wide:
            b.look(1180)
            (folder / "print.pdf").write_bytes(base64.b64decode(b("Page.printToPDF", preferCSSPageSize=True)["data"]))
    finally:
        b.close()
