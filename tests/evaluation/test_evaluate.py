"""`fgs evaluate` as a person meets it, with networks trained for a few steps; what is measured is tested elsewhere."""

import json
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from markdown_it import MarkdownIt

from fgs.commands.evaluate import Evaluate, evaluate
from fgs.evaluation import samples as sampled
from fgs.evaluation.report import sections, write_report
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


def parsed(path):
    """The Markdown as its reader sees it, with tables and struck-out text as GitHub has them."""
    return MarkdownIt().enable(["table", "strikethrough"]).parse(path.read_text())


def tables_of(path):
    """Rows of texts, of every table; a cell has no markup."""
    tables = []
    for token, inside in pairwise(parsed(path)):
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif token.type in ("th_open", "td_open"):
            assert {span.type for span in inside.children} <= {"text"}
            tables[-1][-1].append("".join(span.content for span in inside.children))
    return tables


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


def test_the_report_shows_every_figure_and_asks_for_nothing_else(report):
    tokens = parsed(report / "report.md")
    spans = [span for token in tokens for span in token.children or ()]
    shown = [span.attrs["src"] for span in spans if span.type == "image"]
    assert len(shown) == len(set(shown))
    assert {report / link for link in shown} == set(report.rglob("*.png"))
    names = {path.stem for path in report.glob("*.png")}
    assert names == {*FIGURES, "interpolation"}
    assert {path.stem for path in (report / "unseen").glob("*.png")} <= names
    assert not [token for token in (*tokens, *spans) if token.type.startswith(("html", "link"))]


def test_the_tables_say_what_was_measured(report):
    classes = json.loads((report / "report.json").read_text())["samples"]["classes"]
    tables = [table for table in tables_of(report / "report.md") if table[0][0] == "class"]
    header, *rows = tables[0]
    assert [name for name, *_ in rows] == list(classes)
    for name, *cells in rows:
        found = dict(zip(header[1:], cells, strict=True))
        assert found["hit"] == f"{classes[name]['hit']:.3f}"
        assert found["real memorised"] == f"{classes[name]['real_memorised']:.3f}"
        assert found["nearest"] == classes[name]["nearest"]


def test_names_are_shown_as_they_are_whatever_markdown_would_make_of_them(tmp_path):
    names = ["a|b", "_flat_", "__init__", "brick_wall_2", "*bold*", "<b>&amp;", "[x](y)", "`tick", "\\|", "~~$x$~~"]
    curves = {"sigma": [1.0], "noisy": [0.5], "psnr": {name: [2.0] for name in names}}
    write_report(tmp_path / "report.md", "*run*", "Lead.", sections({"denoising": curves}, Path(), "here"))
    (table,) = tables_of(tmp_path / "report.md")
    assert table == [["PSNR in dB", "σ = 1"], ["noisy", "0.500"], *([name, "2.000"] for name in names)]
    assert parsed(tmp_path / "report.md")[1].children[0].content == "*run*"


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


def test_one_class_alone_is_measured_as_far_as_it_goes(fgs, run, textures, tmp_path):
    name = load_model(run["features"]).classes[1]
    how = ["--class", name, "--class", name, *QUICK, "--out", tmp_path / "one", "--json"]
    code, out, err = fgs("evaluate", run["features"], *how)
    assert (code, err) == (0, "")
    assert set(json.loads(out)["samples"]["classes"]) == {name}
    assert not {"concentration", "embedding", "interpolation"} & set(json.loads(out))
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(
        next(path for path in textures.iterdir() if path.stem not in load_model(run["features"]).classes), alone
    )
    code, out, err = fgs("evaluate", run["features"], "--unseen", alone, *QUICK, "--out", tmp_path / "out", "--json")
    assert (code, err) == (0, "")
    assert len(json.loads(out)["unseen"]["samples"]["classes"]) == 1


def test_classes_of_a_model_whose_images_are_not_there(fgs, textures, tmp_path):
    code, out, err = fgs("evaluate", "--unseen", textures, "--class", "oak_veneer", "--out", tmp_path / "no")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("fgs: --class: names classes trained on; add --data")


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
    assert "Texture statistics are left out" in (tmp_path / "out/report.md").read_text()
    assert set(found["samples"]["classes"]["bricks"]) == {"memorised", "real_memorised"}


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
    assert "flat: real patches are all alike there" in (tmp_path / "out/report.md").read_text()


def test_bad_input_is_one_line(fgs, run, tmp_path):
    changed = tmp_path / "changed"
    changed.mkdir()
    for name in load_model(run["features"]).classes:
        (changed / f"{name}.png").write_bytes(b"")
    empty = tmp_path / "empty"
    empty.mkdir()
    for arguments, line in (
        (["--unseen", tmp_path / "nowhere"], "--unseen: "),
        (["--unseen", changed], "--unseen: "),
        (["--data", changed], "--data: "),
        (["--data", empty], f"--data: {empty} has no "),
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
