"""A report in a browser, by its keyboard: walk.py SAMPLE [FOLDER]

Opens what SAMPLE prints in a headless Chromium (none: skipped). It asks for nothing, its console stays empty, and no name
runs; Tab, arrows, Enter, /, Esc and sorting do what psctl(1) says. With a FOLDER, pictures of the page are left there:
light, dark, narrow, and printed.
"""
import base64
import contextlib
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if not CHROMIUM:
    sys.exit(77)


class Browser:
    """Chromium's protocol over a pair of pipes: JSON that ends in a zero byte."""

    def __init__(self, home):
        there, self.out = os.pipe()
        self.into, back = os.pipe()

        def place():
            os.dup2(there, 203), os.dup2(back, 204)
            os.dup2(203, 3), os.dup2(204, 4)

        self.process = subprocess.Popen(
            [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe",
             f"--user-data-dir={home}", "--no-first-run", "--disable-extensions", "--disable-component-update"],
            preexec_fn=place, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(there), os.close(back)
        self.count, self.rest, self.events, self.session = itertools.count(1), b"", [], None
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self.session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def message(self):
        while b"\0" not in self.rest:
            more = os.read(self.into, 1 << 16)
            if not more:
                sys.exit("the browser has gone")
            self.rest += more
        one, self.rest = self.rest.split(b"\0", 1)
        return json.loads(one)

    def __call__(self, method, **params):
        call = {"id": next(self.count), "method": method, "params": params}
        if self.session:
            call["sessionId"] = self.session
        os.write(self.out, json.dumps(call).encode() + b"\0")
        while True:
            said = self.message()
            if said.get("id") == call["id"]:
                assert "error" not in said, (method, said)
                return said["result"]
            self.events.append(said)

    def wait(self, method):
        while not any(e.get("method") == method for e in self.events):
            self.events.append(self.message())

    def js(self, expression):
        result = self("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def key(self, key, code=0):
        for kind in ("keyDown", "keyUp"):
            text = {"text": key} if len(key) == 1 and kind == "keyDown" else {}
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else text
            self("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text)

    def close(self):
        os.close(self.out)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        self.process.kill()
        self.process.wait()


KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowDown": 40, "ArrowUp": 38, "ArrowRight": 39, "ArrowLeft": 37, "Home": 36,
        "End": 35}
FOCUS = "document.activeElement.id || document.activeElement.dataset.cell || document.activeElement.textContent.trim()"


def walk(b):
    def press(*keys):
        for key in keys:
            b.key(key, KEYS.get(key, 0))
        return b.js(FOCUS)

    assert b.js("document.querySelectorAll('img').length") == 0
    assert b.js("document.documentElement.className") == "js"
    assert press("Tab") == "To the report"
    reached = [press("Tab") for _ in range(24)]
    assert "Graph" in reached and "node-0" in reached and "colour" in reached, reached
    assert sum(r.startswith("node-") for r in reached) == 1, reached
    b.js("document.getElementById('node-0').focus()")
    assert press("ArrowDown") == "node-1"
    assert "embed_tokens" in b.js("document.querySelector('.tip').hidden ? '' : document.querySelector('.tip').textContent")
    assert press("ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight") == "node-5"
    assert press("ArrowLeft", "Enter") == "node-4"
    assert b.js("location.hash") == "#select=4"
    assert b.js("[...document.querySelectorAll('tr.on td:first-child')].map(e => e.textContent).join()") == ",".join(
        f"model.layers.{i}.self_attn.k_proj.weight" for i in range(3))
    assert "k_proj" in b.js("document.getElementById('detail').textContent")
    assert press("End") == "node-17" and press("Home") == "node-0"
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
    press("+", "+")
    assert b.js(box) != home
    press("0")
    assert [float(v) for v in b.js(box).split()] == [float(v) for v in home.split()]
    # nothing is wider than a narrow screen
    b("Emulation.setDeviceMetricsOverride", width=400, height=900, deviceScaleFactor=1, mobile=False)
    assert b.js("document.documentElement.scrollWidth") <= 400


def pictures(b, folder):
    folder = pathlib.Path(folder)

    def shoot(name, width, dark):
        b("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        b("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        shot = b("Page.captureScreenshot", captureBeyondViewport=True,
                 clip={"x": 0, "y": 0, "width": width, "height": b.js("document.documentElement.scrollHeight"), "scale": 1})
        (folder / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))

    shoot("light", 1280, False), shoot("dark", 1280, True), shoot("narrow", 400, False)
    (folder / "print.pdf").write_bytes(base64.b64decode(b("Page.printToPDF", preferCSSPageSize=True)["data"]))


with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
    page = pathlib.Path(home) / "report.html"
    sample = pathlib.Path(sys.argv[1])
    page.write_bytes(sample.read_bytes() if sample.suffix == ".html" else
                     subprocess.run([sample], capture_output=True, check=True).stdout)
    b = Browser(home)
    try:
        for domain in ("Page", "Runtime", "Log", "Network"):
            b(f"{domain}.enable")
        b("Page.navigate", url=page.as_uri())
        b.wait("Page.loadEventFired")
        if len(sys.argv) > 2:
            pictures(b, sys.argv[2])
        else:
            walk(b)
        asked = [e["params"]["request"]["url"] for e in b.events if e.get("method") == "Network.requestWillBeSent"]
        assert [url for url in asked if not url.startswith("data:")] == [page.as_uri()], asked
        loud = [e for e in b.events if e.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded",
                                                        "Page.javascriptDialogOpening")]
        assert not loud, loud
    finally:
        b.close()
