"""The pictures: timeline, graph, raster, scatter, shares and matrix, one module each.

Every module holds a frozen `...View` of plain numbers, `title(view)`, `caption(view)` and `draw(view)`, which returns a
matplotlib Figure; `peerburst.analysis.figures.sheet.save` writes one as a PNG. Nothing here reads packets or flows,
and matplotlib's global state (pyplot, rcParams) is neither used nor changed.
"""
