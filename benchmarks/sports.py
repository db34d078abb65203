"""Leave-one-out on Amazon 2014 Sports, both ways (see `benchmarks.amazon`).

PENCHANT_DATA=<folder with amazon-sports> make bench-sports
"""

from __future__ import annotations

from benchmarks.amazon import measure

if __name__ == "__main__":
    measure("sports", "amazon-sports")
