"""`fgs evaluate` as a person meets it, with networks trained for a few steps; what is measured is tested elsewhere."""

import base64
import json
import re
import shutil
import subprocess
from html import escape

import pytest
import torch

from fgs.commands.evaluate import Evaluate, evaluate
from fgs.evaluation import samples as sampled
from fgs.images.model import load_model
from fgs.images.reading import write_image
from fgs.images.recipe import Recipe
from fgs.images.run import Run
from fgs.images.samplers import HowToSample

QUICK = ("--steps", 8, "--beta", 0.9, "--n", 6)
FIGURES = ("denoising", "concentration", "embedding", "samples")


@pytest.fixture(scope="module", autouse=True)
def _few_samples():
    with pytest.MonkeyPatch.context() as patched:
        for module, name in ((sampled, "FEW"), (sampled, "COPIES")):
            patched.setattr(module, name, 4)
        yield


@pytest.fixture(scope="module")
def report(run, textures, tmp_path_factory):
    """A report with all that a model can be measured by."""
    out = tmp_path_factory.mktemp("reports") / "full"
    how = HowToSample(steps=8, beta=0.9)
    evaluate(Evaluate(run["features"], n=6, how=how, out=out, json=True, unseen=textures))
    return out


def test_everything_is_measured(report, run):
    found = json.loads((report / "report.json").read_text())
    classes = load_model(run["features"]).classes
    assert set(found["denoising"]["psnr"]) == {"none", "right", "wrong"}
    assert set(found["samples"]["classes"]) == set(classes)
    unseen = found["unseen"]["samples"]
    assert len(unseen["classes"]) == 2
    assert not set(unseen["classes"]) & set(classes)
    own = [line["nearest"] == name for name, line in unseen["classes"].items()]
    assert unseen["summary"]["nearest_own"] == sum(own) / 2
    assert all(-1 <= line["memorised"] <= 1 for line in unseen["classes"].values())
    for line in found["interpolation"]["pairs"]:
        assert line["progress"][0] == 0
        assert line["progress"][-1] == pytest.approx(1)
    distances = [line["distance"] for line in found["interpolation"]["pairs"]]
    assert distances == sorted(distances)


def test_the_report_holds_its_figures_and_asks_for_nothing(report):
    page = (report / "report.html").read_text()
    drawn = {path.read_bytes() for path in report.rglob("*.png")}
    assert {base64.b64decode(data) for data in re.findall(r"base64,([^\"]+)", page)} == drawn
    names = {path.stem for path in report.glob("*.png")}
    assert names == {*FIGURES, "interpolation"}
    assert {path.stem for path in (report / "unseen").glob("*.png")} <= names
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "<script" not in page


