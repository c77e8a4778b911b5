"""Text that fits its place: names and sentences from outside as plain text of a known width, never as markup."""

from rich.cells import cell_len, set_cell_size
from textual.content import Content

from peerburst.analysis.humanize import one_line
from peerburst.screen.terminals import Terminal


def fitted(text: str, width: int, terminal: Terminal) -> str:
    """One line of exactly `width` cells; a name too long loses its middle, as addresses differ at both ends."""
    clean = terminal.words(one_line(text))
    length = cell_len(clean)
    if length <= width:
        return clean + " " * (width - length)
    head = (width - 1) // 2
    tail = clean[::-1]
    end = set_cell_size(tail, width - 1 - head)[::-1] if width > 1 else ""
    return set_cell_size(set_cell_size(clean, head) + terminal.glyphs.cut + end, width)


def cut(text: str, width: int, terminal: Terminal) -> str:
    """A sentence in at most `width` cells; one too long loses its end."""
    clean = terminal.words(one_line(text))
    return clean if cell_len(clean) <= width else set_cell_size(clean, width - 1) + terminal.glyphs.cut


def justified(left: Content, right: Content, width: int) -> Content:
    """Two texts at either end of one line of `width` cells; the left one gives way."""
    room = width - right.cell_length
    return left.truncate(max(room - 1, 0)).pad_right(max(room - left.cell_length, 1)) + right


def heading(*labels: tuple[str, int]) -> Content:
    """Labels, each with the cells it takes: to the right of them, of a negative number to the left."""
    parts: list[Content | str] = []
    for label, cells in labels:
        blank = " " * (abs(cells) - len(label))
        styled = Content.styled(label, "$heading")
        parts += [styled, blank] if cells < 0 else [blank, styled]
    return Content.assemble(*parts)
