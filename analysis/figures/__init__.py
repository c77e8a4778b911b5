"""Pictures of a host, one module each; `registry.FIGURES` lists them.

Every module holds a frozen `...View` of plain numbers, `view(subject)`, which makes one of an analysis, `title(view)`,
`caption(view)` and `draw(view)`, which returns a matplotlib Figure; `peerburst.analysis.figures.sheet.save` writes one
as a PNG. Nothing here reads packets, and matplotlib's global state (pyplot, rcParams) is neither used nor changed.
"""
