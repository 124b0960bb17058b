#!/usr/bin/python3
"""docs/metrics.md is what the program prints.

usage: operations_page.py REDOUBT
"""
import pathlib
import subprocess
import sys

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


def main():
    printed = subprocess.run([sys.argv[1], "metrics", "--markdown"], check=True, stdout=subprocess.PIPE).stdout
    if PAGE.read_bytes() == printed:
        return 0
    print("docs/metrics.md is not current: redoubt metrics --markdown > docs/metrics.md", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
