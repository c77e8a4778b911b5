"""Units that instants are counted in."""

SECOND_NS = 1_000_000_000
