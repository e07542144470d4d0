"""The explorer's arithmetic, in Chromium, against the Python that it must equal."""

import math
from statistics import fmean

import pytest
import torch

import fgs.sampling
from browser import chromium, opened
from fgs import SISA, known_schedule
from fgs.explorer.page import page as explorer_page
from fgs.measures.distances import class_hit, energy_distance, mean_and_sd
from fgs.noise import seeded
from toy import ExactScore, ForcedScore, GaussianMixture, Judge, mixture_on_line, noise_range, release_level
from toy.drawing import draw_toy_start
from toy.gains import posterior_gain, separation_gain
from toy.geometry import class_axis
from toy.methods import Method, build_method

pytestmark = pytest.mark.slow
POINTS = 200
RULES = {  # of the page, by the methods of `fgs toy`
    **{name: name for name in ("exact", "forcing", "forcing_posterior", "classifier", "mixture")},
    **{"cfg": "cfg4", "forcing_constant": None},
}
CONSTANT = 2.0  # K λ² of the constant gain
H, BETA = 0.1, 0.3


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("explorer") / "explorer.html"
    path.write_text(explorer_page(), encoding="utf-8")
    with chromium() as browser, opened(browser, path) as page:
        page.evaluate("stop()")
        yield page


def random_classes(K, seed):
    """Classes in the plane, as the page has them: means, weights, and widths that differ."""
    draw = seeded(seed)
    means = 0.9 * torch.randn(K, 2, generator=draw, dtype=torch.float64)
    width, weight = (0.05 + 0.2 * torch.rand(2, K, generator=draw, dtype=torch.float64)).unbind()
    rows = torch.stack([*means.T, width, weight]).T.tolist()
    return [dict(zip(("x", "y", "width", "weight"), row, strict=True)) for row in rows]


def mixture_of(classes):
    weights = torch.tensor([each["weight"] for each in classes], dtype=torch.float64)
    means = torch.tensor([[each["x"], each["y"]] for each in classes], dtype=torch.float64)
    width = torch.tensor([each["width"] for each in classes], dtype=torch.float64)
    return GaussianMixture(weights / weights.sum(), means, width[:, None, None] ** 2 * torch.eye(2).double())


def noisy_points(mixture, n=POINTS, seed=3):
    """Points of p_σ, each at a noise level of its own."""
    draw = seeded(seed)
    sigma = 10 ** (-1.7 + 2 * torch.rand(n, generator=draw, dtype=torch.float64))
    return mixture.sample(n, generator=draw) + sigma[:, None] * torch.randn(n, 2, generator=draw).double(), sigma


def at_points(page, classes, x, sigma, body, **more):
    """Evaluate JavaScript at every point, with `mixture`, `x`, `y` and `sigma`; `out` is for two numbers."""
    code = f"""({{classes, points, more}}) => {{
        const mixture = makeMixture(classes), out = new Float64Array(2);
        return points.map(([x, y, sigma]) => {{ {body} }});
    }}"""
    points = torch.cat([x, sigma[:, None]], 1).tolist()
    return torch.tensor(page.evaluate(code, {"classes": classes, "points": points, "more": more}), dtype=torch.float64)


def relative(found, true):
    """The largest error of rows, in their own lengths."""
    return float(((found - true).reshape(len(true), -1).norm(dim=1) / true.reshape(len(true), -1).norm(dim=1)).max())


@pytest.mark.parametrize("K", [1, 2, 5, 8])
def test_scores_and_posteriors(page, K):
    classes = random_classes(K, seed=K)
    mixture = mixture_of(classes)
    x, sigma = noisy_points(mixture)
    score = at_points(page, classes, x, sigma, "mixtureScore(mixture, x, y, sigma, out); return [...out];")
    assert relative(score, mixture.score(x, sigma)) < 1e-9
    one = mixture.one_hot(0)
    score = at_points(page, classes, x, sigma, "classScore(mixture, 0, x, y, sigma, out); return [...out];")
    assert relative(score, mixture.score(x, sigma, one)) < 1e-9
    posterior, true = (
        at_points(page, classes, x, sigma, "return posterior(mixture, x, y, sigma);"),
        mixture.posterior(x, sigma),
    )
    assert float(((posterior - true).abs() / true.clamp_min(1e-300)).max()) < 1e-9
    log_p = at_points(page, classes, x, sigma, "return logProb(mixture, x, y, sigma);")
    torch.testing.assert_close(log_p, mixture.log_prob(x, sigma), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("K", "beta"), [(2, 0.1), (5, 0.5), (8, 1.0)])
