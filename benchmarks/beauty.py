"""Leave-one-out on Amazon 2014 Beauty, both ways (see `benchmarks.amazon`).

PENCHANT_DATA=<folder with amazon-beauty> make bench-beauty
"""

from __future__ import annotations

from benchmarks.amazon import measure

if __name__ == "__main__":
    measure("beauty", "amazon-beauty")