def test_classes_are_chosen_and_unseen_ones_need_no_others(fgs, run, textures, tmp_path):
    names = load_model(run["features"]).classes
    asked = [part for name in names[:2] for part in ("--class", name)]
    code, out, err = fgs("evaluate", run["features"], *asked, *QUICK, "--out", tmp_path / "out", "--json")
    assert (code, err) == (0, "")
    assert set(json.loads(out)["samples"]["classes"]) == set(names[:2])
    checkpoint = tmp_path / "network.pt"
    shutil.copy(run["features"] / "network.pt", checkpoint)
    code, out, err = fgs("evaluate", checkpoint, "--unseen", textures, *QUICK, "--out", tmp_path / "alone", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert set(found) == {"unseen"}
    assert not set(found["unseen"]["samples"]["classes"]) & set(names)
    assert fgs("evaluate", run["features"], "--class", "nothing", "--out", tmp_path / "no")[0] == 2
    code, _, err = fgs("evaluate", run["none"], "--unseen", textures, "--out", tmp_path / "no")
    assert (code, "unseen: is for runs of --guidance features" in err) == (2, True)


def test_a_network_of_the_mixture_is_measured_as_far_as_it_goes(fgs, run, tmp_path):
    code, out, err = fgs("evaluate", run["none"], *QUICK, "--out", tmp_path / "out", "--json")
    assert (code, err) == (0, "")
    assert set(json.loads(out)) == {"denoising"}
    code, out, err = fgs("evaluate", run["label"], *QUICK, "--out", tmp_path / "label")
    assert (code, err) == (0, "")
    assert "samples: hit" in out


def test_a_checkpoint_needs_its_images_named(fgs, run, textures, tmp_path):
    checkpoint = run["none"] / "network.pt"
    code, _, err = fgs("evaluate", checkpoint, *QUICK, "--out", tmp_path / "out")
    assert (code, err) == (2, "fgs: --data: name the folder of the images that the model was trained on\n")
    assert fgs("evaluate", checkpoint, "--data", textures, *QUICK, "--out", tmp_path / "out")[0] == 0


def test_patches_too_small_to_be_judged_are_sampled_and_not_judged(fgs, textures, tmp_path):
    for _ in Run.start(
        tmp_path / "run", Recipe(patch=8, batch=4, steps=1, data=(str(textures),), class_=("bricks", "pebbles"))
    ).train():
        pass
    assert fgs("sample", tmp_path / "run", "--size", 8, *QUICK, "--out", tmp_path / "samples")[0] == 0
    code, out, err = fgs("evaluate", tmp_path / "run", *QUICK, "--out", tmp_path / "out", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert set(found) == {"denoising", "concentration", "embedding", "samples"}
    assert "Texture statistics are left out" in (tmp_path / "out/report.html").read_text()
    assert set(found["samples"]["classes"]["bricks"]) == {"memorised", "real_memorised", "elsewhere"}


def test_a_flat_class_leaves_nulls_and_the_report_says_why(fgs, textures, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(textures, data)
    write_image(data / "flat.png", torch.full((1, 120, 120), 128, dtype=torch.uint8))
    recipe = Recipe(patch=20, batch=4, steps=1, data=(str(data),), class_=("bricks", "flat"))
    for _ in Run.start(tmp_path / "run", recipe).train():
        pass
    code, out, err = fgs("evaluate", tmp_path / "run", *QUICK, "--out", tmp_path / "out", "--json")
    assert (code, err) == (0, "")
    for text in (out, (tmp_path / "out/report.json").read_text(), (tmp_path / "run/config.json").read_text()):
        json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    found = json.loads(out)["samples"]
    assert found["classes"]["flat"]["distance"] is None
    assert found["summary"]["distance_worst"] > 0
    assert "flat: real patches are all alike there" in (tmp_path / "out/report.html").read_text()


def test_bad_input_is_one_line(fgs, run, tmp_path):
    changed = tmp_path / "changed"
    changed.mkdir()
    for name in load_model(run["features"]).classes:
        (changed / f"{name}.png").write_bytes(b"")
    for arguments, line in (
        (["--unseen", tmp_path / "nowhere"], "--unseen: "),
        (["--unseen", changed], "--unseen: "),
        (["--data", changed], "--data: "),
        (["--n", 1], "--n: must be at least 2"),
    ):
        code, out, err = fgs("evaluate", run["features"], *arguments, "--out", tmp_path / "out")
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert line in err
    assert not (tmp_path / "out").exists()


def test_a_sampler_that_cannot_be_built_is_refused_before_anything_is_read(fgs, run, tmp_path):
    code, out, err = fgs("evaluate", run["features"], "--steps", 4, "--out", tmp_path / "out")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "--steps: must be at least 7" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium")
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_the_screen(report, tmp_path, width):
    """Nothing is wider than the window but what scrolls by itself, and no error is logged."""
    probe = tmp_path / "probe.html"  # a frame, since Chromium's own window cannot be as narrow as a phone
    script = (
        "onload=()=>{const p=document.querySelector('iframe').contentDocument;const w=p.documentElement;"
        "const broken=[...p.images].filter(i=>!i.naturalWidth).length;"
        "document.title=`width ${w.scrollWidth} of ${w.clientWidth}, broken ${broken}`}"
    )
    page = escape((report / "report.html").read_text())
    frame = f'<iframe style="border:0;width:{width}px;height:100000px" srcdoc="{page}"></iframe>'
    probe.write_text(f"<body>{frame}<script>{script}</script></body>")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]
    command += ["--disable-background-networking", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--enable-logging=stderr", "--dump-dom", probe.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    inner, outer, broken = map(int, re.search(r"width (\d+) of (\d+), broken (\d+)", done.stdout).groups())
    assert (inner, outer, broken) == (width, width, 0)
    assert "CONSOLE" not in done.stderr
