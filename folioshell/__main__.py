"""``python -m folioshell``."""

import sys

from folioshell.cli import main

if __name__ == "__main__":
    sys.exit(main())
