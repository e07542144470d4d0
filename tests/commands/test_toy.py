import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from fgs.measures.distances import two_sample_floor, wasserstein_1
from toy import experiment
from toy.config import CALLS
from toy.methods import Method

QUICK = ["toy", "--samples", "100", "--h", "0.3"]


def test_toy_prints_two_tables_and_the_floor(fgs):
    code, out, err = fgs(*QUICK)
    assert code == 0
    assert err == ""  # no progress bar where stderr is no terminal
    for text in ("β = 0.1", "β = 1", "unguided mixture", "forcing, linear gain", "uses p(y|x)", "N = 100", "Floor"):
        assert text in out


def test_json_is_all_that_is_printed(fgs):
    code, out, _ = fgs(*QUICK, "--json", "--dim", 2, "--covariance", "rank1")
    assert code == 0
    assert json.loads(out)["config"]["covariance"] == "rank1"


def test_out_holds_what_was_promised(fgs, tmp_path):
    out = tmp_path / "new" / "folder"
    code, _, err = fgs("toy", "--samples", 500, "--h", 0.1, "--out", out, "--dim", 3, "--components", 3, "--target", 1)
    assert (code, err) == (0, "")
    assert {path.name for path in out.iterdir()} == {"samples.npz", "metrics.json", "figure.png"}
    metrics = json.loads((out / "metrics.json").read_text())
    with np.load(out / "samples.npz") as arrays:
        names = ["true", "exact", "forcing", "forcing_posterior", "cfg1", "cfg4", "classifier", "mixture"]
        assert all(arrays[name].shape == (500, 3) for name in names)
        assert arrays["target"] == 1
        assert arrays["means"].shape == (3, 3)
        assert arrays["covariances"].shape == (3, 3, 3)
        assert arrays["weights"].tolist() == pytest.approx([1 / 3] * 3)
        # the figures of metrics.json follow from the samples
        u = (arrays["means"][2] - arrays["means"][1]) / np.linalg.norm(arrays["means"][2] - arrays["means"][1])
        sd = ((arrays["exact"] - arrays["means"][1]) @ u).std(ddof=1) / 0.1
        assert sd == pytest.approx(metrics["methods"]["exact"]["sd"])
        distance = float(wasserstein_1(*(torch.from_numpy(arrays[name] @ u) for name in ("true", "mixture"))))
        assert distance == pytest.approx(metrics["methods"]["mixture"]["distance"], rel=0.1)
    with Image.open(out / "figure.png") as figure:
        assert min(figure.size) > 500


@pytest.mark.parametrize("d", [1, 2])
def test_figures_have_something_on_them(fgs, tmp_path, d):
    assert fgs(*QUICK, "--out", tmp_path, "--dim", d, "--method", "forcing", "--method", "cfg4")[0] == 0
    with Image.open(tmp_path / "figure.png") as figure:
        colours = {colour for _, colour in figure.convert("RGB").getcolors(2**24)}
    assert any(red > 190 and green < 120 and blue < 60 for red, green, blue in colours), "no forcing (vermilion)"


def test_only_the_chosen_methods_run(fgs, tmp_path):
    code, out, _ = fgs(
        *QUICK, "--method", "cfg1", "--method", "classifier", "--method", "cfg1", "--json", "--out", tmp_path
    )
    assert code == 0
    assert set(json.loads(out)["methods"]) == {"true", "cfg1", "classifier"}
    with np.load(tmp_path / "samples.npz") as arrays:
        assert "exact" not in arrays


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (["--components", 0], "--components"),
        (["--components", "two"], "--components"),
        (["--dim", 0], "--dim"),
        (["--weights", ".5,.4"], "--weights"),
        (["--weights", ".5,.3,.2"], "--weights"),
        (["--weights", "1.5,-.5"], "--weights"),
        (["--weights", "half,half"], "--weights"),
        (["--beta", 0], "--beta"),
        (["--beta", 1.5], "--beta"),
        (["--beta", "nan"], "--beta"),
        (["--h", 0], "--h"),
        (["--target", 2], "--target"),
        (["--target", -1], "--target"),
        (["--std", "nan"], "--std"),
        (["--std", 0], "--std"),
        (["--separation", "inf"], "--separation"),
        (["--samples", 1], "--samples"),
        (["--seed", -1], "--seed"),
        (["--covariance", "round"], "--covariance"),
        (["--means", "circle"], "--means"),
        (["--noise-level", "loud"], "--noise-level"),
        (["--method", "magic"], "--method"),
        (["--sigma-end", 2], "--sigma-end"),
        (["--sigma-start", -1], "--sigma-start"),
        (["--no-such-option"], "--no-such-option"),
    ],
)
def test_wrong_usage_is_one_line_that_names_the_option(fgs, tmp_path, options, name):
    code, out, err = fgs("toy", "--out", tmp_path / "out", *options)
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert name in err
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written(fgs, tmp_path):
    (tmp_path / "file").touch()
    code, out, err = fgs("toy", "--out", tmp_path / "file" / "below")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "--out" in err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_disk_that_fills_up_is_a_failed_run(fgs, monkeypatch, tmp_path):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("toy.report.save_panels", full)
    code, out, err = fgs(*QUICK, "--method", "exact", "--out", tmp_path)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "No space left" in err
    assert not list(tmp_path.glob(".*")), "a temporary file was left"


