"""`fgs train-images` as a person meets it."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from test_reading import broken

from fgs.images.model import load_model
from fgs.images.reading import write_image
from fgs.images.synthetic import draw_textures
from fgs.noise import seeded

QUICK = ["train-images", "--patch", "8", "--batch", "4"]


def process(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "cli", *map(str, arguments)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


def test_without_data_the_synthetic_textures_are_used(fgs, tmp_path):
    code, out, err = fgs(*QUICK, "--steps", 2, "--out", tmp_path / "run")
    assert (code, err) == (0, "")
    assert "2 steps" in out
    assert "16 classes" in out
    assert "right" in out
    assert (tmp_path / "run/denoised.png").stat().st_size > 10_000


def test_bad_files_are_listed_and_the_good_ones_trained_on(fgs, tmp_path):
    reasons = broken(tmp_path)
    for texture in draw_textures(4):
        write_image(tmp_path / f"{texture.name}.tif", texture(30, seeded(0)))
    code, out, err = fgs(*QUICK, "--data", tmp_path, "--steps", 2, "--out", tmp_path / "run", "--color", "--json")
    assert code == 0, err
    assert json.loads(out)["step"] == 2
    assert len(err.splitlines()) == len(reasons)
    assert all(f"{name}: " in err and reason in err for name, reason in reasons.items())
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert sorted(config["classes"]) == sorted(texture.name for texture in draw_textures(4))
    assert b"good" not in (tmp_path / "run/network.pt").read_bytes()
    assert str(tmp_path).encode() not in (tmp_path / "run/network.pt").read_bytes()


def test_dry_run_describes_the_paper_s_network(fgs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = fgs("train-images", "--preset", "paper", "--dry-run", "--json")
    assert (code, err) == (0, "")
    about = json.loads(out)
    assert about["parameters"] == pytest.approx(11.6e6, rel=0.005)
    assert (about["feature_dim"], about["receptive_field"], about["classes"]) == (1344, 84, 16)
    assert about["pairs"] > 1e6
    assert about["config"]["precision"] in ("float32", "bfloat16")
    assert list(tmp_path.iterdir()) == []
    assert "parameters" in fgs("train-images", "--dry-run")[1]


BAD = {
    "guidance": (["--guidance", "labels"], "--guidance: must be one of features, label, none, got labels"),
    "no folder": (["--data", "nowhere"], "--data: nowhere is no folder"),
    "out exists": (["--out", "."], "--out: . exists and holds files; name a new folder, or go on with --resume ."),
    "nothing to resume": (["--resume", "nowhere"], "--resume: nowhere holds no run"),
    "resume elsewhere": (["--resume", "one", "--out", "two"], "--resume: goes on in its own folder"),
    "nothing to downscale": (["--downscale", "2"], "--downscale: is for images of --data"),
    "learning rate": (["--learning-rate", "-1"], "--learning-rate: must be positive"),
    "seed": (["--seed", "-1"], "--seed: must not be negative"),
    "device": (["--device", "mps"], "--device: there is no mps here; use cpu or auto"),
    "batch": (["--batch", "3", "--dry-run"], "--batch: "),
    "nothing unseen": (["--unseen", "nowhere", "--dry-run"], "--unseen: nowhere is no folder"),
    "no room": (
        ["--data", "one", "--classes", "endless", "--synthetic", "0", "--dry-run"],
        "--data: no picture has 10 pixels a side",
    ),
    "one class": (["--data", "one"], "--data: one has 1 classes that can be used"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line(fgs, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one").mkdir()
    write_image(tmp_path / "one/a.png", torch.zeros(1, 30, 30, dtype=torch.uint8))
    arguments, line = BAD[name]
    code, out, err = fgs(*QUICK, *arguments)
    assert (code, out) == (2, "")
    assert line in err
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_interrupting_saves_and_says_how_to_go_on(tmp_path):
    run = process(*QUICK, "--out", tmp_path / "a run", "--minutes", 5)
    while not (tmp_path / "a run/config.json").exists():
        assert run.poll() is None, run.stderr.read()
        time.sleep(0.1)
    time.sleep(1.5)
    run.send_signal(signal.SIGTERM)
    _, err = run.communicate(timeout=30)
    assert run.returncode == 1
    step, command = re.search(r"interrupted at step (\d+); go on with: fgs (.*)", err).groups()
    assert command == f"train-images --resume '{tmp_path / 'a run'}'"
    assert torch.load(tmp_path / "a run/last.pt", weights_only=True)["trainer"]["step"] == int(step) > 0


def test_resuming_by_command(fgs, tmp_path):
    fgs(*QUICK, "--steps", 2, "--out", tmp_path / "run")
    code, out, _ = fgs("train-images", "--resume", tmp_path / "run")
    assert code == 0
    assert "2 steps" in out
    code, _, err = fgs("train-images", "--resume", tmp_path / "run", "--batch", 8)
    assert (code, err) == (2, "fgs: --batch: the run was started with 4; leave this option out\n")


def test_a_run_that_has_ended_goes_on_for_longer(fgs, monkeypatch, tmp_path):
    monkeypatch.setattr("fgs.images.run.CHECKS", 1)
    fgs(*QUICK, "--steps", 4, "--out", tmp_path / "run")
    code, _, err = fgs("train-images", "--resume", tmp_path / "run", "--steps", 3)
    assert (code, err) == (2, "fgs: --steps: the run has taken 4 already; give more, got 3\n")
    code, out, _ = fgs("train-images", "--resume", tmp_path / "run", "--steps", 8, "--json")
    assert (code, json.loads(out)["step"]) == (0, 8)


def test_of_two_that_start_in_one_folder_one_wins(tmp_path):
    both = [process(*QUICK, "--steps", 3, "--out", tmp_path / "run") for _ in range(2)]
    errors = [run.communicate(timeout=120)[1] for run in both]
    assert sorted(run.returncode for run in both) == [0, 2], errors
    lost = next(error for run, error in zip(both, errors, strict=True) if run.returncode)
    assert lost.count("\n") == 1
    assert "--out: " in lost
    assert torch.load(tmp_path / "run/last.pt", weights_only=True)["trainer"]["step"] == 3
    assert not (tmp_path / "run/.writing").exists()


@pytest.mark.slow
def test_killed_ten_times_it_ends_as_if_it_never_was(tmp_path):
    arguments = [*QUICK, "--steps", 400, "--precision", "float32"]
    whole = process(*arguments, "--out", tmp_path / "whole")
    _, err = whole.communicate()
    assert whole.returncode == 0, err
    run = process(*arguments, "--out", tmp_path / "killed")
    waits = torch.rand(10, generator=seeded(0)).tolist()
    for wait in waits:
        while not (tmp_path / "killed/config.json").exists():
            time.sleep(0.02)
        time.sleep(1 + 4 * wait)
        run.kill()
        run.communicate()
        torch.load(tmp_path / "killed/last.pt", weights_only=True)
        run = process("train-images", "--resume", tmp_path / "killed")
    _, err = run.communicate()
    assert run.returncode == 0, err
    states = (torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "killed"))
    one, other = (state["trainer"] for state in states)
    assert one["step"] == other["step"] == 400
    for kind in ("network", "average"):
        assert all(torch.equal(one[kind][key], other[kind][key]) for key in one[kind])


def test_from_other_weights(fgs, run, textures, tmp_path):
    one = textures / "bricks.png"
    arguments = ["--from", run["features"], "--data", one, "--steps", 2, "--device", "cpu"]
    code, out, err = fgs("train-images", *arguments, "--out", tmp_path / "out")
    assert (code, err) == (0, "")
    assert "2 steps" in out
    code, _, err = fgs("train-images", *arguments, "--preset", "medium", "--out", tmp_path / "no")
    assert (code, err) == (2, "fgs: --preset: --from has small; leave it out\n")
    code, _, err = fgs("train-images", "--from", tmp_path / "nowhere", "--out", tmp_path / "no")
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith("fgs: --from: ")
    assert fgs("sample", tmp_path / "out", "--n", 1, "--steps", 8, "--beta", 0.9, "--out", tmp_path / "samples")[0] == 0


@pytest.mark.slow
def test_scalars_for_tensorboard(fgs, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator").EventAccumulator
    code, _, err = fgs(*QUICK, "--steps", 40, "--tensorboard", "--out", tmp_path / "run")
    assert (code, err) == (0, "")
    events = accumulator(str(tmp_path / "run/tensorboard")).Reload()
    assert [event.step for event in events.Scalars("loss")] == [20, 40]
    checks = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    shown = events.Scalars("held out PSNR")
    assert [event.step for event in shown] == [line["step"] for line in checks]
    assert [event.value for event in shown] == pytest.approx([line["psnr"] for line in checks])
    assert fgs("train-images", "--resume", tmp_path / "run", "--steps", 60, "--tensorboard")[0] == 0
    shown = accumulator(str(tmp_path / "run/tensorboard")).Reload().Scalars("held out PSNR")
    checks = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [event.step for event in shown] == [line["step"] for line in checks]


def test_without_the_package_there_are_no_scalars(fgs, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    code, out, err = fgs(*QUICK, "--steps", 2, "--tensorboard", "--out", tmp_path / "run")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "--tensorboard: needs a package; pip install" in err
    assert not (tmp_path / "run").exists()


def test_labels_of_other_classes_are_no_start(fgs, run, textures, tmp_path):
    names = load_model(run["label"]).classes
    same = [part for name in names for part in ("--class", name)]
    other = [part for name in sorted(path.stem for path in textures.iterdir())[1:5] for part in ("--class", name)]
    begin = ["train-images", "--from", run["label"], "--data", textures, "--steps", 1, "--device", "cpu"]
    for arguments in (other, other[2:], [*other, "--dry-run"]):  # as many, fewer, and not even begun
        code, _, err = fgs(*begin, *arguments, "--out", tmp_path / "no")
        assert (code, err.count("\n")) == (2, 1)
        assert err.startswith("fgs: --from: its labels name other classes")
        assert not (tmp_path / "no").exists()
    assert fgs(*begin, *same, "--out", tmp_path / "yes")[0] == 0


def test_a_run_and_its_pictures_may_move(fgs, textures, tmp_path, monkeypatch):
    shutil.copytree(textures, tmp_path / "here/pictures")
    monkeypatch.chdir(tmp_path / "here")
    assert fgs(*QUICK, "--steps", 2, "--data", "pictures", "--out", "run")[0] == 0
    for other in ("there", "changed"):
        shutil.copytree(textures, tmp_path / other)
    shutil.copy(tmp_path / "changed/bricks.png", tmp_path / "changed/pebbles.png")
    shutil.move(tmp_path / "here/pictures", tmp_path / "there/moved")
    monkeypatch.chdir(tmp_path)
    longer = ["train-images", "--resume", "here/run", "--steps", 4]
    code, _, err = fgs(*longer)
    assert (code, err) == (2, "fgs: --data: pictures is no folder; name one that holds images\n")
    code, _, err = fgs(*longer, "--data", "changed")
    assert (code, err) == (2, "fgs: --data: the images have changed since the run was started: pebbles\n")
    code, _, err = fgs(*longer, "--unseen", "changed")
    assert (code, err) == (2, "fgs: --unseen: the run was started with None; leave this option out\n")
    code, out, _ = fgs(*longer, "--data", "there/moved", "--json")
    assert (code, json.loads(out)["step"]) == (0, 4)
    assert fgs("evaluate", "here/run", "--n", 2, "--steps", 8, "--beta", 0.9, "--out", "found")[0] == 0


def test_labels_keep_their_places_when_folders_change_theirs(fgs, textures, tmp_path):
    for folder, names in {"a": ("bricks", "pebbles"), "b": ("brushed", "fingerprint")}.items():
        (tmp_path / folder).mkdir()
        for name in names:
            shutil.copy(textures / f"{name}.png", tmp_path / folder)
    before, after = (["--data", tmp_path / one, "--data", tmp_path / two] for one, two in ("ab", "ba"))
    assert fgs(*QUICK, "--guidance", "label", "--steps", 2, *before, "--out", tmp_path / "run")[0] == 0
    code, _, err = fgs("train-images", "--resume", tmp_path / "run", "--steps", 4, *after)
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith("fgs: --data: its classes come in another order")
    assert fgs("train-images", "--resume", tmp_path / "run", "--steps", 4, *before)[0] == 0
