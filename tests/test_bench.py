"""Some of `benchmarks/`: calls are counted rightly, what is known is found, what is left out is named."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))  # as Python does for a script

import baselines
import sampling
import training

from contenders import ElementaryNorm, count, ours
from fgs.evaluation.denoising import Subject
from fgs.evaluation.samples import Judged, fit_judge
from fgs.images import Patches, draw_images, load_model, recipe
from fgs.images.samplers import HowToSample
from fgs.images.sources import patches_of
from fgs.noise import known_schedule, seeded
from fgs.sampling import SISA
from mixtures import EXACT_CASES, exact_cases
from quality_figure import STYLES
from samplers import SAMPLERS, Counted, Point, Task, over_cases, points_of, within
from textures import ImageCase, NoPhotographsError, distance_over_floor, image_case


@pytest.fixture(scope="module")
def cases():
    return {(case.group, case.name): case for case in exact_cases(300, range(1))}


@pytest.fixture
def script(capsys):
    """Run a script by its `main`; return exit code, stdout and stderr."""

    def run(module, *arguments):
        code = 0
        try:
            module.main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("denoise_last", [False, True])
def test_every_sampler_keeps_its_budget(name, denoise_last):
    sampler = SAMPLERS[name](Task(30, 1.0, 0.05, denoise_last))
    score = Counted(lambda x, phi=None, sigma=None: -x)
    x = torch.randn(4, 256, dtype=torch.float64, generator=seeded(0))
    sampler(score, x, generator=seeded(1))
    assert 24 <= score.calls / 4 <= 30
    assert score.calls / 4 == sampler.planned_steps() or "SISA" in name


def test_too_few_calls_are_refused_by_name_of_the_setting():
    for name in ("SISA", "multi-step, Langevin"):
        with pytest.raises(ValueError, match=r"^(steps|calls):"):
            SAMPLERS[name](Task(4, 1.0, 0.01, False))


def test_the_exact_mixtures_reach_the_floor_in_thirty_calls(cases):
    """Sets of 300 are coarse: the release check has more."""
    assert len(cases) == EXACT_CASES
    for (group, name), case in cases.items():
        if "d = 64" in name and "K = 3" in name:
            calls, distances = case.measure(SAMPLERS["multi-step"](case.task(30 if group == "exact score" else 50)))
            assert calls == (30 if group == "exact score" else 50)
            assert set(distances) == {"W1", "energy"}
            assert max(distances.values()) < 1.7
            _, few = case.measure(SAMPLERS["few steps"](case.task(12)))
            assert max(few.values()) > 3


def test_what_does_not_converge_is_a_point_without_distances(cases):
    case = cases["default forcing", "K = 2, d = 16"]
    points = points_of(case, [30], lambda label: None)
    assert [point.sampler for point in points] == list(SAMPLERS)
    failed = next(point for point in points if point.sampler == "SISA, σ estimated")
    assert failed.distances is None
    assert failed.worst == float("inf")
    median, worst = over_cases(points, "default forcing", "multi-step", 30)[1:]
    assert median == worst < 2
    assert over_cases(points, "default forcing", "multi-step", 31) is None


def test_over_cases_takes_the_median_and_the_worst():
    points = [Point("g", str(k), "s", 9, 9.0, {"W1": float(k), "energy": 0.5}) for k in (1, 2, 6)]
    assert over_cases(points, "g", "s", 9) == (9.0, 2.0, 6.0)


def test_image_distance_of_real_patches_is_one(run, textures):
    patches = patches_of(load_model(run["features"]), [textures])
    judge = fit_judge(patches, 64)
    real = torch.stack([patches.held_out_crops(y, 64, seeded(5, y)) for y in range(4)])
    assert distance_over_floor(judge, real) == pytest.approx(1, abs=0.4)
    assert distance_over_floor(judge, real.roll(1, 0)) > 5


def test_images_without_photographs_are_left_out(run, script, monkeypatch, tmp_path):
    model = load_model(run["features"])
    monkeypatch.delenv("FGS_TEXTURES", raising=False)
    with pytest.raises(NoPhotographsError, match="set FGS_TEXTURES"):
        image_case(model, None, 2, 0, None)
    code, out, err = script(sampling, run["features"], "--what", "images", "--json")
    assert code == 0
    assert json.loads(out)["points"] == []
    assert json.loads(out)["left_out"] in err
    assert err.startswith("fgs: warning: images left out: --data: the photographs")
    monkeypatch.setenv("FGS_TEXTURES", str(tmp_path))
    with pytest.raises(NoPhotographsError, match=f"^data: {tmp_path} has no"):
        image_case(model, None, 2, 0, None)
    with pytest.raises(NoPhotographsError, match="without classes"):
        image_case(load_model(run["none"]), tmp_path, 2, 0, None)


def test_photographs_that_are_named_must_be_those_of_the_model(run, script, tmp_path):
    code, out, err = script(sampling, run["features"], "--quick", "--data", tmp_path)
    assert (code, out) == (2, "")
    assert err.startswith(f"fgs: --data: {tmp_path} has")
    assert err.count("\n") == 1


def test_the_reference_of_images_makes_many_calls(run, textures):
    case = image_case(load_model(run["features"]), textures, 2, 0, 200)
    assert isinstance(case, ImageCase)
    name, sampler = case.reference()
    assert "0.05" in name
    assert 190 <= sampler.planned_steps() <= 200


def test_images_are_drawn_and_written_as_strict_json(run, textures, script, tmp_path):
    out = tmp_path / "out"
    options = ["--quick", "--what", "images", "--calls", "2,14", "--reference", 100, "--data", textures, "--out", out]
    code, printed, err = script(sampling, run["features"], *options, "--json")
    assert code == 0, err
    found = json.loads(printed, parse_constant=pytest.fail)
    assert found == json.loads((out / "sampling.json").read_text(), parse_constant=pytest.fail)
    assert {point["budget"] for point in found["points"]} == {2, 14, None}
    assert found["left_out"] is None
    assert (out / "sampling.png").stat().st_size > 10_000
    assert (out / "pictures.png").stat().st_size > 10_000
    code, printed, err = script(sampling, run["features"], *options)
    assert (code, printed) == (2, "")
    assert err == f"fgs: --out: {out} exists and holds files; name another folder\n"


def test_quick_gives_way_to_what_is_asked_for():
    bench = sampling.SamplingBench(calls=(9,), quick=True, given=frozenset({"calls", "quick"}))
    assert (bench.calls, bench.samples, bench.what) == ((9,), 400, sampling.WHAT)
    assert training.TrainingBench(quick=True).preset == ("small",)


def test_mixtures_are_printed_as_tables(script):
    options = ["--what", "learned", "--samples", 100, "--training-steps", 20, "--calls", 14]
    code, out, err = script(sampling, "--quick", *options)
    assert (code, err) == (0, "")
    assert "learned network: distance ÷ floor" in out
    assert [line.split("│")[1].strip() for line in out.splitlines() if line.startswith("│")] == list(SAMPLERS)
    assert out.splitlines()[-1].startswith("SISA, h = 0.05, β = 0.2, σ pooled: ")


def test_tables_have_the_median_and_the_worst_of_a_group(capsys):
    points = [Point("g", str(k), name, 12, 12.0, {"W1": k}) for k in (1.0, 2.0, 6.0) for name in SAMPLERS]
    points[0] = Point("g", "1.0", "SISA", 12)
    sampling._print(points, sampling.SamplingBench(calls=(12,)))
    out = capsys.readouterr().out
    assert "g: distance ÷ floor, median (and worst) of 3" in " ".join(out.split())
    assert out.count("2.00 (6.00)") == len(SAMPLERS) - 1
    assert out.count("6.00 (inf)") == 1
    curves = sampling._panel(points, "g", sampling.SamplingBench(calls=(12,))).curves
    assert curves["few steps"] == [(12.0, 2.0)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--calls", "many"], "--calls: must be whole numbers"),
        (["--calls", "1"], "--calls: must be numbers of at least 2"),
        (["--calls", ""], "--calls: must be numbers of at least 2"),
        (["--what", "all"], "--what: must be of exact, learned, images"),
        (["--samples", "1"], "--samples: must be at least 2"),
        (["--samples", "few"], "Invalid value for '--samples'"),
        (["--seeds", "0"], "--seeds: must be at least 1"),
        (["--reference", "2"], "--reference: must be at least 100"),
        (["--sample", "2"], "No such option"),
        (["nowhere"], "RUN: nowhere"),
    ],
)
def test_wrong_options_are_named(script, options, message):
    code, out, err = script(sampling, *options)
    assert (code, out) == (2, "")
    assert err.startswith(f"fgs: {message}")
    assert err.count("\n") == 1


def test_a_script_runs_by_its_path(tmp_path):
    """From any folder, with streams of any encoding; what it imports by a plain name is found beside it."""
    done = subprocess.run(
        [sys.executable, sampling.__file__, "--help"],
        capture_output=True,
        cwd=tmp_path,
        encoding="utf-8",
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "--quick" in done.stdout


def test_training_is_timed_turn_by_turn(script, monkeypatch):
    monkeypatch.setitem(training.PEAK, "cpu", 128)
    monkeypatch.setitem(training.BATCH["cpu"], "small", 4)
    code, out, err = script(training, "--quick", "--rounds", 1, "--json")
    assert code == 0
    found = json.loads(out, parse_constant=pytest.fail)
    plain, own = found["timings"][:2]
    assert plain["preset"] == own["preset"] == "small"
    assert plain["ratio"] == 1
    assert own["ratio"] == pytest.approx(own["pairs_per_second"] / plain["pairs_per_second"])
    assert plain["parameters"] == own["parameters"] > 10**5
    assert len(found["timings"]) + len(found["left_out"]) == 4
    for name in found["left_out"]:
        assert f"fgs: warning: {name} left out" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--preset", "huge"], "--preset: must be of paper, medium, small, got huge"),
        (["--rounds", "0"], "--rounds: must be at least 1"),
        (["--steps", "2"], "No such option"),
    ],
)
def test_wrong_options_of_training_are_named(script, options, message):
    code, out, err = script(training, *options)
    assert (code, out) == (2, "")
    assert err.startswith(f"fgs: {message}")
    assert err.count("\n") == 1


def test_operations_of_a_step_are_three_passes_and_one_of_x_prime():
    """A step goes forth and twice as far back; φ takes a pass for every x', less the last block."""
    asked = recipe.Recipe(batch=training.BATCH["cpu"]["small"], p_drop=0.0, precision="float32", device="cpu")
    own = ours(asked, Patches(draw_images(4, size=128), 32))
    network, x = asked.build_network(4), torch.zeros(2, 1, 32, 32)
    with FlopCounterMode(display=False) as counter:
        network(x)
    counted = training.operations(own.step) / asked.batch / (counter.get_total_flops() / 2)
    assert 3 + 2 * asked.primes / asked.shared < counted < 3 + 3 * asked.primes / asked.shared
    assert count(network) == own.parameters