@pytest.mark.filterwarnings("ignore:noise_level pooled")
def test_a_run_that_does_not_converge_is_exit_code_1(fgs, monkeypatch):
    build = experiment.build_method

    def sabotage(name, *rest):
        return Method("sabotaged", lambda x, phi=None, sigma=None: x, None) if name == "cfg1" else build(name, *rest)

    monkeypatch.setattr(experiment, "build_method", sabotage)
    settings = [*QUICK, "--noise-level", "pooled", "--dim", 8, "--method", "cfg1", "--method", "exact", "--beta", 1]
    code, out, err = fgs(*settings)
    assert code == 1
    assert "did not converge" in out
    assert err.count("\n") == 1
    assert "sabotaged at beta 1 did not converge" in err
    code, out, _ = fgs(*settings, "--json")
    assert code == 1
    assert "grew" in json.loads(out)["methods"]["cfg1"]["error"]


def test_a_failed_run_still_draws_the_others(fgs, monkeypatch, tmp_path):
    build = experiment.build_method

    def sabotage(name, *rest):
        return (
            Method("sabotaged", lambda x, phi=None, sigma=None: x * np.nan, None)
            if name == "cfg1"
            else build(name, *rest)
        )

    monkeypatch.setattr(experiment, "build_method", sabotage)
    assert fgs(*QUICK, "--method", "cfg1", "--method", "exact", "--out", tmp_path)[0] == 1
    assert (tmp_path / "figure.png").exists()


def test_help_groups_the_options(fgs):
    code, out, _ = fgs("toy", "--help")
    assert code == 0
    assert all(f" {panel} " in out for panel in ("Mixture", "Sampler", "Output"))
    assert "toy" in fgs()[1]


def test_version_and_completion(fgs):
    assert re.fullmatch(r"fgs 0\.\S+ \(torch \S+, on (cpu|cuda|mps)\)\n", fgs("--version")[1])
    script = subprocess.run(
        [sys.executable, "-m", "cli"],
        env={"_FGS_COMPLETE": "source_bash", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "complete" in script.stdout


@pytest.mark.slow
def test_the_main_command_is_quick_and_small():
    """`fgs toy --components 2` in a fresh process: under 16 s and 1 GB; `fgs --help` under .8 s (best of three).

    Twice what they must take on the machine of benchmarks/README.md: one that is lent may be half as fast the next day.
    """
    code = (
        "import resource, subprocess, sys, time\n"
        "begin = time.perf_counter()\n"
        "subprocess.run([sys.executable, '-m', 'cli', *sys.argv[1:]], check=True, stdout=subprocess.DEVNULL)\n"
        "print(time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )

    def run(*arguments):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
        seconds, kib = done.stdout.split()
        return float(seconds), int(kib)

    seconds, kib = min(run("toy", "--components", "2") for _ in range(3))
    assert seconds < 16
    assert kib < 1_000_000
    assert min(run("--help")[0] for _ in range(3)) < 0.8


def test_the_floor_is_printed_from_true_sets(fgs):
    """The floor of metrics.json is the two-sample distance of N(0, λ²) for that N, here by other draws."""
    _, out, _ = fgs("toy", "--samples", 2000, "--h", 0.5, "--method", "exact", "--json")
    sets = [0.1 * torch.randn(2000, generator=torch.Generator().manual_seed(seed)) for seed in range(12)]
    assert json.loads(out)["floor"]["w1"] == pytest.approx(two_sample_floor(wasserstein_1, sets), rel=0.3)


LEARNED = ["toy", "--samples", "100", "--h", "0.3", "--training-steps", "20", "--dim", "8", "--covariance", "rank1"]


def test_learned_rows_come_with_networks(fgs, tmp_path):
    out = tmp_path / "out"
    code, text, err = fgs(*LEARNED, "--learned", "--components", 5, "--out", out)
    assert (code, err) == (0, "")
    assert "feature-guided network, n = 1" in text
    names = {"learned", "learned_n1", "label", "label_cfg1", "label_cfg4", "learned_mixture"}
    pictures = {"figure.png", "classes.png", "embedding.png"}
    assert {path.name for path in out.iterdir()} == {"samples.npz", "metrics.json", *pictures}
    with np.load(out / "samples.npz") as arrays:
        assert all(arrays[name].shape == (100, 8) for name in names)
    metrics = json.loads((out / "metrics.json").read_text())
    assert names < set(metrics["methods"])
    assert metrics["training"]["guided"]["steps"] == 20
    for name in pictures:
        with Image.open(out / name) as figure:
            assert min(figure.size) > 500
            assert len(figure.convert("RGB").getcolors(2**24)) > 50


def test_methods_may_stand_in_one_list(fgs):
    code, text, _ = fgs(*LEARNED, "--learned", "--method", "exact,learned", "--method", "label_cfg1", "--json")
    assert code == 0
    found = json.loads(text)
    assert set(found["methods"]) == {"true", "exact", "learned", "label_cfg1"}
    assert set(found["training"]) == {"guided", "label"}


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (["--method", "learned"], "--learned"),
        (["--learned", "--method", "exact"], "--learned"),
        (["--learned", "--minutes", 0], "--minutes"),
        (["--learned", "--training-steps", 0], "--training-steps"),
        (["--sigma-start", 0.01], "--sigma-start"),
    ],
)
def test_wrong_usage_of_networks_is_one_line(fgs, tmp_path, monkeypatch, options, name):
    monkeypatch.chdir(tmp_path)
    code, out, err = fgs("toy", "--out", "out", *options)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert name in err
    assert not list(tmp_path.iterdir())


def test_a_training_that_fails_is_exit_code_1(fgs, monkeypatch, tmp_path):
    monkeypatch.setattr("toy.learned.training.LEARNING_RATE", 1e30)
    code, out, err = fgs(*LEARNED, "--learned", "--method", "learned", "--out", tmp_path / "out")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "training failed" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--minutes", "2"], "--minutes: is for networks to be trained; add --learned"),
        (["--calls", "50", "--noise-level", "pooled"], "--noise-level: is of SISA; leave out --calls, or this"),
        (["--sampler", "velocity", "--h", "0.1"], "--h: is of SISA; leave out --sampler, or this"),
        (["--sampler", "multi-step", "--h", "0.1"], "--h: is of SISA; leave out --sampler, or this"),
        (["--sampler", "velocity", "--beta", "0.5"], "--beta: of velocity is 1; leave it out"),
    ],
)
def test_options_that_would_do_nothing_are_refused(fgs, tmp_path, arguments, line):
    code, out, err = fgs("toy", *arguments, "--out", tmp_path / "out")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert line in err
    assert not (tmp_path / "out").exists()


