"""`python -m peerburst` is `peerburst`."""

import sys

from peerburst.cli import main

sys.exit(main())
