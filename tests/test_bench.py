"""`fgs bench`: it counts calls rightly, finds what is known, and says what it leaves out."""

import json
from types import SimpleNamespace

import pytest
import torch

from fgs import bench_training, recipes
from fgs.bench_command import _print
from fgs.bench_images import ImageCase, NoPhotographsError, distance_over_floor, image_case
from fgs.bench_plots import STYLES
from fgs.bench_samplers import SAMPLERS, Counted, Point, Task, over_cases, points_of
from fgs.bench_training import BATCH, ElementaryNorm, count, operations
from fgs.images.model import load_model
from fgs.noise import seeded
from fgs.measures.judge import TextureJudge
from fgs.images.recipe import DEFAULTS, Recipe, cost
from fgs.images.run import patches_of
from toy.bench import exact_cases


@pytest.fixture(scope="module")
def cases():
    return {(case.group, case.name): case for case in exact_cases(300, range(1))}


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("denoise_last", [False, True])
def test_every_sampler_keeps_its_budget(name, denoise_last):
    sampler = SAMPLERS[name](Task(30, 1.0, 0.05, denoise_last))
    score = Counted(lambda x, phi=None, sigma=None: -x)
    x = torch.randn(4, 256, dtype=torch.float64, generator=seeded(0))
    sampler(score, x, generator=seeded(1))
    assert 24 <= score.calls / 4 <= 30
    assert score.calls / 4 == sampler.planned_steps() or "SISA" in name or name.startswith("Heun")


def test_too_few_calls_are_refused_by_name_of_the_setting():
    for name in ("SISA", "multi-step, Langevin"):
        with pytest.raises(ValueError, match=r"^(steps|calls):"):
            SAMPLERS[name](Task(4, 1.0, 0.01, False))


def test_the_exact_mixtures_reach_the_floor_in_thirty_calls(cases):
    """Sets of 300 are coarse: the release check has more."""
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
    patches = patches_of(load_model(run["features"]), textures)
    judge = TextureJudge.fit(patches, 64)
    real = torch.stack([patches.held_out_crops(y, 64, seeded(5, y)) for y in range(4)])
    assert distance_over_floor(judge, real) == pytest.approx(1, abs=0.4)
    assert distance_over_floor(judge, real.roll(1, 0)) > 5


def test_images_without_photographs_are_left_out(run, monkeypatch, tmp_path):
    model = load_model(run["features"])
    monkeypatch.delenv("FGS_TEXTURES", raising=False)
    with pytest.raises(NoPhotographsError, match="give --data or set FGS_TEXTURES"):
        image_case(model, None, 2, 0, None)
    monkeypatch.setenv("FGS_TEXTURES", str(tmp_path))
    with pytest.raises(NoPhotographsError):
        image_case(model, None, 2, 0, None)
    with pytest.raises(NoPhotographsError, match="without classes"):
        image_case(load_model(run["none"]), tmp_path, 2, 0, None)


def test_the_reference_of_images_makes_many_calls(run, textures):
    case = image_case(load_model(run["features"]), textures, 2, 0, 200)
    assert isinstance(case, ImageCase)
    name, sampler = case.reference()
    assert "0.05" in name
    assert 190 <= sampler.planned_steps() <= 200


def test_bench_sampling_writes_figures_and_json(fgs, run, textures, tmp_path):
    out = tmp_path / "out"
    options = ["--what", "images", "--calls", "2,14", "--n", 2, "--seeds", 1, "--data", textures, "--out", out]
    code, printed, err = fgs("bench", "sampling", run["features"], *options, "--json")
    assert code == 0, err
    found = json.loads(printed)
    assert found == json.loads((out / "sampling.json").read_text())
    assert {point["budget"] for point in found["points"]} == {2, 14}
    assert found["left_out"] is None
    assert (out / "sampling.png").stat().st_size > 10_000
    assert (out / "pictures.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--calls", "many"], "--calls: must be whole numbers"),
        (["--calls", "1"], "--calls: must be numbers of at least 2"),
        (["--what", "all"], "--what: must be of exact, learned, images"),
        (["--samples", "1"], "--samples: must be at least 2"),
        (["--seeds", "0"], "--seeds: must be at least 1"),
    ],
)
def test_wrong_options_are_named(fgs, options, message):
    code, out, err = fgs("bench", "sampling", *options)
    assert (code, out) == (2, "")
    assert err.startswith(f"fgs: {message}")
    assert err.count("\n") == 1


def test_bench_alone_says_what_there_is(fgs):
    code, out, _ = fgs("bench")
    assert code == 0
    assert "sampling" in out
    assert "training" in out


def test_training_is_timed_turn_by_turn(fgs, monkeypatch):
    monkeypatch.setattr(bench_training, "PEAK", 128)
    monkeypatch.setattr(bench_training, "BATCH", {"small": 4})
    code, out, err = fgs("bench", "training", "--preset", "small", "--rounds", 1, "--json")
    assert code == 0
    found = json.loads(out)
    plain, ours = found["timings"][:2]
    assert plain["ratio"] == 1
    assert ours["ratio"] == pytest.approx(ours["pairs_per_second"] / plain["pairs_per_second"])
    assert plain["parameters"] == ours["parameters"] > 10**5
    assert len(found["timings"]) + len(found["left_out"]) == 4
    for name in found["left_out"]:
        assert f"fgs: warning: {name} left out" in err
    assert fgs("bench", "training", "--preset", "huge")[0] == 2
    assert fgs("bench", "training", "--rounds", 0)[0] == 2


def test_operations_of_a_step_are_those_of_the_recipe():
    """Counted on the step itself, and on tensors without contents by `cost`: the same but for what is left out of φ."""
    recipe = Recipe(preset="small", **DEFAULTS["small"] | {"batch": BATCH["small"]}, p_drop=0.0)
    patches = bench_training.Patches(bench_training.draw_images(4, size=128), 32)
    ours = bench_training._ours(recipe, patches)
    assert operations(ours.step) / recipe.batch == pytest.approx(cost(recipe, 4)["flops_per_pair"], rel=0.05)
    assert count(recipe.build_network(4)) == ours.parameters


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


def test_precision_is_found_with_one_slow_product(monkeypatch):
    """Where bfloat16 is emulated one product tells. The clock runs by products alone."""
    calls, now = [], [0.0]

    def mm(a, b):
        calls.append(a.dtype)
        now[0] += 0.06 if a.dtype == torch.bfloat16 else 0.001

    monkeypatch.setattr(torch, "mm", mm)
    monkeypatch.setattr(recipes, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    assert recipes.best_precision("cpu") == "float32"
    assert (calls.count(torch.float32), calls.count(torch.bfloat16)) == (5, 1)


@pytest.mark.parametrize(
    ("precision", "words"), [("float32", "no more in bfloat16"), ("bfloat16", "2.000 in bfloat16")]
)
def test_the_peak_in_bfloat16_is_measured_where_it_is_higher(monkeypatch, capsys, precision, words):
    monkeypatch.setattr(bench_training, "best_precision", lambda device: precision)
    monkeypatch.setattr(bench_training, "matrix_peak", lambda dtype: 1e12 if dtype == torch.float32 else 2e12)
    about = bench_training.machine()
    assert about["peak_bfloat16"] == (2e12 if precision == "bfloat16" else None)
    _print(about, [])
    assert words in capsys.readouterr().out
