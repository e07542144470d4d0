import torch

from fgs.measures.copies import largest_correlation
from fgs.noise import seeded


def naive(x, image):
    """Over all windows, by definition."""
    h, w = x.shape[1:]
    best = -1.0
    for top in range(image.shape[1] - h + 1):
        for left in range(image.shape[2] - w + 1):
            window = image[:, top : top + h, left : left + w]
            a, b = ((v - v.mean((1, 2), keepdim=True)).flatten() for v in (x, window))
            best = max(best, float(a @ b / (a.norm() * b.norm())))
    return best


def test_it_is_the_largest_over_all_windows():
    for colors in (1, 3):
        images = [torch.rand(colors, 14, 17, generator=seeded(k), dtype=torch.float64) for k in range(2)]
        x = torch.rand(3, colors, 5, 4, generator=seeded(9), dtype=torch.float64)
        expected = [max(naive(sample, image) for image in images) for sample in x]
        torch.testing.assert_close(largest_correlation(x, images), torch.tensor(expected, dtype=torch.float64))


def test_a_copy_is_found_whatever_its_contrast():
    image = torch.rand(1, 60, 50, generator=seeded(0))
    copies = 0.2 + 0.5 * torch.stack([image[:, 30:46, 7:23], image[:, 44:60, 34:50]]).repeat(20, 1, 1, 1)
    torch.testing.assert_close(largest_correlation(copies, [image]), torch.ones(40, dtype=torch.float64))
    other = torch.rand(4, 1, 16, 16, generator=seeded(1))
    assert largest_correlation(other, [image]).max() < 0.4


def test_what_is_flat_resembles_nothing():
    image = torch.rand(1, 20, 20, generator=seeded(0))
    assert largest_correlation(torch.full((1, 1, 8, 8), 0.3), [image]).abs() < 1e-6
    assert largest_correlation(image[None, :, :8, :8], [torch.full((1, 20, 20), 0.3)]).abs() < 1e-6
