"""What `fgs evaluate` finds of a model of images, after the paper's Figures 3 to 8, and the report that it writes."""
