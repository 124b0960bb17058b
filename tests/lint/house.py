#!/usr/bin/python3
"""The rules of the house that a script can check, over all sources that git tracks. There is no list of exceptions.

    house.py includes   dependencies point left; a vendor's header is included in its own folder only
    house.py purity     the state machine and the domain see no clock, no random source, no environment
    house.py banned     functions that are not used here, each with what is used instead
    house.py sizes      functions of at most 100 lines, files of at most 800
    house.py format     clang-format
    house.py secrets    no absolute path of a machine, no address of a package registry
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Each folder may use itself and those named here, and nothing else of the house.
MAY_USE = {
    "base": [],
    "crypto": ["base"],
    "model": ["base"],
    "storage": ["base", "crypto", "model"],
    "cluster": ["base", "crypto", "model", "storage"],
    "replication": ["base", "crypto", "model", "storage", "cluster"],
    "api": ["base", "crypto", "model", "storage", "cluster", "replication"],
    "server": ["base", "crypto", "model", "storage", "cluster", "replication", "api"],
}
VENDORS = {  # pattern of the header: folders
    r"openssl/": ["crypto"],
    r"jansson\.h": ["model", "api"],
    r"rocksdb/": ["storage"],
    r"raft(\.h|/)": ["cluster"],
    r"uv\.h": ["cluster"],
    r"curl/": ["cluster"],
    r"(event2/|event\.h|evhttp\.h)": ["api"],
    r"ini\.h": ["server"],
    r"protobuf-c/": ["storage", "cluster", "replication"],
}
BANNED = {
    "strcpy": "snprintf or memcpy with a bound", "strcat": "struct buf", "sprintf": "snprintf", "vsprintf": "vsnprintf",
    "gets": "fgets", "strtok": "strcspn", "atoi": "strtol with its end checked", "atol": "strtol", "atof": "strtod", "scanf": "a parser",
    "sscanf": "a parser", "alloca": "an arena", "strncpy": "snprintf", "rand": "struct world", "srand": "struct world",
    "random": "struct world", "gmtime": "gmtime_r", "localtime": "gmtime_r", "system": "nothing", "popen": "nothing", "tmpnam": "mkstemp",
    "mktemp": "mkstemp", "bzero": "wipe",
}
PURE = ["model", "cluster/commands"]
IMPURE = re.compile(r'"base/world\.h"|<time\.h>|\b(getenv|clock_gettime|gettimeofday|getrandom|time)\s*\(')
FUNCTION_LINES, FILE_LINES = 100, 800


def tracked(*suffixes):
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return [p for p in listed if p.endswith(suffixes) and (ROOT / p).is_file()]


def sources():
    return tracked(".c", ".h")


def read(path):
    return (ROOT / path).read_text(errors="replace")


def strip(text):
    """Without comments and the contents of literals, line numbers kept."""
    def blank(match):
        return "".join(c if c == "\n" else " " for c in match.group(0))
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def check_includes():
    for path in sources():
        folder = path.split("/")[0]
        for number, line in enumerate(read(path).split("\n"), 1):
            match = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
            if not match or folder not in MAY_USE:
                continue
            quoted, header = match.group(1) == '"', match.group(2)
            if quoted and header.split("/")[0] not in MAY_USE[folder] + [folder]:
                yield f"{path}:{number}: {folder}/ must not use {header}"
            for pattern, owners in VENDORS.items():
                if not quoted and re.match(pattern, header) and folder not in owners:
                    yield f"{path}:{number}: {header} belongs to {' and '.join(owners)}/"


def check_purity():
    for path in sources():
        if any(path.startswith(p + "/") for p in PURE):
            text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group(0).count("\n"), read(path), flags=re.S)
            for number, line in enumerate(text.split("\n"), 1):
                if IMPURE.search(line):
                    yield f"{path}:{number}: {line.strip()}: the leader resolves what varies, the command carries it"


def check_banned():
    pattern = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
    for path in sources():
        for number, line in enumerate(strip(read(path)).split("\n"), 1):
            for match in pattern.finditer(line):
                if not re.search(r"(\*|->)\s*$", line[:match.start()]) and not line.lstrip().startswith("#"):
                    yield f"{path}:{number}: {match.group(1)}: use {BANNED[match.group(1)]}"


def check_sizes():
    for path in sources():
        lines = strip(read(path)).split("\n")
        if len(lines) - 1 > FILE_LINES:
            yield f"{path}: {len(lines) - 1} lines, more than {FILE_LINES}"
        start = None
        for number, line in enumerate(lines, 1):
            # clang-format puts a function's first line at column 0 with its brace at the end, and its end alone at column 0.
            if start is None and re.match(r"\S.*\)\s*\{$|\S?.*\{$", line) and not re.match(r"(struct|enum|union|typedef|static const|const)\b.*[^)]\s*\{$", line):
                start = number if not line.startswith((" ", "\t", "#", "}")) else None
            elif start is not None and line.startswith("}"):
                if number - start + 1 > FUNCTION_LINES:
                    yield f"{path}:{start}: a function of {number - start + 1} lines, more than {FUNCTION_LINES}"
                start = None


def check_format():
    files = sources()
    done = subprocess.run(["clang-format-14", "--dry-run", "-Werror", *files], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        for line in done.stderr.split("\n"):
            if "error:" in line:
                yield line


def check_secrets():
    hosts = re.compile(r"(deb\.debian\.org|registry\.npmjs|snapshot\.debian|pypi\.org|/work/|/root/)")
    for path in tracked(""):
        if path.startswith("tests/lint/") or path.startswith("tests/fuzz/corpus/"):
            continue
        for number, line in enumerate(read(path).split("\n"), 1):
            if hosts.search(line):
                yield f"{path}:{number}: {line.strip()[:120]}"


def main():
    checks = {name[6:]: f for name, f in globals().items() if name.startswith("check_")}
    wanted = sys.argv[1:] or list(checks)
    failures = [line for name in wanted for line in checks[name]()]
    print("\n".join(failures))
    print(f"{len(failures)} findings over {len(sources())} sources")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
