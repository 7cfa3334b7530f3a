"""A headless Chromium, by its own protocol: for walk.py and pictures.py. Where there is none, whoever imports it is
skipped (status 77)."""
import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys

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
        result = self("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
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

    def open(self, url):
        for domain in ("Page", "Runtime", "Log", "Network"):
            self(f"{domain}.enable")
        self("Page.navigate", url=url)
        self.wait("Page.loadEventFired")

    def quiet(self, url):
        """Nothing but the page was asked for, and nothing said."""
        asked = [e["params"]["request"]["url"] for e in self.events if e.get("method") == "Network.requestWillBeSent"]
        assert [u for u in asked if not u.startswith("data:")] == [url], asked
        loud = [e for e in self.events if e.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown",
                                                           "Log.entryAdded", "Page.javascriptDialogOpening")]
        assert not loud, loud

    def look(self, width, dark=False, height=900, scale=1):
        self("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False)

    def shoot(self, path, selector="html"):
        """A picture of what is below the selector, from its left edge to its right, whole."""
        box = self.js(f"(r => [r.left + scrollX, r.top + scrollY, r.width, r.height])"
                      f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())")
        shot = self("Page.captureScreenshot", captureBeyondViewport=True,
                    clip={"x": box[0], "y": box[1], "width": box[2], "height": box[3], "scale": 1})
        path.write_bytes(base64.b64decode(shot["data"]))

    def pdf(self, path):
        path.write_bytes(base64.b64decode(self("Page.printToPDF", preferCSSPageSize=True)["data"]))
