"""`python -m peerburst` is `peerburst`."""

from peerburst.cli import run

run()
