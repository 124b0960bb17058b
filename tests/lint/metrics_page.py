#!/usr/bin/python3
"""docs/metrics.md is what the program prints, and every metric in it is counted or set somewhere.

usage: metrics_page.py REDOUBT
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "metrics.md"


def idle():
    """Metrics that no source names."""
    table = (ROOT / "base" / "metrics.def").read_text()
    sources = "".join(path.read_text() for folder in ("cluster", "replication", "api", "server") for path in (ROOT / folder).rglob("*.c"))
    used = set(re.findall(r"\bMETRIC_(\w+)", sources))
    return [symbol for symbol in re.findall(r"^X\(\w+, (\w+),", table, re.M) if symbol not in used]


def main():
    if idle():
        print(f"never counted: {', '.join(idle())}", file=sys.stderr)
        return 1
    printed = subprocess.run([sys.argv[1], "metrics", "--markdown"], check=True, stdout=subprocess.PIPE).stdout
    if PAGE.read_bytes() == printed:
        return 0
    print("docs/metrics.md is not current: redoubt metrics --markdown > docs/metrics.md", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
