"""The command under test: runs it, and checks what every run must keep to."""

import hashlib
import json
import os
from pathlib import Path

from measure import measure

RESLICE = os.environ.get("RESLICE", "reslice")


def reslice(*args, expect=0, env=None, timeout=300):
    """Runs `reslice ARGS`; `expect` is the exit code, or a tuple of codes that will do."""
    run = measure([RESLICE, *args], env=env, timeout=timeout)
    expect = expect if isinstance(expect, tuple) else (expect,)
    assert run.code in expect, f"exit {run.code}, expected {expect}: reslice {args}\n{run.stdout}\n{run.stderr}"
    assert "panicked" not in run.stderr, run.stderr
    assert "RUST_BACKTRACE" not in run.stderr, run.stderr
    return run


def resample(source, target, *options, **how):
    """Runs `reslice resample` to success and gives the run; nothing but the target is left."""
    run = reslice("resample", source, target, *options, **how)
    assert run.stdout == "", f"resample printed to stdout: {run.stdout}"
    assert Path(target).exists(), run.stderr
    assert not leftovers(target), leftovers(target)
    return run


def refused(*args, expect=(1, 2), says=()):
    """Runs a command that must end with one clear message; gives the run."""
    run = reslice(*args, expect=expect)
    lines = run.stderr.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 1, f"not one error line: {run.stderr}"
    for text in [says] if isinstance(says, str) else says:
        assert text.lower() in run.stderr.lower(), f"{text!r} is not in: {run.stderr}"
    return run


def leftovers(target):
    """What stands beside `target` that begins with its name."""
    target = Path(target)
    return sorted(p.name for p in target.parent.glob(target.name + "?*"))


def summary_of(path):
    with open(path) as f:
        return json.load(f)


def digest(path):
    """A hash of a file, or of every file of a folder with its name."""
    path, sha = Path(path), hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        if file != path:
            sha.update(str(file.relative_to(path)).encode() + b"\0")
        with open(file, "rb") as f:
            while piece := f.read(1 << 20):
                sha.update(piece)
    return sha.hexdigest()
