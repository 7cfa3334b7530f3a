"""A report is whole HTML that lets nothing in: check.py SAMPLE SOURCE_ROOT

SAMPLE prints one with hostile names. Every element is closed, in order; ids are there once and links go to them; the
policy names the hash of the one script, and nothing else could run or be fetched; names are text. With a small room the
file says what it left out. Style sheets and script are no larger than they may be.
"""
import base64
import hashlib
import html.parser
import json
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree
import zlib

SAMPLE, ROOT = sys.argv[1], pathlib.Path(sys.argv[2])
HOSTILE = "</script><img src=x onerror=alert(1)>\"'&<!--"
VOID = {"meta", "link", "br", "img", "input", "hr"}
ALLOWED = set("""html head meta title link style body a div nav ul li main header h1 h2 h3 p section details summary dl dt dd
code span small table thead tbody tr th td figure figcaption label select option footer article b br script svg g rect path circle text
tspan desc defs lineargradient stop image ol sup""".split())


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.links, self.scripts, self.faults = [], [], [], [], []
        self.policy, self.text = "", ""

    def handle_starttag(self, tag, attrs):
        self.enter(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.enter(tag, attrs)

    def enter(self, tag, attrs):
        names = [name for name, _ in attrs]
        values = dict(attrs)
        if tag not in ALLOWED or len(set(names)) != len(names):
            self.faults.append(f"<{tag} {names}>")
        self.faults += [f"{tag} {name}" for name in names if name.startswith("on") or name == "style"]
        self.ids += [values["id"]] if "id" in values else []
        if tag == "meta" and values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"]
        for name in ("href", "src", "xlink:href", "action"):
            if name in values:
                self.links.append(values[name])
        if tag == "script":
            self.scripts.append([values, ""])

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing of its own")

    def handle_comment(self, data):
        self.faults.append(f"comment {data}")

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1][1] += data
        elif self.open and self.open[-1] != "style":
            self.text += data


def read(*arguments):
    text = subprocess.run([SAMPLE, *arguments], capture_output=True, check=True).stdout.decode()
    page = Page()
    page.feed(text)
    page.close()
    assert not page.faults, page.faults
    assert not page.open, page.open
    assert text.startswith("<!doctype html>\n")
    return text, page


text, page = read()
assert len(set(page.ids)) == len(page.ids), page.ids
for link in page.links:
    assert link == "data:," or link[0] == "#" and link[1:] in page.ids, link
data, script = page.scripts
assert data[0]["type"] == "application/json" and "<" not in data[1]
model = json.loads(data[1])
assert model["psd_report"] == 1 and model["graph"]["model"] == HOSTILE
assert len(model["values"]["node-3"]) == len(model["quantities"])
digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
assert page.policy == ("default-src 'none'; style-src 'unsafe-inline'; "
                       f"script-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"), page.policy
assert page.text.count(HOSTILE) >= 5 and text.count("<img") == 0
assert "models/" + HOSTILE + "\ufffd\ufffd.safetensors" in page.text
assert "Left out" not in page.text and page.text.count("model.layers.2.self_attn.q_proj.weight") >= 1

for what, word in (("image", "<image width"), ("tokens", 'class="tokens"')):
    text, page = read(what)
    assert text.count(word) == (15 if what == "image" else 10), what  # of 5 rows: itself and by two methods
    assert page.text.count(HOSTILE) >= 20 and text.count("<img") == 0 and len(page.scripts) == 2
    for heading in ("Weights", "Behaviour", "What is taken for what", "Is it right as often as it says?", "Where it is most wrong"):
        assert page.text.count(heading) >= 1, heading
    assert f"The job filekind: explain\nname: {HOSTILE}\n" in page.text and "not stored any more" not in page.text
    assert len(re.findall(r'data-cell="[01],[01]"[^>]*><title>label ', text)) == 4 and text.count('class="dot"') == 15
    assert text.count('class="area"') == 30 and 25 <= text.count('class="curve"') <= 30
    manifest = json.loads(page.scripts[0][1])["explanation"]
    assert manifest["job"] == 7 and manifest["rows"][4]["row"] == 14 and manifest["warnings"] == [HOSTILE]
    for link in page.links:
        assert link == "data:," or link[0] == "#" or link.startswith("data:image/png;base64,"), link
        if link.startswith("data:image"):
            picture = base64.b64decode(link.split(",")[1])
            at, chunks = 8, {}
            while at < len(picture):
                size = int.from_bytes(picture[at:at + 4], "big")
                body = picture[at + 4:at + 8 + size]
                assert zlib.crc32(body) == int.from_bytes(picture[at + 8 + size:at + 12 + size], "big")
                chunks[body[:4]] = body[4:]
                at += 12 + size
            pixels = zlib.decompress(chunks[b"IDAT"])
            side = 12 if len(pixels) == 12 * 13 else 8  # of a head, or of a row
            assert picture[:8] == b"\x89PNG\r\n\x1a\n" and len(pixels) == side * (side + 1) and not any(pixels[::side + 1])
            assert len(chunks[b"PLTE"]) == 3 * 65 and max(pixels) < 65

small, little = read("small")
assert "Left out, for a file of at most 54.0 kB: " in little.text
left = re.search(r"(\d+) of 30 tensors in the table", little.text)
rows = len(re.findall(r"<tr data-key", small))
assert left and int(left[1]) + rows == 30, (left, rows)

assert len(small.encode()) <= 54000
refused = subprocess.run([SAMPLE, "tiny"], capture_output=True)
assert refused.returncode == 1 and b"too small for the card alone" in refused.stderr and not refused.stdout
picture = subprocess.run([SAMPLE, "figure"], capture_output=True, check=True).stdout
assert xml.etree.ElementTree.fromstring(picture).tag.endswith("svg") and picture.count(b"</svg>") == 1

SVG = "{http://www.w3.org/2000/svg}"
picture = xml.etree.ElementTree.fromstring(subprocess.run([SAMPLE, "svg"], capture_output=True, check=True).stdout)
assert picture.tag == SVG + "svg" and picture.find(SVG + "title").text.startswith(HOSTILE)
nodes = [g for g in picture.iter(SVG + "g") if "node" in g.get("class", "").split()]
assert len(nodes) == 18 and [n.find(SVG + "title").text.split()[0] for n in nodes[:3]] == ["tokens", "embed_tokens", "input_layernorm"]
left = [float(r.get("x")) for r in nodes[3].iter(SVG + "rect") if r.get("class") == "fill"]
assert len(left) == 4 and left == sorted(left), "q_proj has four column blocks, from left to right"
box = [float(v) for v in picture.get("viewBox").split()]
for rect in picture.iter(SVG + "rect"):
    if "width" in rect.attrib and "%" not in rect.get("width"):
        x, y, w, h = (float(rect.get(k, 0)) for k in ("x", "y", "width", "height"))
        assert 0 <= x and x + w <= box[2] + 1e-6 and 0 <= y and y + h <= box[3] + 1e-6, rect.attrib

folder = ROOT / "client/report"
assert sum((folder / name).stat().st_size for name in ("report.css", "figure.css")) <= 12 << 10
assert (folder / "report.js").stat().st_size <= 30 << 10
for name in ("report.css", "figure.css", "report.js"):
    asset = (folder / name).read_text()
    assert "</" not in asset and "http" not in asset and "@import" not in asset and "url(" not in asset, name
