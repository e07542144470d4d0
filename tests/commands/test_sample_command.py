"""`fgs sample` as a person meets it, with a network trained for a few steps."""

import json
import shutil
from itertools import combinations

import numpy as np
import pytest
import torch
from PIL import Image

from fgs.commands.sample import Sample, _file_name, _start, _unique, rows_of
from fgs.few_steps import MultiStep
from fgs.guidance import Released
from fgs.images.conditions import Condition, sample_rows
from fgs.images.model import load_model
from fgs.images.reading import write_image
from fgs.images.sources import patches_of
from fgs.noise import seeded

QUICK = ("--steps", 8, "--beta", 0.9)


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "my wall.png"
    write_image(path, (255 * torch.rand(3, 50, 60, generator=seeded(0))).to(torch.uint8))
    return path


def test_two_classes(fgs, run, tmp_path):
    names = load_model(run["features"]).classes[:2]
    arguments = [part for name in names for part in ("--class", name)]
    code, out, err = fgs("sample", run["features"], *arguments, "--n", 3, *QUICK, "--out", tmp_path / "out")
    assert (code, err) == (0, "")
    assert "2 × 3 images of 20 × 20" in out
    with np.load(tmp_path / "out/samples.npz") as arrays:
        assert arrays["samples"].shape == (6, 1, 20, 20)
        assert 0 <= arrays["samples"].min() <= arrays["samples"].max() <= 1
        assert arrays["labels"].tolist() == [0, 0, 0, 1, 1, 1]
        assert tuple(arrays["classes"]) == names
        first = arrays["samples"][0, 0]
    with Image.open(tmp_path / f"out/{names[0]}-000.png") as image:
        np.testing.assert_allclose(np.asarray(image) / 255, first, atol=0.5 / 255)
    assert len(list((tmp_path / "out").glob("*.png"))) == 7


@pytest.mark.parametrize("sampler", ["sisa", "corrected", "multi-step", "few-steps", "velocity"])
def test_every_sampler(fgs, run, tmp_path, sampler):
    how, beta = ["--h", 0.9] if sampler == "sisa" else ["--steps", 9], 1 if sampler == "velocity" else 0.9
    how += [] if sampler == "velocity" else ["--beta", beta]
    options = ["--sampler", sampler, *how, "--n", 1, "--json", "--out", tmp_path / "out"]
    code, out, err = fgs("sample", run["features"], *options)
    assert (code, err) == (0, "")
    about = json.loads(out)
    assert (about["sampler"], about["beta"]) == (sampler, beta)
    assert about["steps"] <= 9
    assert (about["h"] is None) == (sampler != "sisa")
    with np.load(tmp_path / "out/samples.npz") as arrays:
        assert arrays["samples"].shape == (4, 1, 20, 20)
        assert np.isfinite(arrays["samples"]).all()


def test_all_classes_and_another_size_as_json(fgs, run, tmp_path):
    code, out, _ = fgs("sample", run["features"], "--n", 1, "--size", 23, *QUICK, "--out", tmp_path / "out", "--json")
    about = json.loads(out)
    assert (code, about["size"], len(about["rows"])) == (0, [23, 23], 4)
    assert about["steps"] <= 8


@pytest.mark.parametrize("guidance", ["features", "label", "none"])
def test_a_seed_repeats_the_samples(fgs, run, tmp_path, guidance):
    def draw(seed, name):
        assert fgs("sample", run[guidance], "--n", 1, *QUICK, "--seed", seed, "--out", tmp_path / name)[0] == 0
        with np.load(tmp_path / name / "samples.npz") as arrays:
            return arrays["samples"]

    one = draw(1, "a")
    np.testing.assert_array_equal(one, draw(1, "b"))
    assert np.abs(one - draw(2, "c")).mean() > 1e-3
    assert len(one) == (1 if guidance == "none" else 4)


def test_like_a_photograph(fgs, run, photo, tmp_path):
    code, _, err = fgs("sample", run["features"], "--like", photo, *QUICK, "--out", tmp_path / "out")
    assert (code, err) == (0, "")
    assert (tmp_path / "out/like_my_wall-003.png").exists()
    code, _, err = fgs("sample", run["label"], "--like", photo, *QUICK, "--out", tmp_path / "other")
    assert code == 2
    assert "the model has no features φ" in err


def test_pictures_of_one_texture_share_a_row_unless_each_has_its_own(fgs, run, photo, textures, tmp_path):
    two = [photo, sorted(textures.iterdir())[0]]
    for option, rows in (("--like", 1), ("--like-each", 2)):
        arguments = [part for path in two for part in (option, path)]
        out = tmp_path / option
        assert fgs("sample", run["features"], *arguments, "--n", 1, *QUICK, "--out", out)[0] == 0
        with np.load(out / "samples.npz") as arrays:
            assert len(arrays["classes"]) == rows
    code, _, err = fgs("sample", run["features"], "--like", photo, "--like-each", photo, "--out", tmp_path / "no")
    assert (code, err.count("\n")) == (2, 1)


