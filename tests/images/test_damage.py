"""What is seen of an image: linear, with the adjoint that autograd gives, and what each means."""

import pytest
import torch

from fgs.images.damage import blurred, hidden, nothing, shrunk
from fgs.noise import seeded
from fgs.restoration import adjoint

KNOWN = (torch.rand(1, 1, 12, 20, generator=seeded(9)) < 0.3).double()
DAMAGES = {"hidden": hidden(KNOWN), "blurred": blurred(1.5), "shrunk": shrunk(4), "nothing": nothing()}


def images(n=2, seed=0):
    return torch.rand(n, 3, 12, 20, dtype=torch.float64, generator=seeded(seed))


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_linear_and_has_an_adjoint(name):
    measure = DAMAGES[name].measure
    x, other = images(), images(seed=1)
    torch.testing.assert_close(measure(2 * x - 3 * other), 2 * measure(x) - 3 * measure(other))
    y = torch.rand(measure(x).shape, dtype=torch.float64, generator=seeded(2))
    torch.testing.assert_close((measure(x) * y).sum(), (x * adjoint(measure, x)(y)).sum())


@pytest.mark.parametrize("name", DAMAGES)
def test_a_guess_is_an_image_and_gray_is_guessed_right(name):
    damage = DAMAGES[name]
    assert damage.guess(damage.measure(images())).shape == images().shape
    gray = torch.full((1, 3, 12, 20), 0.4).double()
    torch.testing.assert_close(damage.guess(damage.measure(gray)), gray)


def test_a_blur_has_the_width_it_is_asked_for():
    x = torch.zeros(1, 1, 41, 41).double()
    x[..., 20, 20] = 1
    y = blurred(2.0).measure(x)[0, 0]
    place = torch.arange(41.0).double() - 20
    assert float(y.sum()) == pytest.approx(1)
    assert float((y.sum(0) * place**2).sum()) == pytest.approx(4, rel=0.03)
    torch.testing.assert_close(y, y.T)
