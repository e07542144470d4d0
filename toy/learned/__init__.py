"""Networks trained on a mixture, in the place of its exact scores."""