def test_gains(page, K, beta):
    classes, y = random_classes(K, seed=10 + K), K - 1
    mixture = mixture_of(classes)
    level = release_level(mixture, y, beta)
    found = page.evaluate("([classes, y, beta]) => releaseLevel(makeMixture(classes), y, beta)", [classes, y, beta])
    assert found == pytest.approx(level, rel=1e-9)
    x, sigma = noisy_points(mixture, 10 * POINTS)
    # Python's 1 − p(y|x) is a difference from 1, which has lost its digits where it is tiny
    doubtful = (1 - mixture.posterior(x, sigma)[:, y] > 1e-5).nonzero()[:POINTS, 0]
    assert len(doubtful) == POINTS
    x, sigma, where = x[doubtful], sigma[doubtful], torch.tensor(y)
    for rule, gain in {"forcing": separation_gain(mixture, beta), "forcing_posterior": posterior_gain(mixture)}.items():
        how = {"rule": rule, "y": y, "release": level}
        K_found = at_points(
            page, classes, x, sigma, "return gain(more.rule, mixture, more.y, x, y, sigma, more);", **how
        )
        true = gain(x, where, sigma)
        assert torch.equal(K_found == 0, true == 0)
        assert float(((K_found - true).abs() / true.abs().clamp_min(1e-300)).max()) < 1e-9


