"""`python -m peerburst` is `peerburst`."""

from peerburst.cli.main import run

run()
