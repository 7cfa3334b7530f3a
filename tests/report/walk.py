"""A report in a browser, by its keyboard: walk.py SAMPLE | REPORT.html

Opens what SAMPLE prints, each of its kinds, or the report, in a headless Chromium (none: skipped). It asks for nothing, its
console stays empty, and no name runs; Tab, arrows, Enter, /, Esc and sorting do what psctl(1) says. Of a report it prints
how large it is and how long it took to open, by the browser's own clock; above 5 MB or a second it fails.
"""
import pathlib
import subprocess
import sys
import tempfile

from browser import Browser

KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowDown": 40, "ArrowUp": 38, "ArrowRight": 39, "ArrowLeft": 37, "Home": 36,
        "End": 35}
FOCUS = "document.activeElement.id || document.activeElement.dataset.cell || document.activeElement.textContent.trim()"


def press(b, *keys):
    for key in keys:
        b.key(key, KEYS.get(key, 0))
    return b.js(FOCUS)


def is_narrow(b):
    b.look(400)
    assert b.js("document.documentElement.scrollWidth") <= 400, b.js("document.documentElement.scrollWidth")


def walk_model(b):
    assert b.js("document.querySelectorAll('img').length") == 0
    assert b.js("document.documentElement.className") == "js"
    assert press(b, "Tab") == "To the report"
    reached = [press(b, "Tab") for _ in range(24)]
    assert "Graph" in reached and "node-0" in reached and "colour" in reached, reached
    assert sum(r.startswith("node-") for r in reached) == 1, reached
    b.js("document.getElementById('node-0').focus()")
    assert press(b, "ArrowDown") == "node-1"
    assert "embed_tokens" in b.js("document.querySelector('.tip').hidden ? '' : document.querySelector('.tip').textContent")
    assert press(b, "ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight") == "node-5"
    assert press(b, "ArrowLeft", "Enter") == "node-4"
    assert b.js("location.hash") == "#select=4"
    assert b.js("[...document.querySelectorAll('tr.on td:first-child')].map(e => e.textContent).join()") == ",".join(
        f"model.layers.{i}.self_attn.k_proj.weight" for i in range(3))
    assert "k_proj" in b.js("document.getElementById('detail').textContent")
    assert press(b, "End") == "node-17" and press(b, "Home") == "node-0"
    b.key("Escape", 27)
    assert b.js("document.querySelectorAll('.on').length") == 0 and b.js("location.hash") == ""
    b.key("/")
    assert b.js("document.activeElement.type") == "search"
    for letter in "1.mlp down":
        b.key(letter)
    assert b.js("document.querySelector('#find ol').textContent") == "model.layers.1.mlp.down_proj.weight"
    b.key("Enter", 13)
    assert b.js("document.querySelectorAll('tr.on').length") == 3
    assert "1.mlp.down_proj" in b.js("document.activeElement.textContent")
    # colours
    fill = "document.querySelector('#cell-1-11 .fill, #node-8 .fill').getAttribute('fill')"
    before = b.js(fill)
    b.js("const c = document.getElementById('colour'); c.selectedIndex = 2; c.dispatchEvent(new Event('change'))")
    assert b.js(fill) != before and b.js("document.getElementById('legend-most').textContent") == "32 bits"
    # sorting
    b.js("document.querySelectorAll('table.sort th button')[3].click()")
    sizes = "[...document.querySelectorAll('table.sort tbody td:nth-child(4)')].map(e => +e.dataset.v)"
    assert b.js(f"{sizes}.every((v, i, a) => !i || a[i - 1] <= v)")
    assert b.js("document.querySelectorAll('table.sort th')[3].getAttribute('aria-sort')") == "ascending"
    # pan and zoom
    box = "document.querySelector('.zoom svg').getAttribute('viewBox')"
    home = b.js(box)
    b.js("document.getElementById('node-3').focus()")
    press(b, "+", "+")
    assert b.js(box) != home
    press(b, "0")
    assert [float(v) for v in b.js(box).split()] == [float(v) for v in home.split()]
    is_narrow(b)


