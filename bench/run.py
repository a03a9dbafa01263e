"""Measure what people wait for, beside what they would wait for instead.

Each benchmark makes what it needs of its own, nodes for the most part, uses and removes it; bundle,
sources and build caches come from Slipway's cache.
"""

from __future__ import annotations

import argparse
import os

from bench import apps, delivery, developer, folders, providers, slow_clients

BENCHMARKS = {
    "developer": developer.measure,
    "delivery": delivery.measure,
    "apps": apps.measure,
    "folders": folders.measure,
    "slow": slow_clients.measure,
    "providers": providers.measure,
}


def main() -> None:
    """Run the benchmarks that are named, or all, and print what each reports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the nodes running")
    parser.add_argument("benchmarks", nargs="*", help=f"of {', '.join(BENCHMARKS)}; default: all")
    arguments = parser.parse_args()
    if unknown := set(arguments.benchmarks) - BENCHMARKS.keys():
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    for name in arguments.benchmarks or BENCHMARKS:
        load = os.getloadavg()[0]
        print(f"## {name}\n\n{os.cpu_count()} cores, load {load:.1f} at the start\n", flush=True)
        print(f"{BENCHMARKS[name](keep=arguments.keep)}\n", flush=True)


if __name__ == "__main__":
    main()