def test_the_list_names_and_draws_every_class(fgs, run, tmp_path):
    code, out, err = fgs("sample", run["features"], "--list", *QUICK, "--out", tmp_path / "list")
    assert code == 0
    assert out.split() == list(load_model(run["features"]).classes)
    assert "classes.png: a sample of each" in err
    with Image.open(tmp_path / "list/classes.png") as sheet:
        assert sheet.size == (4 * (60 + 8), 60 + 22)
    assert [path.name for path in (tmp_path / "list").iterdir()] == ["classes.png"]
    assert fgs("sample", run["features"], "--list", "--unguided", "--out", tmp_path / "no")[0] == 2


def test_what_is_asked_for_twice_is_kept_twice(fgs, run, tmp_path):
    name = load_model(run["features"]).classes[0]
    assert fgs("sample", run["features"], *["--class", name] * 2, "--n", 1, *QUICK, "--out", tmp_path / "out")[0] == 0
    assert {path.name for path in (tmp_path / "out").glob(f"{name}*")} == {f"{name}-000.png", f"{name}_2-000.png"}


def test_between_two_classes(fgs, run, tmp_path):
    """Both ends are the classes themselves."""
    a, b = load_model(run["features"]).classes[2:4]
    common = [*QUICK, "--n", 1, "--seed", 5]
    assert fgs("sample", run["features"], "--between", a, b, "--alphas", 3, *common, "--out", tmp_path / "way")[0] == 0
    assert fgs("sample", run["features"], "--class", a, *common, "--out", tmp_path / "end")[0] == 0
    with np.load(tmp_path / "way/samples.npz") as way, np.load(tmp_path / "end/samples.npz") as end:
        assert way["classes"].tolist() == [a, "α = 0.5", b]
        np.testing.assert_allclose(way["samples"][0], end["samples"][0], atol=1e-5)


def test_samples_start_around_the_mean_of_what_is_asked_for(run, textures, photo):
    model = load_model(run["features"])
    patches = patches_of(model, [textures])
    grays = [float(patches.training(y, 2000, seeded(7, y)).mean()) for y in range(4)]
    assert min(abs(a - b) for a, b in combinations(grays, 2)) > 0.02
    a, b = model.classes[3], model.classes[1]

    def means(**settings):
        condition = rows_of(model, Sample(**settings))[1]
        assert condition.mean.shape[1:] == (1, 1, 1)
        return condition.mean.flatten().tolist()

    assert means() == pytest.approx(grays, abs=0.01)
    assert means(class_=(a, b)) == pytest.approx([grays[3], grays[1]], abs=0.01)
    assert means(between=(a, b), alphas=3)[1] == pytest.approx((grays[3] + grays[1]) / 2, abs=0.01)
    assert means(unguided=True) == pytest.approx([sum(grays) / 4], abs=0.01)
    kept = model.read(photo, 20)[:, :40, :60]  # 2 × 3 patches side by side
    assert means(like=(photo,)) == pytest.approx([float(kept.mean())])


def test_every_row_starts_at_the_picture(run, photo):
    model = load_model(run["features"])
    request = Sample(between=model.classes[:2], alphas=3, start=photo, sigma=0.3)
    condition, size = _start(model, request, rows_of(model, request)[1])
    assert size == (50, 60)
    torch.testing.assert_close(condition.mean, model.read(photo, 20).expand(3, 1, 50, 60))
    assert len(condition.phi) == 3


@pytest.mark.parametrize("word", ["or", "and"])
def test_two_classes_composed(fgs, run, tmp_path, word):
    one, other = load_model(run["features"]).classes[:2]
    options = ("--class", one, f"--{word}", other, "--n", 3, "--steps", 9, "--json", "--out", tmp_path / "out")
    code, out, err = fgs("sample", run["features"], *options)
    assert (code, err) == (0, "")
    about = json.loads(out)
    assert (about["rows"], about["n"], about["steps"], about["beta"]) == ([f"{one} {word} {other}"], 3, 9, 0.5)
    assert about["sampler"] == "superposition"
    with np.load(tmp_path / "out/samples.npz") as arrays:
        assert arrays["samples"].shape == (3, 1, 20, 20)
        assert np.isfinite(arrays["samples"]).all()


