"""What every benchmark shares: arguments, markdown tables, and where results go."""

import argparse
import gzip
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--reslice", default=os.environ.get("RESLICE", str(ROOT / "target/release/reslice")))
    parser.add_argument("--data", default=os.environ.get("RESLICE_DATA", str(ROOT.parent / "shared" / "data")))
    parser.add_argument("--work", help="folder for sources and outputs (default: a temporary one)")
    parser.add_argument("--json", help="also write the figures to this file")
    return parser


def parse(parser, argv=None):
    """The parsed arguments, with the scan found and the binary there, or an end with the reason."""
    args = parser.parse_args(argv)
    args.scan = Path(args.data) / "mr_head_512.nii.gz"
    if not os.access(args.reslice, os.X_OK):
        sys.exit(f"no binary at {args.reslice}: cargo build --release, or set RESLICE")
    return args


class Workspace:
    """A folder that is removed again, unless the caller named it."""

    def __init__(self, folder=None):
        self.owned = folder is None
        self.path = Path(folder or tempfile.mkdtemp(prefix="reslice-bench-"))

    def __enter__(self):
        self.path.mkdir(parents=True, exist_ok=True)
        return self.path

    def __exit__(self, *_):
        if self.owned:
            shutil.rmtree(self.path, ignore_errors=True)


def unpacked(scan, path):
    """The compressed scan as the plain file `path`."""
    with gzip.open(scan) as compressed, open(path, "wb") as f:
        shutil.copyfileobj(compressed, f, 1 << 20)
    return path


def remove(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def size_of(path):
    """Bytes of a file, or of all files of a folder."""
    if path.is_dir():
        return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    return path.stat().st_size


def markdown(heads, rows):
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def report(args, table, figures):
    """Prints the table and the figures as JSON; writes them to `--json` too."""
    print(table)
    print()
    print(json.dumps(figures))
    if args.json:
        Path(args.json).write_text(json.dumps({"table": table, "figures": figures}, indent=1) + "\n")
