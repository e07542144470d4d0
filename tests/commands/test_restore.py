"""`fgs restore`: every task on a small picture, better than before where something can be known, and wrong input."""

import json

import pytest
import torch

from fgs.images.damage import blurred, shrunk
from fgs.images.patches import draw_images
from fgs.images.reading import AS_IT_IS, read_image, write_image
from fgs.noise import seeded

SIDE = 40


def write(path, image):
    write_image(path, (255 * image.clamp(0, 1)).round().to(torch.uint8))
    return path


@pytest.fixture
def damaged(tmp_path):
    """Files of an image, of what became of it, and of a mask."""
    truth = next(iter(draw_images(1, 1, SIDE, color=True).values()))[0].float() / 255
    noise = torch.randn(truth.shape, generator=seeded(0))
    mask = torch.zeros(1, SIDE, SIDE)
    mask[:, 12:20, 14:24] = 1
    sparse = (torch.rand(1, SIDE, SIDE, generator=seeded(1)) < 0.3).float()
    files = {
        "truth": truth,
        "mask": mask,
        "denoise": truth + 0.1 * noise,
        "inpaint": truth * (1 - mask),
        "pixels": truth.clamp_min(0.01) * sparse,
        "deblur": blurred(1.5).measure(truth[None])[0],
        "enlarge": shrunk(2).measure(truth[None])[0],
    }
    return {name: write(tmp_path / f"{name}.png", image) for name, image in files.items()}


TASKS = {
    "denoise": (),
    "inpaint": ("--mask", "@mask"),
    "pixels": (),
    "deblur": ("--blur", 1.5),
    "enlarge": ("--factor", 2),
}


@pytest.mark.parametrize("task", TASKS)
def test_every_task(fgs, damaged, tmp_path, task):
    how = [damaged.get(str(word)[1:], word) for word in TASKS[task]]
    out = tmp_path / "out"
    code, text, err = fgs(
        *("restore", damaged[task], "--task", task, *how, "--steps", 6, "--n", 2),
        *("--truth", damaged["truth"], "--out", out, "--json"),
    )
    assert (code, err) == (0, "")
    found = json.loads(text)
    assert {path.name for path in out.iterdir()} == {
        *("grid.png", "mean.png", "sd.png", "sample-000.png", "sample-001.png"),
    }
    assert read_image(out / "mean.png", AS_IT_IS).shape[1:] == (SIDE, SIDE)
    assert found["psnr_mean"] > found["psnr"] + 0.5  # of two samples the mean is nearer
    assert found["sd"] > 0
    if task == "denoise":
        assert found["noise"] == pytest.approx(0.1, rel=0.2)
        assert found["psnr_mean"] > found["psnr_guess"] + 8
    assert found["psnr_mean"] > found["psnr_guess"] + 1


def test_what_is_known_stays_and_careful_is_another_way(fgs, damaged, tmp_path):
    for number, how in enumerate(((), ("--careful",))):
        out = tmp_path / f"out{number}"
        options = ("--task", "inpaint", "--mask", damaged["mask"], "--n", 1, "--steps", 4, "--out", out, *how)
        assert fgs("restore", damaged["inpaint"], *options, "--class", "bricks_001")[0] == 0
        mask, truth, x = (
            read_image(path, AS_IT_IS).float() / 255
            for path in (damaged["mask"], damaged["truth"], out / "sample-000.png")
        )
        assert ((x - truth) * (1 - mask)).square().mean().sqrt() < 0.05
    once, again = (read_image(tmp_path / f"out{k}" / "sample-000.png", AS_IT_IS) for k in range(2))
    assert (once != again).any()


@pytest.mark.parametrize("how", [(), ("--careful",)])
def test_what_stands_in_a_hole_is_not_looked_at(fgs, damaged, tmp_path, how):
    truth, mask = (read_image(damaged[name], AS_IT_IS).float() / 255 for name in ("truth", "mask"))
    samples = []
    for gray in (0.0, 1.0):
        holed = write(tmp_path / f"{gray}.png", truth * (1 - mask) + gray * mask)
        out = tmp_path / f"out{gray}"
        options = ("--task", "inpaint", "--mask", damaged["mask"], "--n", 1, "--steps", 4, "--out", out, *how)
        assert fgs("restore", holed, *options)[0] == 0
        samples.append(read_image(out / "sample-000.png", AS_IT_IS))
    assert torch.equal(*samples)


def test_a_run_that_is_not_there_is_named_by_its_option(fgs, damaged, tmp_path):
    code, _, err = fgs("restore", damaged["denoise"], "--run", tmp_path / "none", "--out", tmp_path / "out")
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith("fgs: --run: ")


def test_what_has_no_features_is_no_like(fgs, run, damaged, tmp_path):
    image = damaged["truth"]
    code, _, err = fgs("restore", image, "--run", run["label"], "--like", image, "--out", tmp_path / "out")
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith("fgs: the model has no features φ of pictures")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--task", "inpaint"], "--mask: --task inpaint needs it"),
        (["--mask", "@mask"], "--mask: is for --task inpaint and pixels"),
        (["--task", "inpaint", "--mask", "@enlarge"], "--mask: 20 × 20 pixels, and the image has 40 × 40"),
        (["--task", "pixels"], "--mask: nothing is missing"),
        (["--truth", "@enlarge"], "--truth: 20 × 20 pixels, and what is restored has 40 × 40"),
        (["--noise", "2"], "--noise: must lie in (0.01, 1], got 2"),
        (["--task", "deblur", "--blur", "50"], "--blur: must lie in [.1, 20], got 50"),
        (["--task", "deblur", "--blur", "20"], "--blur: reaches 60 pixels, and the image has 40 × 40"),
        (["--blur", "1"], "--blur: is for --task deblur; leave it out"),
        (["--factor", "2"], "--factor: is for --task enlarge; leave it out"),
        (["--careful"], "--careful: is for --task inpaint and pixels and deblur and enlarge; leave it out"),
        (["--task", "enlarge", "--factor", "100"], "--factor: makes more than 2,097,152 pixels of 40 × 40"),
        (["--class", "nothing_like_it"], "--class: the model knows no nothing_like_it"),
        (["--class", "bricks_001", "--like", "@truth"], "--like: give only one of --class and --like"),
        (["--n", "0"], "--n: must be at least 1"),
        (["--task", "polish"], "--task: must be"),
    ],
)
def test_wrong_input_is_a_line_and_leaves_nothing(fgs, damaged, tmp_path, options, message):
    out = tmp_path / "out"
    typed = [damaged.get(word[1:], word) for word in options]
    code, text, err = fgs("restore", damaged["truth"], *typed, "--out", out)
    assert (code, text) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not out.exists()


def test_an_image_that_is_none(fgs, tmp_path):
    code, _, err = fgs("restore", tmp_path / "none.png", "--out", tmp_path / "out")
    assert code == 2
    assert "none.png" in err
    assert err.count("\n") == 1
