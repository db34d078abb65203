"""One file a question: `make bench-NAME` runs `benchmarks/NAME.py`, prints a table and one JSON row, and keeps the row.

Importing `penchant` here, before any benchmark imports numpy, holds the numeric libraries to one thread.
"""

import penchant as penchant