def test_geometry(page):
    for seed in range(20):
        classes = random_classes(2 + seed % 7, seed)
        mixture, y = mixture_of(classes), seed % 2
        found = page.evaluate("([classes, h]) => noiseRange(makeMixture(classes), h)", [classes, 0.05])
        assert found == pytest.approx(noise_range(mixture, 0.05), rel=1e-9)
        u = page.evaluate("([classes, y]) => classAxis(makeMixture(classes), y)", [classes, y])
        assert u == pytest.approx(class_axis(mixture, y).u.tolist(), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("apart", [0.3, 0.5, 1.4, 3.0])
def test_where_trajectories_part(page, apart):
    """Two equal classes have two modes below √(D²/4 − λ²) (lesson 5); a third one far away parts earlier."""
    pair = [{"x": side * apart / 2, "y": 0.3, "width": 0.1, "weight": 0.5} for side in (-1, 1)]
    level = page.evaluate("(classes) => partingLevel(makeMixture(classes))", pair)
    assert level == pytest.approx(math.sqrt(apart**2 / 4 - 0.01), rel=0.01)
    three = [*pair, {"x": 0, "y": 4, "width": 0.1, "weight": 0.5}]
    assert page.evaluate("(classes) => partingLevel(makeMixture(classes))", three) > level
    assert page.evaluate("(classes) => partingLevel(makeMixture(classes))", pair[:1]) == 0


def method_of(rule, mixture, y, sampler):
    if RULES[rule]:
        return build_method(RULES[rule], mixture, y, sampler)
    K = mixture.means.new_tensor(CONSTANT / class_axis(mixture, y).width ** 2)
    return Method(rule, ForcedScore(mixture, lambda x, y, sigma: K, 0.5 / sampler.h), mixture.means[y])


def how_of(mixture, y, sampler):
    release = release_level(mixture, y, sampler.beta)
    how = {"omega": 4, "constant": CONSTANT, "h": sampler.h, "beta": sampler.beta, "sigmaInf": sampler.sigma_inf}
    return how | {"release": release if math.isfinite(release) else 1e9}


@pytest.mark.parametrize("rule", RULES)
def test_guided_scores(page, rule):
    classes, y = random_classes(4, seed=21), 2
    mixture = mixture_of(classes)
    sampler = SISA(H, BETA, *noise_range(mixture, H), noise_level=known_schedule)
    method = method_of(rule, mixture, y, sampler)
    x, sigma = noisy_points(mixture)
    body = "guide(more.rule, mixture, more.y, x, y, sigma, more, out); return [...out];"
    s = at_points(page, classes, x, sigma, body, rule=rule, y=y, **how_of(mixture, y, sampler))
    assert relative(s, method.score(x, method.phi, sigma)) < 1e-9


@pytest.mark.parametrize("beta", [0.3, 1.0])
@pytest.mark.parametrize("rule", RULES)
def test_sisa_step_for_step(page, rule, beta, monkeypatch):
    """On the same start and handed-in noise every update is the sampler's own."""
    classes, y, n = random_classes(3, seed=31), 1, 20
    mixture = mixture_of(classes)
    sampler = SISA(H, beta, *noise_range(mixture, H), noise_level=known_schedule)
    method, draw = method_of(rule, mixture, y, sampler), seeded(5)
    start = draw_toy_start(y, mixture, n, sampler, draw)
    noise = torch.randn(sampler.planned_steps(), n, 2, generator=draw, dtype=torch.float64)
    handed = iter(noise)
    monkeypatch.setattr(fgs.sampling, "standard_normal", lambda x, generator=None: next(handed))
    true = torch.stack([step.x for step in sampler.iterate(method.score, start, method.phi)])
    code = """({classes, start, noise, rule, y, how, sigma0}) => {
        const mixture = makeMixture(classes), points = Float64Array.from(start);
        let sigma = sigma0;
        const all = [];
        for (const z of noise) {
            if (sigma < how.sigmaInf) break;
            sigma = sisaStep(points, rule, mixture, y, sigma, how, z);
            all.push(Array.from(points));
        }
        return all;
    }"""
    asked = {"classes": classes, "start": start.flatten().tolist(), "noise": noise.flatten(1).tolist(), "rule": rule}
    asked |= {"y": y, "how": how_of(mixture, y, sampler), "sigma0": sampler.sigma_0}
    found = torch.tensor(page.evaluate(code, asked), dtype=torch.float64).unflatten(1, (n, 2))
    assert found.shape == true.shape
    assert float((found - true).abs().max()) < 1e-6
    planned = page.evaluate("(a) => plannedSteps(...a)", [beta, H, sampler.sigma_0, sampler.sigma_inf])
    assert planned == len(true) == sampler.planned_steps()


def test_measures(page):
    classes = random_classes(3, seed=41)
    mixture, draw = mixture_of(classes), seeded(6)
    x, other = mixture.sample(300, 0, generator=draw), mixture.sample(200, generator=draw)
    a, b = x.flatten().tolist(), other.flatten().tolist()
    code = "([a, b]) => { [a, b] = [a, b].map((p) => Float64Array.from(p));"
    code += "return 2 * meanDistance(a, b) - meanDistance(a, a) - meanDistance(b, b); }"
    assert page.evaluate(code, [a, b]) == pytest.approx(float(energy_distance(x, other)), rel=1e-5)
    code = "([classes, b]) => { const {hit, mean, sd} = measure(makeMixture(classes), 1, 0.01, Float64Array.from(b));"
    found = page.evaluate(code + "return [hit, mean, sd]; }", [classes, b])
    true = mean_and_sd(other, mixture.means[1], *class_axis(mixture, 1))
    assert found == pytest.approx([class_hit(mixture.log_posterior(other, 0.01), 1), *true], rel=1e-9)


def test_its_normal_numbers(page):
    code = "(seed) => { const normal = normals(seed); return Array.from({length: 200000}, normal); }"
    a, b = (torch.tensor(page.evaluate(code, seed), dtype=torch.float64) for seed in (1, 2))
    moments = [float(a.pow(power).mean()) for power in (1, 2, 3, 4)]
    assert moments == pytest.approx([0, 1, 0, 3], abs=0.05)
    lagged = [torch.corrcoef(torch.stack([a[lag:], a[: len(a) - lag]]))[0, 1] for lag in (1, 2, 3)]
    assert max(abs(float(r)) for r in [*lagged, torch.corrcoef(torch.stack([a, b]))[0, 1]]) < 0.01


@pytest.mark.parametrize("beta", [0.1, 0.3, 1.0])
def test_samples_of_the_exact_conditional(page, beta):
    """N = 4,000, with the page's own random numbers, by the page's judge and by that of `fgs toy`.

    The distance of one set of true samples is .6 to 1.8 floors, so eight sets are drawn; the mixture is that which the
    page begins with.
    """
    classes, y, n, seeds = page.evaluate("DEFAULTS.classes"), 1, 4000, range(8)
    code = """(settings) => {
        const run = beginRun(settings);
        while (!run.done) stepRun(run);
        const judge = makeJudge(run.mixture, run.target, run.sigmaInf, settings.N, 100 + settings.seed);
        const energy = energyOverFloor(judge, run.points[0]);
        return { points: Array.from(run.points[0]), energy, sigmaInf: run.sigmaInf };
    }"""
    settings = {"classes": classes, "target": y, "rules": ["exact", "exact"], "omega": 0, "constant": 1, "beta": beta}
    settings |= {"h": 0.05, "sigma0": 0, "sigmaInf": 0, "N": n}
    own, energy, w1 = [], [], []
    for seed in seeds:
        found = page.evaluate(code, settings | {"seed": seed})
        judge = Judge.draw(mixture_of(classes), y, n, found["sigmaInf"], seeded(seed))
        row = judge.measure("exact", torch.tensor(found["points"], dtype=torch.float64).reshape(n, 2), None)
        own.append(found["energy"])
        energy.append(row.energy_over_floor)
        w1.append(row.distance_over_floor)
    assert max(fmean(own), fmean(energy), fmean(w1)) < 1.5, (own, energy, w1)
    assert min(fmean(own), fmean(energy), fmean(w1)) > 0.5  # no distance of finite sets is zero


def test_a_line_is_the_toy(page):
    """The first preset's exact row against `ExactScore` on the mixture of lesson 7, laid into the plane."""
    mixture = mixture_on_line(2, 1.4, 0.1, d=2)
    classes = [{"x": m[0], "y": m[1], "width": 0.1, "weight": 1} for m in mixture.means.tolist()]
    x, sigma = noisy_points(mixture)
    s = at_points(page, classes, x, sigma, "guide('mixture', mixture, 0, x, y, sigma, more, out); return [...out];")
    assert relative(s, ExactScore(mixture)(x, None, sigma)) < 1e-9
