"""`bartizan` with a wrong time of day: `python skewed.py SECONDS serve …`; time since boot is right.

What the process is told by Python's clock is shifted. libfaketime would shift it for libraries too, but makes
`time.sleep` fail or threads wait for an hour.
"""

import sys
import time

from bartizan.cli.main import main

if __name__ == "__main__":
    offset = int(sys.argv.pop(1))
    seconds, nanoseconds = time.time, time.time_ns
    time.time = lambda: seconds() + offset
    time.time_ns = lambda: nanoseconds() + offset * 1_000_000_000
    sys.exit(main())
