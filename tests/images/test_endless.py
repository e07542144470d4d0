"""Endless classes: one change a group, within its bounds, and nothing but turned pieces of the pictures."""

import math

import pytest
import torch

from fgs.images.endless import CONTRASTS, GRAYS, Endless, Variation, _hues, _pyramid
from fgs.noise import seeded

PLAIN = Variation(scales=(1,), turned=False, contrast=0, gray=0, inverted=0, colors=False)


def noise(seed, channels=1, size=60):
    """A picture of mean .5 and sd .2."""
    x = 0.5 + 0.2 * torch.randn(channels, size, size, generator=seeded(seed))
    return (255 * x.clamp(0, 1)).round().to(torch.uint8)


def test_x_and_x_prime_of_a_group_are_changed_alike_and_groups_are_not():
    """Of a picture of two colours every patch has two, which tell the change."""
    board = torch.zeros(3, 64, 64, dtype=torch.uint8)
    board[:, ::2], board[:, 1::2] = (
        torch.tensor([90, 110, 140])[:, None, None],
        torch.tensor([160, 150, 120])[:, None, None],
    )
    stream = Endless([board], 16, variation=Variation(scales=(1,)))
    x, x_prime, y = stream.pairs(24, seeded(0), shared=3, primes=2)
    assert (x.shape, x_prime.shape) == ((24, 3, 16, 16), (16, 3, 16, 16))
    assert y.tolist() == torch.arange(8).repeat_interleave(3).tolist()
    colours = []
    for group in range(8):
        patches = torch.cat([x[3 * group : 3 * group + 3], x_prime[2 * group : 2 * group + 2]])
        found = {tuple(round(v, 4) for v in pixel) for pixel in patches.permute(0, 2, 3, 1).flatten(0, 2).tolist()}
        assert len(found) == 2
        colours.append(frozenset(found))
    assert len(set(colours)) == 8


def test_patches_are_turned_pieces_of_the_picture():
    picture = torch.arange(15 * 16, dtype=torch.uint8).reshape(1, 15, 16)  # every pixel is another
    stream = Endless([picture], 8, variation=PLAIN)
    corner, turns = torch.randint(8, (400, 2), generator=seeded(1)), torch.rand(400, 3, generator=seeded(2)) < 0.5
    patches = stream._gather(torch.zeros(400, dtype=torch.long), corner, 8, turns)
    patches = (255 * patches).round().to(torch.uint8)[:, 0]
    for patch, (top, left), (down, across, swap) in zip(patches, corner.tolist(), turns.tolist(), strict=True):
        piece = picture[0, top : top + 8, left : left + 8]
        piece = piece.flip(0) if down else piece
        piece = piece.flip(1) if across else piece
        assert torch.equal(patch, piece.T if swap else piece)


def test_a_scale_averages_blocks():
    picture = noise(0, 3, 64)
    found = _pyramid(picture, (1, 2, 4), 8)
    assert [level.shape[1] for level in found] == [64, 32, 16]
    for level, scale in zip(found, (1, 2, 4), strict=True):
        expected = torch.nn.functional.avg_pool2d(picture.float(), scale)
        assert (level.float() - expected).abs().max() <= 0.5
    assert len(_pyramid(picture, (1, 2, 4), 16)) == 2  # 16 pixels leave no room
    with pytest.raises(ValueError, match=r"^data: no picture has 80 pixels"):
        Endless([picture], 64)


def test_gray_and_contrast_stay_within_their_bounds_and_fill_them():
    stream = Endless([noise(k) for k in range(5)], 16, variation=Variation(scales=(1,)))
    _, (matrix, offset), _ = stream._classes(4000, seeded(3), stream.roomy[1])
    level = stream._classes(4000, seeded(3), stream.roomy[1])[0]
    sd = matrix[:, 0, 0].abs() * stream.sd[level]
    mean = matrix[:, 0, 0] * stream.mean[level, 0] + offset[:, 0]
    assert sd.min() >= CONTRASTS[0] - 1e-5
    assert sd.max() <= CONTRASTS[1] + 1e-5
    assert mean.min() >= GRAYS[0] - 1e-5
    assert mean.max() <= GRAYS[1] + 1e-5
    assert (mean - stream.mean[level, 0]).abs().max() <= 0.15 + 1e-5
    assert (mean - stream.mean[level, 0]).std() == pytest.approx(0.15 / math.sqrt(3), rel=0.05)  # uniform
    assert (matrix[:, 0, 0] < 0).double().mean() == pytest.approx(1 / 7, abs=4 * math.sqrt(6 / 49 / 4000))


