"""Pictures of a report: pictures.py REPORT.html FOLDER [--wide] [SECTION ...]

One of each section, or of those that are named, light: FOLDER/SECTION.png, as wide as the text. With --wide also dark, on a
narrow screen and a wide one, and the whole page printed: SECTION-dark.png, SECTION-400.png, SECTION-1920.png, print.pdf.
docs/explain.md says how its pictures were made.
"""
import pathlib
import sys
import tempfile

from browser import Browser

names = [a for a in sys.argv[1:] if a != "--wide"]
wide = len(names) < len(sys.argv) - 1
if len(names) < 2:
    sys.exit(__doc__)
report, folder, only = pathlib.Path(names[0]), pathlib.Path(names[1]), names[2:]
folder.mkdir(parents=True, exist_ok=True)
with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
    b = Browser(home)
    try:
        b.look(1180)
        b.open(report.resolve().as_uri())
        sections = only or b.js("[...document.querySelectorAll('main section')].map(s => s.id)")
        ways = [("", 1180, False)] + ([("-dark", 1180, True), ("-400", 400, False), ("-1920", 1920, False)] if wide else [])
        for name, width, dark in ways:
            b.look(width, dark)
            for section in sections:
                b.shoot(folder / f"{section}{name}.png", f"#{section}")
        if wide:
            b.look(1180)
            b.pdf(folder / "print.pdf")
    finally:
        b.close()
