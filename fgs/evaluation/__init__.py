"""What `fgs evaluate` finds of a model of images, after the paper's Figures 3 to 8, and the report that it writes."""

from fgs.evaluation.denoising import Found, Subject
from fgs.evaluation.measure import images_of, measure_samples, measures_of
from fgs.evaluation.page import write_report
from fgs.evaluation.report import describe, sections

__all__ = ["Found", "Subject", "describe", "images_of", "measure_samples", "measures_of", "sections", "write_report"]
