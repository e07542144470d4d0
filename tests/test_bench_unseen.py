"""Letting go (Fig. 13), as `benchmarks/unseen.py` measures it."""

from types import SimpleNamespace

import torch
import unseen

from fgs.images import load_model


def test_release_starts_where_no_class_is_told(run, tmp_path):
    """From around the mean of the mixture, whatever the class; everything else from around its own."""
    model, asked = load_model(run["features"]), []

    def draw(score, condition, n):
        asked.append(condition)

    judged = SimpleNamespace(
        subject=SimpleNamespace(model=model, folder=tmp_path),
        draw=draw,
        n=4,
        classes=lambda x: {name: {"hit": 1.0} for name in model.classes},
    )
    unseen.release(judged)
    assert len(asked) == 1 + len(unseen.RELEASES)
    for condition in asked:
        assert torch.equal(condition.phi, model.targets)
        torch.testing.assert_close(condition.mean, model.means.mean(0).expand_as(model.means))
    assert model.condition().mean.std() > 0.01
