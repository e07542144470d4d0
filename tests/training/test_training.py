import io
import math
from itertools import islice, pairwise

import pytest
import torch
from torch import nn

from fgs.training.trainer import Budget, NotFiniteError, Trainer


def regression(network, generator):
    """Fit y = 3x − 1 with a little noise."""
    x = torch.randn(16, 1, generator=generator)
    return (network(x) - 3 * x + 1 + 0.1 * torch.randn(16, 1, generator=generator)).square().mean()


def trainer(budget=None, loss=regression, **settings):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(1, 8), nn.ReLU(), nn.Linear(8, 1))
    return Trainer(network, loss, budget or Budget(steps=40), **{"learning_rate": 0.02} | settings)


def weights(network):
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def test_it_learns_what_the_loss_asks_for():
    training = trainer(Budget(steps=1500))
    records = list(training.run())
    x = torch.linspace(-2, 2, 9)[:, None]
    torch.testing.assert_close(training.ema(x), 3 * x - 1, atol=0.1, rtol=0)
    assert records[-1].loss < 0.1 < records[0].loss


def test_records_say_what_happened():
    records = list(trainer(Budget(steps=40)).run())
    assert [record.step for record in records] == list(range(1, 41))
    assert records[-1].progress == 1
    assert all(a.seconds < b.seconds for a, b in pairwise(records))
    rates = [record.learning_rate for record in records]
    assert max(rates) <= 0.02
    assert rates[0] < 0.2 * max(rates), "no warm-up"
    assert rates[-1] < 0.01 * max(rates), "no decay to the end"
    assert rates[20] == pytest.approx(0.02 * 0.5 * (1 + math.cos(math.pi / 2)))


def test_a_budget_of_time_ends_in_time():
    records = list(trainer(Budget(seconds=0.3)).run())
    assert 0.3 <= records[-1].seconds < 1.0
    assert records[-1].progress >= 1 > records[-2].progress


@pytest.mark.parametrize(
    "budget", [{}, {"steps": 3, "seconds": 1.0}, {"steps": -1}, {"seconds": math.nan}, {"seconds": 0}]
)
def test_odd_budgets_are_refused(budget):
    with pytest.raises(ValueError, match=r"^budget:"):
        Budget(**budget)


def test_twice_k_steps_are_k_steps_saved_loaded_and_k_steps():
    """To the bit, EMA and optimizer included, through a file that holds only data."""
    whole = trainer()
    losses = [record.loss for record in whole.run()]
    half = trainer()
    first = [record.loss for record in islice(half.run(), 20)]
    file = io.BytesIO()
    torch.save(half.state_dict(), file)
    file.seek(0)
    torch.manual_seed(123)  # as in another process
    rest = trainer(seed=0)
    with torch.no_grad():
        for p in rest.network.parameters():
            p.normal_()
    rest.load_state_dict(torch.load(file, weights_only=True))
    assert first + [record.loss for record in rest.run()] == losses
    assert torch.equal(weights(rest.network), weights(whole.network))
    assert torch.equal(weights(rest.ema), weights(whole.ema))


def test_a_seed_decides_everything_and_another_something_else():
    runs = {seed: [r.loss for r in trainer(seed=seed).run()] for seed in (0, 1)}
    assert runs[0] == [r.loss for r in trainer(seed=0).run()]
    assert runs[0] != runs[1]


def test_the_average_differs_from_the_weights_and_follows_them():
    """EMA by its definition, from the weights after every step."""
    training = trainer(ema_decay=0.9)
    average = None
    for step, _ in enumerate(training.run()):
        now = weights(training.network)
        average = now if average is None else torch.lerp(average, now, 1 - min(0.9, (1 + step) / (10 + step)))
    torch.testing.assert_close(weights(training.ema), average)
    assert not torch.equal(average, now)


def test_a_gradient_is_clipped():
    """Plain descent would move by the gradient; Adam's first step hides it, so it is read off the record and .grad."""
    training = trainer(loss=lambda network, g: 1e3 * regression(network, g), clip=0.5)
    record = next(training.run())
    assert record.gradient > 100
    norm = torch.cat([p.grad.flatten() for p in training.network.parameters()]).norm()
    assert float(norm) == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_the_first_loss_that_is_not_finite_stops_it(where):
    steps = 0
    kept = None

    def loss(network, generator):
        nonlocal steps, kept
        steps += 1
        value = regression(network, generator)
        if steps < 10:
            return value
        kept = weights(network)
        if where == "loss":
            return value * math.nan
        return value + (sum(p.sum() for p in network.parameters()) * 0).sqrt()  # 0, with an infinite slope

    training = trainer(loss=loss)
    with pytest.raises(NotFiniteError, match=r"step 10: .*weights before this step are kept"):
        list(training.run())
    assert torch.equal(weights(training.network), kept)
    assert torch.isfinite(weights(training.ema)).all()
    assert training.step == 9


def test_what_needs_no_gradient_is_left_alone():
    network = nn.Sequential(nn.Linear(1, 8), nn.ReLU(), nn.Linear(8, 1))
    network[0].requires_grad_(False)
    before = network[0].weight.clone()
    list(Trainer(network, regression, Budget(steps=5)).run())
    assert torch.equal(network[0].weight, before)


def test_no_steps_are_no_budget():
    with pytest.raises(ValueError, match="must be positive and finite, got 0"):
        Budget(steps=0)
