"""`bartizan` whose writing thread ends for want of memory when SIGUSR1 comes: `python short_of_memory.py serve …`."""

import signal
import sys

from bartizan.cli.main import main
from tests.thread_end import end_thread

if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, lambda *_: end_thread("bartizan-writer"))
    sys.exit(main())
