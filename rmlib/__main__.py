"""The door to the command line: python -m rmlib."""

import sys

from rmlib.practice.command_line import main

if __name__ == "__main__":
    sys.exit(main())
