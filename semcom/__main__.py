"""`python -m semcom`: the command line."""

import sys

from semcom.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
