"""`python -m devtools.demo`: the whole thing in one terminal; ends by itself, or with Ctrl-C."""

import signal
import sys

if __name__ == "__main__":
    # Until the demo itself listens to it: what follows takes a second to load, and has nothing to clean up.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from devtools.demo.program import main

    sys.exit(main())
