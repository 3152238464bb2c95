"""Runs a command in a child process and says how long it took and how much memory it held at its peak.

The peak is the `ru_maxrss` of wait4, which Linux takes from the same high-water mark as VmHWM. A forked child starts
with its parent's mark, so the command is started by a small launcher (this file as a program) and not by the large
process that asks.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager

MIB = 1 << 20


class Measured:
    def __init__(self, report, stdout, stderr):
        self.code = report["code"]
        self.seconds = report["seconds"]
        self.cpu_seconds = report["cpu_seconds"]
        self.peak_bytes = report["peak_bytes"]
        self.stdout = stdout
        self.stderr = stderr

    @property
    def peak_mib(self):
        return self.peak_bytes / MIB


def measure(argv, cgroup=None, env=None, timeout=1800):
    """Runs `argv` to its end, inside the cgroup at the folder `cgroup` if one is given."""
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report.json")
        launcher = [sys.executable, "-I", "-S", os.path.abspath(__file__), report, cgroup or "-"]
        done = subprocess.run(
            launcher + [str(a) for a in argv],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, **(env or {})},
        )
        if not os.path.exists(report):
            raise RuntimeError(f"could not start {argv[0]}: {done.stderr.strip()}")
        with open(report) as f:
            return Measured(json.load(f), done.stdout, done.stderr)


@contextmanager
def memory_cgroup(limit_bytes):
    """A fresh cgroup (v1 or v2) with this memory limit; gives None where none can be made."""
    path = _make_cgroup(limit_bytes)
    try:
        yield path
    finally:
        if path:
            os.rmdir(path)


def cgroup_facts(path):
    """Peak bytes charged to the cgroup (page cache included), how many processes were killed in it, and how often its limit
    was met: each time some cache was reclaimed, or somebody waited."""
    if os.path.exists(f"{path}/memory.max_usage_in_bytes"):
        killed = _keyed(f"{path}/memory.oom_control").get("oom_kill", 0)
        met = _number(f"{path}/memory.failcnt")
        return {"peak_bytes": _number(f"{path}/memory.max_usage_in_bytes"), "killed": killed, "limit_met": met}
    peak = _number(f"{path}/memory.peak") if os.path.exists(f"{path}/memory.peak") else None
    events = _keyed(f"{path}/memory.events")
    return {"peak_bytes": peak, "killed": events.get("oom_kill", 0), "limit_met": events.get("max", 0)}


def _make_cgroup(limit_bytes):
    for root, knob in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        path = f"{root}/reslice-{os.getpid()}-{time.monotonic_ns()}"
        try:
            os.mkdir(path)
        except OSError:
            continue
        try:
            with open(f"{path}/{knob}", "w") as f:
                f.write(str(limit_bytes))
            return path
        except OSError:
            os.rmdir(path)
    return None


def _number(path):
    with open(path) as f:
        return int(f.read())


def _keyed(path):
    with open(path) as f:
        return {key: int(value) for key, value in (line.split() for line in f)}


def _launch(report, cgroup, argv):
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        try:
            if cgroup != "-":
                with open(f"{cgroup}/cgroup.procs", "w") as f:
                    f.write(str(os.getpid()))
            os.execvp(argv[0], argv)
        except OSError as error:
            os.write(2, f"{argv[0]}: {error}\n".encode())
        os._exit(127)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - start
    facts = {
        "code": os.waitstatus_to_exitcode(status),
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * 1024,
    }
    with open(report, "w") as f:
        json.dump(facts, f)


if __name__ == "__main__":
    _launch(sys.argv[1], sys.argv[2], sys.argv[3:])
