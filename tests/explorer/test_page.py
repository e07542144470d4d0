"""`fgs explore` and what it writes, without a browser."""

import base64
import io
import json
import re
import sys
import webbrowser
from pathlib import Path

import pytest
import torch
from PIL import Image

from fgs.explorer import classes
from fgs.explorer.page import SCRIPTS, page
from fgs.figures.style import CLASS_COLOURS, COLOURS
from fgs.images import load_model
from fgs.noise import seeded

ROOM = Path(classes.__file__).parent
DOCS = Path(__file__).parents[2] / "docs/explorer.html"


def data_of(html):
    return json.loads(re.search(r"const DATA = (.*);</script>", html)[1])


def test_the_page_is_whole_small_and_asks_nothing_of_a_network():
    html = page()
    assert len(html.encode()) <= 300_000
    assert {*SCRIPTS} == {path.name for path in ROOM.glob("*.js")}
    for name in ("style.css", *SCRIPTS):
        assert (ROOM / name).read_text(encoding="utf-8") in html
    assert (
        re.findall(r"https?:|//[\w.]+\.\w+/|@import|url\((?!\$\{data)|<link(?! rel=\"icon\" href=\"data:,\")", html)
        == []
    )
    assert "default-src 'none'" in html
    assert html.startswith("<!doctype html>")
    assert html.rstrip().endswith("</html>")
    assert not re.search(r"/\* STYLE \*/|<!-- SCRIPTS -->", html)


def test_the_colours_are_those_of_the_lessons():
    data = data_of(page())
    assert data["colours"] == COLOURS
    assert data["classColours"] == list(CLASS_COLOURS)
    rules = (ROOM / "guidance.js").read_text(encoding="utf-8")
    assert set(re.findall(r'colour: "(\w+)"', rules)) <= COLOURS.keys()


def test_a_name_cannot_end_the_script():
    html = page({"names": ["</script><script>alert(1)</script>"]})
    assert "alert" in html
    assert "<script>alert" not in html
    assert data_of(html)["features"]["names"][0].startswith("</script>")


def test_its_files_stay_readable():
    for path in ROOM.glob("*.*"):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 300, path.name
        assert max(map(len, lines)) <= 120, path.name


def test_the_page_in_docs_is_that_of_these_sources():
    html = DOCS.read_text(encoding="utf-8")
    features = data_of(html)["features"]
    assert page(features) == html
    assert len(html.encode()) <= 3_000_000
    model = load_model()
    assert tuple(features["names"]) == model.classes
    points, shown = classes.plane(model.targets.double())
    assert features["shown"] == pytest.approx(shown)
    assert torch.allclose(torch.tensor(features["points"]).abs() / 1e4, points.abs().float(), atol=1e-3)


def test_classical_scaling_keeps_distances_in_a_plane():
    flat = torch.randn(12, 2, generator=seeded(0), dtype=torch.float64)
    turned = torch.linalg.qr(torch.randn(7, 7, generator=seeded(1), dtype=torch.float64))[0][:, :2]
    points, shown = classes.plane(flat @ turned.T + 5)
    assert shown == pytest.approx(1)
    ratio = torch.pdist(points) / torch.pdist(flat)
    assert torch.allclose(ratio, ratio[:1])
    assert float(points.abs().max()) == pytest.approx(1)
    assert classes.plane(torch.ones(1, 7).double())[0].tolist() == [[0, 0]]
    wide = torch.randn(50, 20, generator=seeded(2), dtype=torch.float64)
    variance = torch.linalg.eigvalsh(wide.T.cov()).flip(0)
    assert classes.plane(wide)[1] == pytest.approx(float(variance[:2].sum() / variance.sum()))


def test_ends_lie_far_apart():
    phi = torch.tensor([[0.0], [1], [10], [11], [5], [5.1]])
    assert set(classes.far_apart(phi, 2)) == {0, 3}
    assert set(classes.far_apart(phi, 3)) in ({0, 3, 4}, {0, 3, 5})


def test_a_sheet_holds_its_images_in_order():
    gray = torch.linspace(0, 1, 50)
    uri = classes.sheet(gray[:, None, None, None].expand(50, 3, 16, 16))
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as image:
        assert image.size == (16 * classes.COLUMNS, 32)
        for k in (0, 7, 41, 42, 49):
            value = image.getpixel((16 * (k % classes.COLUMNS) + 8, 16 * (k // classes.COLUMNS) + 8))[0]
            assert value == pytest.approx(255 * float(gray[k]), abs=4)


def test_the_data_of_a_model(run, monkeypatch):
    monkeypatch.setattr(classes, "ENDS", 3)
    model, told = load_model(run["features"]), []
    data = classes.feature_data(model, told.append)
    assert sum(told) == classes.planned_images(model) * classes.CALLS
    assert len(data["names"]) == len(data["points"]) == len(data["distances"]) == 4
    assert [data["distances"][end][i] for i, end in enumerate(data["ends"])] == [0, 0, 0]
    assert 0 < data["shown"] <= 1
    assert json.loads(json.dumps(data))["side"] == 20
    for sheet, images in ((data["thumbnails"], 4), (data["strips"], 3 * classes.ALPHAS)):
        with Image.open(io.BytesIO(base64.b64decode(sheet.partition(",")[2]))) as image:
            assert image.size == (20 * classes.COLUMNS, 20 * -(-images // classes.COLUMNS))
    single = classes.feature_data(load_model(run["features"]).only(model.classes[:1]))
    assert single["strips"] is None


def test_the_command_writes_the_page(fgs, run, tmp_path, monkeypatch):
    monkeypatch.setattr(webbrowser, "open", lambda url: pytest.fail("opened a browser without a terminal"))
    out = tmp_path / "page.html"
    out.write_text("an older one")
    code, said, err = fgs("explore", run["features"], "--out", out)
    assert (code, err) == (0, "")
    assert said == f"{out}: open it in a browser\n"
    assert len(data_of(out.read_text(encoding="utf-8"))["features"]["names"]) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize("kind", ["label", "none"])
def test_a_model_without_features_has_the_mixture_tab(fgs, run, tmp_path, kind):
    code, _, err = fgs("explore", run[kind], "--out", tmp_path / "page.html")
    assert (code, err) == (0, "fgs: the model has no features φ: the page has the mixture tab alone\n")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("option", [(), ("--no-open",)])
def test_a_terminal_opens_the_browser(fgs, run, tmp_path, monkeypatch, option):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert fgs("explore", run["none"], "--out", tmp_path / "page.html", *option)[0] == 0
    assert opened == ([] if option else [(tmp_path / "page.html").as_uri()])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--out", "page.txt"), "--out: must end in .html, got page.txt"),
        (("--out", "a.html"), "--out: must be a file, is a folder, got a.html"),
        (("--out", "missing/page.html"), "--out: cannot write missing/page.html: No such file or directory"),
        (("nowhere",), "RUN: nowhere"),
        (("--classes", "3"), "No such option"),
    ],
)
def test_what_cannot_be_is_one_line(fgs, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.html").mkdir()
    code, out, err = fgs("explore", *arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert words in err
    assert [path.name for path in tmp_path.iterdir()] == ["a.html"]