def test_the_elementary_norm_is_the_fused_one():
    norm = torch.nn.GroupNorm(1, 6)
    with torch.no_grad():
        norm.weight.normal_(generator=seeded(1))
        norm.bias.normal_(generator=seeded(2))
    h = 3 * torch.randn(2, 6, 5, 5, generator=seeded(3)) + 1
    torch.testing.assert_close(ElementaryNorm(norm)(h), norm(h), rtol=1e-4, atol=1e-5)


def test_every_sampler_has_a_look_of_its_own():
    assert set(STYLES) == set(SAMPLERS)
    assert len(set(STYLES.values())) == len(STYLES)


@pytest.mark.parametrize(
    ("precision", "words"), [("float32", "no more in bfloat16"), ("bfloat16", "2.000 in bfloat16")]
)
def test_the_peak_in_bfloat16_is_measured_where_it_is_higher(monkeypatch, capsys, precision, words):
    monkeypatch.setattr(training, "best_precision", lambda device: precision)
    monkeypatch.setattr(training, "matrix_peak", lambda dtype, device: 1e12 if dtype == torch.float32 else 2e12)
    about = training.machine("cpu")
    assert about["peak_bfloat16"] == (2e12 if precision == "bfloat16" else None)
    training.print_timings(about, [])
    assert words in capsys.readouterr().out