def test_start_and_release(fgs, run, photo, tmp_path):
    arguments = ["--unguided", "--start", photo, "--sigma", 0.3, "--n", 1, *QUICK]
    assert fgs("sample", run["features"], *arguments, "--out", tmp_path / "near")[0] == 0
    with np.load(tmp_path / "near/samples.npz") as arrays:
        assert arrays["samples"].shape == (1, 1, 50, 60)
    name = load_model(run["features"]).classes[0]
    for out, more in {"held": (), "released": ("--release-at", 0.2)}.items():
        assert fgs("sample", run["features"], "--class", name, *QUICK, *more, "--out", tmp_path / out)[0] == 0
    with np.load(tmp_path / "held/samples.npz") as held, np.load(tmp_path / "released/samples.npz") as released:
        assert np.abs(held["samples"] - released["samples"]).max() > 1e-4


BAD = {
    "too large": (["--size", "1449"], "--size: must be at most 1448, got 1449"),
    "unknown class": (["--class", "brikcs"], "--class: the model knows no brikcs; "),
    "two questions": (["--class", "bricks", "--unguided"], "--unguided: give only one of"),
    "too small": (["--size", "9"], "--size: must be at least 16, got 9"),
    "no image": (["--like", "nowhere.png"], "nowhere.png: No such file"),
    "small image": (["--like", "tiny.png"], "tiny.png: 3 × 3 pixels are too few; needs 20 a side"),
    "start alone": (["--start", "tiny.png"], "--start: --start and --sigma go together; give both"),
    "steps": (["--steps", "2"], "--steps: must be at least 7 with corrections, got 2"),
    "steps of SISA": (["--sampler", "sisa", "--steps", "20"], "--steps: of sisa follow from --h and --beta"),
    "beta": (["--beta", "2"], "--beta: must lie in (0, 1], got 2"),
    "composed": (["--or", "bricks"], "--or: give one --class, and --or or --and, and no --release-at"),
    "composed by itself": (["--and", "bricks"], "--and: give one --class, and --or or --and"),
    "composed by others": (
        ["--class", "bricks", "--or", "oak", "--sampler", "multi-step"],
        "--or: has a sampler of its own, of β = .5; leave out --sampler and --beta",
    ),
    "composed with nothing known": (["--class", "bricks", "--or", "brikcs"], "--or: the model knows no brikcs; "),
    "beta of a composition": (["--class", "a", "--or", "b", "--beta", "0"], "--or: has a sampler of its own, of β"),
    "h of 0": (["--sampler", "sisa", "--h", "0"], "--h: must lie in (0, 1], got 0"),
    "calls of a composition": (["--class", "a", "--or", "b", "--steps", "1"], "--steps: must be at least 2, got 1"),
    "calls of velocity": (["--sampler", "velocity", "--steps", "1"], "--steps: too few for this sampler, got 1"),
    "beta of velocity": (["--sampler", "velocity", "--beta", ".2"], "--beta: of velocity is 1; leave it out, got 0.2"),
    "release": (["--release-at", "3"], "--release-at: must lie in"),
    "seed": (["--seed", "-1"], "--seed: must not be negative"),
    "noise level": (["--sigma-end", "2"], "--sigma-end: must lie in (0, 1), got 2"),
    "between": (["--between", "nowhere", "elsewhere"], "--between: the model knows no nowhere"),
    "sampler": (["--sampler", "ddim"], "--sampler: must be one of sisa, corrected, multi-step, "),
    "h alone": (
        ["--sampler", "multi-step", "--h", ".1"],
        "--h: belongs to --sampler sisa; give that too, or --steps instead",
    ),
    "too few": (["--sampler", "corrected", "--steps", "1"], "--steps: must be at least 7 with corrections, got 1"),
    "downscale alone": (["--downscale", "2"], "--downscale: is for the pictures of --like and --start"),
    "nothing to release": (["--unguided", "--release-at", ".5"], "--release-at: there is no guidance that could end"),
    "out": (["--out", "tiny.png"], "--out: tiny.png is a file"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line(fgs, run, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "tiny.png", torch.zeros(1, 3, 3, dtype=torch.uint8))
    arguments, line = BAD[name]
    code, out, err = fgs("sample", run["features"], *arguments)
    assert (code, out) == (2, "")
    assert line in err
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.png"]


def test_rows_that_would_share_a_file_are_numbered():
    assert _unique(["a b", "a_b", "c", "c", "c 2", "α = 0.5"]) == ["a b", "a_b 2", "c", "c 2", "c 2 2", "α = 0.5"]
    long = ["a" * 300, "a" * 299 + "b", "ü" * 150, "\udcff", "a" * 301]
    assert _unique(long) == [*long[:4], f"{long[4]} 2"]
    assert [len(_file_name(label).encode()) for label in long] == [200, 200, 200, 1, 200]
    assert _unique(["a", "A", "Bark", "bark"]) == ["a", "A 2", "Bark", "bark 2"]  # one file on some systems


def test_without_a_target_the_run_is_followed_until_it_lets_go():
    asked = []

    def guided(x, phi=None, sigma=None):
        asked.append(("guided", phi, float(sigma)))
        return -x

    def free(x, phi=None, sigma=None):
        asked.append(("free", phi, float(sigma)))
        return -x

    score = Released(guided, free, 0.5)
    for sigma in (0.9, 0.1):
        score(torch.zeros(2, 3), None, torch.tensor(sigma))
    assert [(name, phi) for name, phi, _ in asked] == [("guided", None), ("free", None)]


def test_progress_counts_the_calls_of_the_network():
    counts, sampler = [], MultiStep(9, 0.5, 1.0, 0.01, denoise_last=True)
    condition = Condition(None, torch.zeros(1, 1, 1, 1))
    sample_rows(lambda x, phi, sigma: -x, condition, 3, sampler, (4, 4), 0, counts.append)
    assert sum(counts) == 3 * sampler.planned_steps()


def test_embedding_images(fgs, run, textures, tmp_path):
    paths = sorted(textures.glob("*.png"))[:3]
    code, out, err = fgs("embed", run["features"], *paths, "--out", tmp_path / "phi.npy", "--json")
    assert (code, err) == (0, "")
    model = load_model(run["features"])
    about = json.loads(out)
    phi = np.load(tmp_path / "phi.npy")
    assert phi.shape == (3, about["feature_dim"]) == (3, model.targets.shape[1])
    assert json.loads((tmp_path / "phi.json").read_text()) == [path.name for path in paths]
    for path, row in zip(paths, phi, strict=True):
        distances = (model.targets - torch.from_numpy(row)).norm(dim=1)
        nearest = about["nearest"][str(path)]
        assert next(iter(nearest)) == model.classes[int(distances.argmin())]
        assert list(nearest.values()) == pytest.approx(distances.sort().values[:3].tolist(), rel=1e-4)
    assert f"{paths[0]}: " in fgs("embed", run["features"], paths[0])[1]


def test_embedding_what_cannot_be(fgs, run, photo, tmp_path):
    code, _, err = fgs("embed", run["features"], tmp_path / "nowhere.png")
    assert (code, err.count("\n")) == (2, 1)
    assert "nowhere.png: No such file" in err
    assert "the model has no features φ" in fgs("embed", run["label"], photo)[2]
    assert "--out: must end in .npy" in fgs("embed", run["features"], "a.png", "--out", "phi.txt")[2]


def test_what_is_no_model(fgs, tmp_path):
    assert "RUN: " in fgs("sample", tmp_path / "nowhere")[2]
    torch.save({"format": 1, "about": {}, "networks": {}}, tmp_path / "other.pt")
    code, _, err = fgs("sample", tmp_path / "other.pt")
    assert (code, err) == (2, f"fgs: RUN: {tmp_path / 'other.pt'}: holds no network of images\n")


def test_open_shows_the_grid(fgs, run, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("webbrowser.open", shown.append)
    code, _, err = fgs("sample", run["features"], "--n", 1, *QUICK, "--out", tmp_path / "out", "--open")
    assert (code, err) == (0, "")
    assert shown == [(tmp_path / "out/grid.png").as_uri()]


def test_pictures_of_long_names_that_are_no_text(fgs, run, photo, tmp_path):
    """Three names of 90 letters make a name that no file can have; one of other bytes makes none at all."""
    paths = [tmp_path / f"{letter * 90}.png" for letter in "abc"] + [tmp_path / "stein\udcff.png"]
    try:
        for path in paths:
            shutil.copy(photo, path)
    except OSError:
        pytest.skip("file names are text here")
    arguments = [part for path in paths for part in ("--like", path)]
    code, _, err = fgs("sample", run["features"], *arguments, "--n", 1, *QUICK, "--out", tmp_path / "out")
    assert (code, err) == (0, "")
    assert len(list((tmp_path / "out").glob("like_*-000.png"))) == 1
    other = ["--like-each", paths[3], "--n", 1, *QUICK, "--out", tmp_path / "other"]
    assert fgs("sample", run["features"], *other)[0] == 0
    assert fgs("embed", run["features"], *paths, "--out", tmp_path / "phi.npy")[0] == 0


def test_a_picture_to_start_at_may_be_too_large(fgs, run, photo, tmp_path, monkeypatch):
    monkeypatch.setattr("fgs.commands.sample.LARGEST", 2000)
    start = ["--unguided", "--start", photo, "--sigma", 0.3, "--n", 1, *QUICK, "--out"]
    code, _, err = fgs("sample", run["features"], *start, tmp_path / "no")
    assert (code, err) == (2, "fgs: --start: has 3,000 pixels, more than 2,000; give --size or --downscale\n")
    assert fgs("sample", run["features"], "--size", 30, *start, tmp_path / "yes")[0] == 0
