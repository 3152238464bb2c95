"""Runs small jobs again and again, each time with one fault in one file operation, and judges what is left.

After a fault the target is complete or not there, a run that did not end well says why, and the same command ends well afterwards.
"""

import itertools
import os
import shutil
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from command import RESLICE, leftovers

HERE = Path(__file__).resolve().parent
# What can go wrong, by what must hold then. The names are those of inject.h.
HARMLESS = ("EINTR", "short", "slow", "done")
FAILING = ("ENOSPC", "EIO", "EDQUOT", "ESTALE", "full")
ENDING = ("kill", "torn", "cut", "cut but journal")
FAULTS = (*HARMLESS, *FAILING, "term", *ENDING)
# What an error must tell of its cause.
SAYS = {"ENOSPC": "space", "full": "space", "EDQUOT": "quota", "EIO": "nput/output", "ESTALE": "tale"}
SECONDS = 60


class NoCompiler(Exception):
    """There is no `cc`."""


def build(folder):
    """Compiles the library that lets calls fail."""
    if not shutil.which("cc"):
        raise NoCompiler("no C compiler: install gcc or clang to inject faults")
    library = folder / "faults.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, HERE / "shim.c", "-ldl", "-lpthread"], check=True)
    return library


def fast_folder():
    """Memory, where there is some to write to, or None: thousands of runs wait for the disk otherwise."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@dataclass(frozen=True)
class Call:
    number: int
    name: str
    path: str


@dataclass(frozen=True)
class Outcome:
    job: str
    fault: str
    number: int
    call: str = ""  # the call that was hit, and its path; empty if the fault fits none
    end: str = ""  # "done", "error", "stopped", "killed"
    bad: str = ""  # what must not be

    def __str__(self):
        return f"{self.job}: {self.fault} at {self.number} ({self.call}): {self.bad or self.end}"


class Harness:
    """Cases of all jobs, in folders below `root`, which is what the library watches."""

    def __init__(self, root, sources):
        self.root, self.sources = root, sources
        self.library = build(root.parent)
        self.clean = {}
        self.numbers = itertools.count()

    @staticmethod
    def resume(job):
        """The option, where the job takes it."""
        return () if job.refuses or "--overwrite" in job.options else ("--resume",)

    def run(self, job, folder, fault="", at=0, more=None):
        """The process as it ended, and the calls that it noted. Goes on where it can, unless `more` are its options."""
        log = folder.with_name(f"{folder.name}.log")
        env = {
            **os.environ,
            "LD_PRELOAD": str(self.library),
            "RESLICE_FAULT_ROOT": str(self.root),
            "RESLICE_FAULT": fault.split()[0] if fault else "",
            "RESLICE_FAULT_AT": str(at),
            "RESLICE_FAULT_KEEP": "/journal-" if fault.endswith("journal") else "",
            "RESLICE_FAULT_LOG": str(log),
            "RESLICE_FAULT_CLOCK": str(job.clock),
        }
        more = self.resume(job) if more is None else more
        argv = [RESLICE, *map(str, job.argv(self.sources, folder)), *more]
        done = subprocess.run(
            argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        calls = []
        if log.exists():
            for line in log.read_text().splitlines():
                number, name, path = line.split(" ", 2)
                calls.append(Call(int(number), name, path.replace(str(folder), "").lstrip("/")))
            log.unlink()
        return done, calls

    def prepared(self, job, name):
        folder = self.root / name
        folder.mkdir()
        if job.old:
            old = self.sources / job.old
            (shutil.copytree if old.is_dir() else shutil.copy)(old, folder / job.target)
        return folder

    def calls_of(self, job):
        """The calls of an undisturbed run, whose target is what all others are held against."""
        if job.name not in self.clean:
            folder = self.prepared(job, f"clean-{len(self.clean)}")
            done, calls = self.run(job, folder)
            assert done.returncode == (2 if job.refuses else 0), f"{job.name}: {done.stderr}"
            self.clean[job.name] = (calls, job.content(folder / job.target))
        return self.clean[job.name][0]

    def case(self, job, fault, number):
        """One run with one fault, and what became of it."""
        with self.folder(job) as folder:
            return self.judge(job, fault, number, folder)

    @contextmanager
    def folder(self, job):
        """A folder that is as the job finds it, for one case."""
        folder = self.prepared(job, f"case-{next(self.numbers)}")
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def right(self, job):
        self.calls_of(job)
        return self.clean[job.name][1]

    def judge(self, job, fault, number, folder):
        target, right = folder / job.target, self.right(job)
        try:
            done, calls = self.run(job, folder, fault, number)
        except subprocess.TimeoutExpired:
            return Outcome(job.name, fault, number, "?", "hung", f"still running after {SECONDS} s")
        hit = calls[0] if calls else None
        if hit is None or hit.path.endswith(" unfit"):
            usual = 2 if job.refuses else 0
            bad = "" if done.returncode == usual else f"exit {done.returncode} without a fault: {last_words(done)}"
            return Outcome(job.name, fault, number, bad=bad)
        call = f"{hit.name} {hit.path}"
        end, bad = judge_end(job, fault, done)
        bad = bad or self.judge_target(job, target, done.returncode)
        if not bad and not job.refuses:
            if fault.startswith("cut"):
                boot(target)
            bad = self.judge_again(job, folder, right)
        return Outcome(job.name, fault, number, call, end, bad and f"{bad}\n    exit {done.returncode}: {last_words(done)}")

    def judge_target(self, job, target, code):
        """Whether what stands under the final name is right, the old target, or nothing."""
        now, right = job.content(target), self.right(job)
        if code == 0 and not job.refuses:
            return "" if now == right else "done, with other bytes" if now else "done, without a target"
        if job.refuses:
            return "" if now == right else "the old target is gone or changed"
        if now == right or not target.exists() or (job.old and now == job.content(self.sources / job.old)):
            return ""
        return "something else under the final name"

    def judge_again(self, job, folder, right):
        """The same command without a fault: it continues where it can, and begins anew where it replaces a target."""
        target = folder / job.target
        again, _ = self.run(job, folder, more=self.resume(job) or ("--restart",))
        if again.returncode:
            return f"again: exit {again.returncode}: {last_words(again)}"
        if job.content(target) != right:
            return "again: other bytes"
        if left := strays(target):
            return f"again: {left} left"
        return ""

    def every(self, job, faults, thinned=False):
        """Every call of the job with every fault; of long runs of the same call on the same file a few, if `thinned`."""
        calls = self.calls_of(job)
        numbers = [call.number for call in (thin(calls) if thinned else calls)]
        cases = [(fault, number) for number in numbers for fault in faults]
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(lambda case: self.case(job, *case), cases))


def thin(calls):
    kept = []
    for _, group in groupby(calls, key=lambda call: (call.name, call.path)):
        group = list(group)
        kept += group if len(group) < 9 else [*group[:2], group[len(group) // 3], group[len(group) // 2], *group[-2:]]
    return kept


def strays(target):
    """What is left beside a target that is complete, but for the note that it is."""
    left = leftovers(target)
    if left != [f"{target.name}.reslice"]:
        return left
    folder = target.with_name(left[0])
    return sorted(name for name in os.listdir(folder) if name not in ("finished.json", "levels-finished.json"))


def boot(target):
    """Lets the time pass that a machine takes to come back after a power cut: leases are old then."""
    for lease in target.parent.glob(f"{target.name}.reslice/lease-*"):
        os.utime(lease, (time.time() - 300,) * 2)


def judge_end(job, fault, done):
    """How the run ended, and what is wrong with that."""
    code, text = done.returncode, done.stderr
    if "panicked" in text or "RUST_BACKTRACE" in text:
        return "panic", "panicked"
    if code == -9 and fault in ENDING:
        return "killed", ""
    if code < 0:
        return "signal", f"ended by signal {-code}"
    if code == 0:
        return "done", "ended well, over a target that is there" if job.refuses else ""
    if sum(line.startswith("error: ") for line in text.splitlines()) != 1:
        return "error", "not one error line"
    if code == 75:
        return "stopped", "" if fault == "term" else "exit 75 without a signal"
    if code != 1 and not job.refuses:
        return "error", f"exit {code}"
    if fault in HARMLESS and not job.refuses:
        return "error", "a harmless fault ended the run"
    if code == 1 and SAYS.get(fault, "") not in text:
        return "error", "an error that does not tell the cause"
    return "error", ""


def last_words(done):
    return " / ".join(done.stderr.strip().splitlines()[-4:])


def table(outcomes):
    """Counts by fault: cases, calls it does not fit, and how the others ended."""
    ends = ("done", "error", "stopped", "killed")
    lines = ["| fault | cases | not for that call | " + " | ".join(ends) + " | bad |", "|---|" + "---:|" * (len(ends) + 3)]
    faults = [fault for fault in (*FAULTS, "several") if any(o.fault == fault for o in outcomes)]
    for fault in [*faults, "all"]:
        of = [o for o in outcomes if fault in (o.fault, "all")]
        hit = [o for o in of if o.call]
        count = Counter(o.end for o in hit if not o.bad)
        cells = [fault, len(hit), len(of) - len(hit), *(count[end] for end in ends), sum(bool(o.bad) for o in of)]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)
