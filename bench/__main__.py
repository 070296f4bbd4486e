"""`python -m bench [NAME ...]`: run benchmarks, print tables, write JSON; fails where a bound is missed."""

from __future__ import annotations

import sys

from bench.harness import run_all

if __name__ == "__main__":
    sys.exit(0 if run_all(sys.argv[1:]) else 1)
