"""Numbers in words, as captions and labels say them: 1,204 flows, 1.2 MB, 3 min 20 s, 82 %."""

import math
import re

_SIZE_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_SPAN_UNITS = ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
_NOT_PRINTABLE = re.compile(r"[^\S ]|[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def number(value: float) -> str:
    """A whole number with thousands set apart: 40,000."""
    return f"{round(value):,}"


def counted(value: float, one: str, many: str = "") -> str:
    """A number and its noun: 1 flow, 2 flows; `many` is for nouns that do not just take an s."""
    return f"{number(value)} {one if round(value) == 1 else many or one + 's'}"


def few_digits(value: float) -> str:
    """Two significant digits below ten, whole numbers above: 0.042, 1.3, 57."""
    if value == 0 or abs(value) >= 9.95:
        return number(value)
    digits = max(0, 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def size(data: float) -> str:
    """Bytes in decimal units (1 kB = 1000 B): 980 B, 1.2 MB, 14 GB."""
    value, unit = float(data), 0
    while value >= 999.5 and unit < len(_SIZE_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{number(value) if unit == 0 else few_digits(value)} {_SIZE_UNITS[unit]}"


def span(seconds: float) -> str:
    """A length of time in its two largest units: 0.3 s, 42 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    if 0 < seconds < 0.0995:
        return f"{few_digits(seconds * 1000)} ms"
    if seconds < 9.95:
        return f"{few_digits(seconds)} s"
    whole = round(seconds)
    for large, large_name, small, small_name in _SPAN_UNITS:
        if whole >= large:
            head, rest = divmod(whole, large)
            tail = rest // small
            return f"{head:,} {large_name} {tail} {small_name}" if tail else f"{head:,} {large_name}"
    return f"{whole} s"


def clock(seconds: float) -> str:
    """An instant since the first packet as a stopwatch shows it: +0:42, +1:02:03; the part of a second is cut off."""
    minutes, second = divmod(math.floor(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"+{hours:,}:{minute:02d}:{second:02d}" if hours else f"+{minute}:{second:02d}"


def share(part: float, whole: float) -> str:
    """A part of a whole in per cent; a part that is there never reads 0 %, one that is not all never 100 %."""
    if whole <= 0 or part <= 0:
        return "0 %"
    percent = 100 * part / whole
    if percent < 1:
        return "under 1 %"
    if part < whole and percent > 99:
        return "over 99 %"
    return f"{round(percent)} %"


def one_line(text: str) -> str:
    """Text from outside (a model's title, an address) without control characters or line ends."""
    return _NOT_PRINTABLE.sub(" ", text).strip()