def walk_any(b):
    """What holds of each report: every figure is one stop of Tab, arrows go on in it, Enter chooses what can be chosen."""
    assert b.js("document.querySelectorAll('main img').length") == 0
    grids = b.js("""[...new Set([...document.querySelectorAll('[data-cell]')].map(e => e.closest('[data-grid]') || e.closest('svg')))]
        .map((g, i) => { g.dataset.walk = i; const c = [...g.querySelectorAll('[data-cell]')];
            return [c.length, c.filter(e => e.getAttribute('tabindex') === '0').length, c.filter(e => !e.dataset.tip).length]; })""")
    assert all(stops == 1 and not silent for _, stops, silent in grids), grids
    for i, (cells, _, _) in enumerate(grids):
        b.js(f"document.querySelector('[data-walk=\"{i}\"] [tabindex=\"0\"]').focus()")
        assert not b.js("document.querySelector('.tip').hidden"), i
        if cells > 1:
            here = b.js("document.activeElement.dataset.cell")
            press(b, "ArrowRight")
            there = b.js("document.activeElement.dataset.cell")
            assert there != here or press(b, "ArrowDown") != here, (i, here)
    b.key("Escape", 27)
    # a cell of what is taken for what leaves only its rows
    if b.js("!!document.querySelector('.cell[data-key^=\"taken-\"]') && !!document.querySelector('.example[data-also]')"):
        key = b.js("document.querySelector('.example[data-also]').dataset.also")
        b.js(f"document.querySelector('.cell[data-key=\"{key}\"]').focus()")
        b.key("Enter", 13)
        assert b.js("[...document.querySelectorAll('.example')].filter(e => !e.hidden).every(e => e.dataset.also === "
                    f"'{key}')") and b.js("location.hash") == f"#select={key}"
        assert "Esc shows all" in b.js("document.getElementById('some').textContent")
        b.key("Escape", 27)
        assert b.js("document.querySelectorAll('.example[hidden]').length") == 0
    # a head becomes larger, and its tokens say what they look at
    if b.js("!!document.querySelector('.cell[data-key^=\"head-\"]')"):
        b.js("document.querySelector('.cell[data-key^=\"head-\"]').focus()")
        b.key("Enter", 13)
        b.js("new Promise(done => setTimeout(done, 100))")
        assert b.js("document.querySelectorAll('#look canvas').length") == 1
        b.js("document.querySelector('#look .tokens span').focus()")
        press(b, "ArrowRight")
        assert b.js("document.querySelector('#look .note').textContent").startswith("Token 1, ")
        assert b.js("document.querySelectorAll('#look img').length") == 0
        b.key("Escape", 27)
        assert b.js("document.querySelectorAll('#look *').length") == 0
    # a link keeps what was chosen
    if b.js("!!document.querySelector('.example')"):
        row = b.js("[...document.querySelectorAll('.example')].pop().dataset.key")
        b.js(f"location.hash = 'select={row}'")
        b.js("new Promise(done => setTimeout(done, 50))")
        assert b.js("document.querySelector('.example.on').dataset.key") == row
        b.key("Escape", 27)
    is_narrow(b)


def opening(b):
    """Milliseconds until the page was there, with all of its script; and of these the processor's, of the page's thread,
    which do not depend on who else is at the machine."""
    metrics = {m["name"]: m["value"] for m in b("Performance.getMetrics")["metrics"]}
    return (b.js("(t => t.loadEventEnd - t.startTime)(performance.getEntriesByType('navigation')[0])"),
            1000 * metrics["TaskDuration"])


def check(home, page, walk):
    b = Browser(home)
    try:
        b("Performance.enable", timeDomain="threadTicks")
        b.open(page.as_uri())
        b.js("new Promise(done => setTimeout(done, 0))")
        took = opening(b)
        walk(b)
        b.quiet(page.as_uri())
        return took
    finally:
        b.close()


with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
    given = pathlib.Path(sys.argv[1])
    if given.suffix == ".html":
        took, size = check(home, given.resolve(), walk_any), given.stat().st_size
        print(f"{given.name}: {size / 1e6:.2f} MB, open in {took[0]:.0f} ms, {took[1]:.0f} ms of them the processor's")
        assert size <= 5 << 20 and took[1] <= 1000
    else:
        page = pathlib.Path(home) / "report.html"
        for what, walk in (("graph", walk_model), ("image", walk_any), ("tokens", walk_any)):
            page.write_bytes(subprocess.run([given, what], capture_output=True, check=True).stdout)
            check(home, page, walk)
