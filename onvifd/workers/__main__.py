"""Entry of a worker process: `python -m onvifd.workers KIND LINK_FD CONNECTION_FD`. Started by the supervisor alone."""

from __future__ import annotations

import sys

from onvifd.workers.process import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