def test_without_variation_it_shows_the_pictures_as_they_are():
    picture = noise(1, 3)
    x, _, _ = Endless([picture], 60 * 4 // 5, variation=PLAIN).pairs(4, seeded(0))
    windows = (picture.float() / 255).unfold(1, 48, 1).unfold(2, 48, 1).permute(1, 2, 0, 3, 4).flatten(0, 1)
    for patch in x:
        assert (windows - patch).flatten(1).abs().amax(1).min() < 1e-5


def test_hues_turn_colours_about_gray():
    matrix = _hues(torch.linspace(-1, 1, 9), torch.ones(9)).double()
    identity = torch.eye(3, dtype=torch.double).expand(9, 3, 3)
    torch.testing.assert_close(matrix @ matrix.mT, identity, atol=1e-6, rtol=0)
    torch.testing.assert_close(torch.linalg.det(matrix), torch.ones(9, dtype=torch.double), atol=1e-6, rtol=0)
    torch.testing.assert_close(matrix.sum(2), torch.ones(9, 3, dtype=torch.double), atol=1e-6, rtol=0)
    angle = torch.acos(((matrix.diagonal(dim1=1, dim2=2).sum(1)) - 1) / 2)
    torch.testing.assert_close(angle, (math.pi * torch.linspace(-1, 1, 9).double().pow(3)).abs(), atol=2e-3, rtol=0)
    gray = _hues(torch.tensor([0.9]), torch.zeros(1))[0]
    torch.testing.assert_close(gray, torch.full((3, 3), 1 / 3))


@pytest.mark.parametrize(("share", "real"), [(0.25, 2), (0.0, 2), (0.25, 0)])
def test_the_library_draws_its_share(share, real):
    stream = Endless([noise(k) for k in range(real)], 16, [noise(9), noise(8)], share, Variation(scales=(1,)))
    level = stream._classes(3000, seeded(0), stream.roomy[1])[0]
    expected = share if real else 1
    found = float((level >= real).double().mean())
    assert found == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / 3000) + 1e-9)
    assert level.unique().tolist() == list(range(real + 2 if share else real))


def test_a_seed_says_all():
    stream = Endless([noise(k, 3) for k in range(3)], 16)
    first, again, other = (stream.pairs(8, seeded(seed), 4, 2) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


def test_some_batches_show_x_of_twice_the_size_of_x_prime_and_of_the_same_class():
    pictures = [noise(0, size=20), *(torch.full((1, 44, 40), 10 * k, dtype=torch.uint8) for k in range(5, 20))]
    stream = Endless(pictures, 16, twice=0.3, variation=PLAIN)
    assert stream.roomy[2].tolist() == list(range(1, 16))
    generator, large, levels = seeded(0), 0, set()
    for _ in range(400):
        x, x_prime, y = stream.pairs(16, generator, 4, 2)
        assert x_prime.shape == (8, 1, 16, 16)
        if x.shape[-1] == 16:
            assert (x.shape, y.tolist()) == ((16, 1, 16, 16), torch.arange(4).repeat_interleave(4).tolist())
            continue
        assert (x.shape, y.tolist()) == ((4, 1, 32, 32), [0, 1, 2, 3])
        assert torch.equal(x[:, :, 0, 0], x_prime[::2, :, 0, 0])  # every picture but the first has one gray
        large, levels = large + 1, levels | {round(255 * v) for v in x[:, 0, 0, 0].tolist()}
    assert large == pytest.approx(120, abs=4 * math.sqrt(400 * 0.3 * 0.7))
    assert len(levels) == 15
    assert all(Endless([noise(k, size=39)], 16, twice=0.9).pairs(4, seeded(k))[0].shape[-1] == 16 for k in range(9))


def test_no_batch_is_of_drawn_pictures_alone_for_the_size_of_x():
    small, large = [noise(k, size=30) for k in range(3)], [noise(9, size=80)]
    assert Endless(small, 16, large, 0.1, twice=0.9).twice == 0
    assert Endless([*small, noise(4, size=50)], 16, large, 0.1, twice=0.9).twice == 0.9
    assert Endless([], 16, large, 1.0, twice=0.9).twice == 0.9


def test_changes_of_colour_have_the_sizes_that_they_should():
    """Contrast within e^(±.5), one in seven colourless, chroma turned with the hues, a cast that leaves the gray."""
    picture = noise(2, 3)
    picture[0] //= 2  # so that there is a chroma to be turned
    stream = Endless([picture], 16, variation=Variation(scales=(1,)))
    level, (matrix, offset), _ = stream._classes(4000, seeded(3), stream.roomy[1])
    mean = stream.mean[level]
    contrast = matrix.sum(2).mean(1).abs()  # hues keep gray, so that a row of a turn sums to 1
    assert contrast.log().abs().max() <= 0.5 + 1e-4
    assert contrast.log().std() == pytest.approx(0.5 / math.sqrt(3), rel=0.05)  # uniform
    colourless = (matrix - matrix.mean((1, 2), keepdim=True)).abs().amax((1, 2)) < 1e-5
    assert colourless.double().mean() == pytest.approx(1 / 7, abs=4 * math.sqrt(6 / 49 / 4000))
    changed = (matrix @ mean[:, :, None])[:, :, 0] + offset
    gray = changed.mean(1, keepdim=True)
    assert (gray[:, 0] - mean.mean(1)).abs().max() <= 0.15 + 1e-5
    turn = matrix / matrix.sum(2).mean(1)[:, None, None]
    turned = (turn @ (mean - mean.mean(1, keepdim=True))[:, :, None])[:, :, 0]
    assert turned.std(0).max() > 0.05
    cast = changed - gray - turned
    assert cast.std() == pytest.approx(0.06 * math.sqrt(2 / 3), rel=0.05)
    assert cast.mean(0).abs().max() < 4 * 0.06 / math.sqrt(4000)