def test_other_ways_to_guide_are_judged_like_features(run, textures, tmp_path):
    models = {name: load_model(folder) for name, folder in run.items()}
    subject = Subject(models["features"], patches_of(models["features"], [textures]), tmp_path)
    how = HowToSample(steps=8, beta=0.9, precision="float32")
    judged = Judged(subject, fit_judge(subject.patches, 8), how, 4, lambda images: None)
    ways = baselines.ways(judged, models["label"])
    assert set(ways) == {"features, each sample by one x'", "label", "CFG, ω = 1", "CFG, ω = 4"}
    assert len({tuple(found.values()) for found in ways.values()}) == 4
    alone = baselines.single_class(judged, models["single"])
    assert alone["class"] == models["single"].classes[0]
    assert 0 <= alone["hit"] <= 1


@pytest.mark.parametrize("denoise_last", [False, True])
@pytest.mark.parametrize("budget", [30, 48, 200])
def test_within_a_budget_in_single_precision(budget, denoise_last):
    """The calls are counted, those of σ in float32 too, in which rounding could cost one more."""
    calls = []

    def score(x, phi=None, sigma=None):
        calls.append(len(x))
        return -x

    sampler = SISA(0.5, 0.3, 1.0, 0.01, noise_level=known_schedule, denoise_last=denoise_last)
    chosen = within(sampler, budget)
    chosen(score, torch.randn(3, 1, 4, 4))
    assert len(calls) == chosen.planned_steps() <= budget


def test_as_many_steps_as_are_allowed_may_be_needed():
    sampler = SISA(h=0.5, beta=1.0, sigma_inf=0.3, noise_level=known_schedule, max_steps=2)
    assert sampler(lambda x, phi, sigma: -x, torch.ones(1, 4)).steps.tolist() == [2]
