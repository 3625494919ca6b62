"""The page of a report: well-formed, self-contained, and shown by a real browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from html import unescape
from html.parser import HTMLParser
from io import BytesIO
from urllib.parse import unquote

import pytest
from matplotlib.image import imread

from dtd_cli.report import write_report

CHROMIUM = shutil.which("chromium")
VOID = {"meta", "link", "img", "br", "hr", "source"}


@pytest.fixture(scope="module")
def page(reported):
    return reported / "report" / "index.html"


class Elements(HTMLParser):
    """Every element with its attributes; fails where a tag is not closed in its turn."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found = [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names)
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def of(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def test_the_parser_sees_what_is_not_closed():
    with pytest.raises(AssertionError):
        Elements("<p><b>text</p>")


def test_well_formed_and_accessible(page):
    elements = Elements(page.read_text())
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert elements.of("html") == [{"lang": "en"}]
    assert len(elements.of("title")) == len(elements.of("h1")) == len(elements.of("main")) == 1
    assert len(elements.of("figure")) == len(elements.of("figcaption")) == len(elements.of("img"))
    assert all(len(image["alt"]) > 40 for image in elements.of("img"))
    assert all(head["scope"] == "col" for head in elements.of("th"))


def test_needs_nothing_from_elsewhere(page):
    elements = Elements(page.read_text())
    sources = [
        a[name] for _, a in elements.found for name in ("src", "srcset", "data") if name in a
    ]
    # Six pictures on white paper and on dark.
    assert len(sources) == 12
    assert len(set(sources)) == 12
    for source in sources:
        head, _, data = source.partition(",")
        assert head == "data:image/png;base64"
        assert imread(BytesIO(base64.b64decode(data, validate=True)))[..., :3].std() > 0.01
    assert [a["href"] for a in elements.of("link")] == ["data:,"]
    assert not {"iframe", "object", "base"} & {tag for tag, _ in elements.found}
    assert not re.search(r"https?:|url\(|@import", page.read_text())
    # Links lead to the report's tables and to the folders of the runs.
    for link in elements.of("a"):
        if not link["href"].startswith("#"):
            assert (page.parent / unquote(link["href"])).exists()
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(set(ids)) == len(ids)
    assert {a["href"][1:] for a in elements.of("a") if a["href"][0] == "#"} <= set(ids)


def test_nothing_but_its_own_script_and_style_may_run(page):
    text = page.read_text()
    (policy,) = [a["content"] for a in Elements(text).of("meta") if "http-equiv" in a]
    rules = dict(rule.split(maxsplit=1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for tag in ("script", "style"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"
    assert not re.search(r'\s(style|on\w+)="', text)


# Of pictures the page says with a number which run they show.
@pytest.mark.usefixtures("no_pictures")
def test_hostile_names_stay_text(reported, tmp_path):
    hostile = '<b onclick="x()">&amp; $title ${counts}'
    sweep = shutil.copytree(reported, tmp_path / hostile)
    failed = next(path.parent for path in sweep.rglob("FAILED"))
    (failed / "FAILED").write_text("<script>alert(1)</script>\n")
    failed.rename(sweep / "a#b?c%20<i>")
    elements = Elements(write_report(sweep, progress=False).read_text())
    assert not {"b", "i"} & {tag for tag, _ in elements.found}
    assert elements.of("script") == [{}]
    assert "../a%23b%3Fc%2520%3Ci%3E/" in [link["href"] for link in elements.of("a")]


def browser(folder, *arguments):
    """What Chromium prints; it runs without a sandbox, as containers have none to give."""
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--disable-background-networking", "--no-first-run", "--enable-logging=stderr",
        f"--user-data-dir={folder / 'profile'}", *arguments,
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


PROBE = """<!DOCTYPE html>
<title>probe</title>
<iframe src="{address}" width="1200" height="800"></iframe>
<script>
addEventListener("load", async () => {{
  const shown = document.querySelector("iframe");
  const used = await ({use})(shown);
  const inside = shown.contentDocument;
  const requests = shown.contentWindow.performance.getEntriesByType("resource");
  document.body.dataset.seen = JSON.stringify({{
    title: inside.title,
    used,
    images: [...inside.images].map(i => [i.complete, i.naturalWidth, i.naturalHeight]),
    width: inside.documentElement.scrollWidth,
    requests: requests.map(request => request.name),
  }});
}});
</script>
"""


def seen(folder, page, use="() => null"):
    """What the browser made of the page, which a frame beside a script shows unchanged.

    ``use`` is a function that uses the frame.
    """
    probe = folder / "probe.html"
    probe.write_text(PROBE.format(address=page.as_uri(), use=use))
    options = ("--allow-file-access-from-files", "--virtual-time-budget=5000", "--dump-dom")
    answer = browser(folder, *options, probe.as_uri())
    (found,) = re.findall(r'data-seen="([^"]*)"', answer.stdout)
    return json.loads(unescape(found)), re.findall(r".*CONSOLE.*", answer.stderr)


needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on PATH (Debian: apt install chromium)"
)


@needs_chromium
def test_a_browser_shows_it(page, tmp_path):
    found, console = seen(tmp_path, page)
    assert found["title"] == "Runs in sweep"
    assert len(found["images"]) == 6
    assert all(done and width > 300 and height > 100 for done, width, height in found["images"])
    assert [name for name in found["requests"] if not name.startswith("data:")] == []
    assert console == []
    # Nothing is wider than the window, so that only tables scroll sideways.
    assert found["width"] <= 1200


USE = """async frame => {
  const find = what => frame.contentDocument.querySelector(what);
  const table = find("#all-runs table");
  const heads = [...table.tHead.rows[0].cells];
  const seed = heads.findIndex(head => head.textContent === "seed");
  const sort = () => {
    heads[seed].firstChild.click();
    return [...table.tBodies[0].rows].map(row => row.cells[seed].textContent);
  };
  const sorted = [sort(), sort(), heads[seed].getAttribute("aria-sort")];

  const field = find("#all-runs input");
  field.value = "GAMMA seed=1";
  field.dispatchEvent(new Event("input"));
  const found = [...table.tBodies[0].rows].filter(row => !row.hidden).length;
  const told = find("#all-runs output").value;

  const was = find("#configurations").open;
  find("#configurations").open = false;
  await new Promise(done => setTimeout(done, 100));
  const again = new Promise(done => frame.addEventListener("load", done));
  frame.contentWindow.location.reload();
  await again;
  const folds = [was, find("#configurations").open, find("#files").open];
  return {sorted, found, told, folds};
}"""


@needs_chromium
def test_tables_sort_and_search_and_folds_stay(page, tmp_path):
    found, console = seen(tmp_path, page, USE)
    up = [str(seed) for seed in (0, 1, 2) for _ in range(3)]
    assert found["used"] == {
        "sorted": [up, up[::-1], "descending"],
        "found": 1,
        "told": "1 of 9 rows",
        "folds": [True, False, True],
    }
    assert console == []


@needs_chromium
def test_the_probe_sees_what_is_wrong(tmp_path):
    page = tmp_path / "wrong.html"
    page.write_text(
        "<!DOCTYPE html><title>wrong</title><img src='http://127.0.0.1:9/missing.png'>"
        "<script>console.error('oh')</script>"
    )
    found, console = seen(tmp_path, page)
    assert found["images"][0][1:] == [0, 0]
    assert [name for name in found["requests"] if name.endswith("missing.png")]
    assert console
