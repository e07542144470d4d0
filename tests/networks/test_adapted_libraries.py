"""Networks of other libraries as scores, with random weights: shapes, φ, matching, and a sampler that runs on them."""

import pytest
import torch

from fgs.features import channel_means
from fgs.few_steps import MultiStep
from fgs.networks.adapters import FromNoisePrediction, Scaled, WithFeatures
from fgs.noise import seeded

ALPHAS_BAR = (1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)).cumprod(0)


def of_diffusers():
    diffusers = pytest.importorskip("diffusers", reason="is in the extra bench", exc_type=ImportError)
    network = diffusers.UNet2DModel(
        sample_size=16,
        in_channels=1,
        out_channels=1,
        block_out_channels=(32, 32),
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )
    names = ["conv_in", "down_blocks.0.resnets.0", "mid_block", "up_blocks.1"]
    return network, lambda x, t: network(x, t).sample, names


def of_denoising_diffusion_pytorch():
    library = pytest.importorskip("denoising_diffusion_pytorch", reason="is in the extra bench", exc_type=ImportError)
    network = library.Unet(dim=16, dim_mults=(1, 2), channels=1, flash_attn=False)
    return network, network, ["init_conv", "mid_block1", "mid_block2"]


@pytest.mark.filterwarnings("ignore")  # theirs
@pytest.mark.parametrize("make", [of_diffusers, of_denoising_diffusion_pytorch])
def test_features_matching_and_samples(make):
    torch.manual_seed(0)
    network, epsilon, names = make()
    network.eval().requires_grad_(False)
    plain = Scaled(FromNoisePrediction(epsilon, ALPHAS_BAR))
    score = WithFeatures(plain, network, names)
    x, sigma = torch.rand(3, 1, 16, 16, generator=seeded(0)), torch.tensor(0.3)
    assert score(x, None, sigma).shape == x.shape
    phi = score.features(x, sigma)
    assert phi.shape == (3, sum(score.widths))
    torch.testing.assert_close(score(x, phi, sigma), plain(x, None, sigma))  # matched to itself
    target = phi.mean(0) + 0.1
    assert not torch.allclose(score(x, target, sigma), plain(x, None, sigma))
    seen = {}
    module = dict(network.named_modules())[names[0]]
    handle = module.register_forward_hook(lambda module, inputs, h: seen.update(h=h))  # before ours is put on
    score(x, target, sigma)
    handle.remove()
    torch.testing.assert_close(channel_means(seen["h"]), phi[:, : score.widths[0]])
    samples = MultiStep(4, 0.3, 1.0, 0.1, denoise_last=True)(score, x, target, seeded(1))
    assert samples.x.isfinite().all()