def test_a_warning_is_one_line():
    """In a process of its own, since pytest keeps warnings to itself."""
    run = [sys.executable, "-m", "cli", *LEARNED, "--learned", "--blind", "--method", "learned"]
    run[run.index("--dim") + 1] = "1"
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("fgs: warning: a blind network cannot tell the noise level")


def test_out_on_a_file_says_so(fgs, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = fgs("toy", "--out", tmp_path / "file")
    assert (code, err.count("\n")) == (2, 1)
    assert "is a file" in err


def test_a_name_that_is_too_long_for_a_folder_is_one_line(fgs, tmp_path):
    for command in (["toy"], ["explore"]):
        code, _, err = fgs(*command, "--out", tmp_path / ("a" * 300 + ".html"))
        assert (code, err.count("\n")) == (2, 1)
        assert "File name too long" in err


def test_figures_of_an_earlier_run_are_not_left_beside_new_numbers(fgs, tmp_path):
    assert fgs(*LEARNED, "--learned", "--method", "learned", "--out", tmp_path)[0] == 0
    assert (tmp_path / "classes.png").exists()
    assert fgs(*QUICK, "--out", tmp_path)[0] == 0
    assert {path.name for path in tmp_path.iterdir()} == {"figure.png", "metrics.json", "samples.npz"}
    (tmp_path / "metrics.json").unlink()
    (tmp_path / "classes.png").touch()  # of somebody else, as `fgs sample --list`
    assert fgs(*QUICK, "--out", tmp_path)[0] == 0
    assert (tmp_path / "classes.png").exists()


def test_json_says_how_it_sampled_and_weights_are_exact(fgs):
    ways = {"sisa": [], "multi-step": ["--calls", "20"], "velocity": ["--sampler", "velocity", "--calls", "20"]}
    for sampler, options in ways.items():
        chosen = [] if sampler == "velocity" else ["--beta", "0.2"]
        shown = ["--samples", "50", "--method", "exact", "--weights", ".9,.1", "--json"]
        config = json.loads(fgs("toy", *options, *chosen, *shown)[1])["config"]
        assert config["sampler"] == sampler
        assert config["beta"] == (1.0 if sampler == "velocity" else 0.2)
        assert config["weights"] == [0.9, 0.1]


def test_by_constant_velocity(fgs):
    """One table, at β = 1, in the calls asked for; the exact score keeps the class."""
    code, out, _ = fgs(
        "toy", "--sampler", "velocity", "--calls", "40", "--samples", "500", "--method", "exact", "--json"
    )
    found = json.loads(out)
    assert (code, found["config"]["sampler"]) == (0, "velocity")
    assert "methods_beta_1" not in found
    row = found["methods"]["exact"]
    assert row["steps"] == 40
    assert row["sd"] == pytest.approx(1, abs=0.1)  # of 500 samples known to 3 %


def test_a_sampler_that_is_named_is_the_one_that_samples(fgs):
    """Without --calls, too, where SISA would be taken if nothing were said."""
    for name, betas in (("multi-step", 2), ("velocity", 1)):
        code, out, _ = fgs("toy", "--sampler", name, "--samples", "50", "--method", "exact", "--json")
        found = json.loads(out)
        assert code == 0
        tables = [found[key] for key in ("methods", "methods_beta_1") if key in found]
        assert [table["exact"]["steps"] for table in tables] == [CALLS] * betas
