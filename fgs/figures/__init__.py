"""Figures: the colours, charts and grids of images. Nothing else but `toy` and lessons imports matplotlib."""

from fgs.figures.charts import curves, dots, scatter
from fgs.figures.images import contact_sheet, image_grid
from fgs.figures.style import CLASS_COLOURS, COLOURS, OTHER, TRUTH, new_figure, save_figure

# fmt: off
__all__ = [
    "CLASS_COLOURS", "COLOURS", "OTHER", "TRUTH", "contact_sheet", "curves", "dots", "image_grid",
    "new_figure", "save_figure", "scatter",
]
# fmt: on
