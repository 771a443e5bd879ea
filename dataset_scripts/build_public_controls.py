"""`hf-cushing controls` under its former name; see its ``--help``."""

import sys

from hf_cushing.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "controls")
    main()
