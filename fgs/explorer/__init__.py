"""The explorer: one HTML file that shows guided sampling against exact answers, and the classes of a model by φ."""
