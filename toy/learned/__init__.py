"""Networks trained on a mixture, in the place of its exact scores."""

from toy.learned.scores import Learned
from toy.learned.training import Learning, learn

__all__ = ["Learned", "Learning", "learn"]
