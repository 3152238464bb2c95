"""Rounds of random jobs, each held to what a budget promises.

    target/e2e-venv/bin/python tests/e2e/random_rounds.py [ROUNDS] [--seed N] [--keep FOLDER]

Of each job: a budget that is too small is refused with one that is not; four fifths of that, and a mebibyte less, are refused; a run
with it, or with some more, ends well; no peak is above its budget; no plan takes long. What a displacement field moves is known once
it is read, so such a job may be refused once more, with a budget that is enough. RESLICE is the binary (default:
target/release/reslice). Round R of seed N is round 1 of seed N + R.
"""

import json
import os
import random
import re
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

E2E = Path(__file__).resolve().parent
sys.path[:0] = [str(E2E), str(E2E.parent.parent / "benches")]
os.environ.setdefault("RESLICE", str(E2E.parent.parent / "target/release/reslice"))

import random_jobs  # noqa: E402
import random_sources  # noqa: E402
from command import RESLICE  # noqa: E402
from measure import MIB, measure  # noqa: E402

# CPU seconds that a plan may take (a debug build is slower).
PLAN_SECONDS = float(os.environ.get("RESLICE_PLAN_SECONDS", 2))
# CPU seconds, and seconds, after which a command is ended.
CPU_SECONDS, SECONDS = 150, 1500
# Runs the arguments behind it within these.
WITHIN = ["sh", "-c", f'ulimit -t {CPU_SECONDS}; exec timeout -s KILL {SECONDS} "$@"', "sh"]
# What is too small for any job.
TINY = 1 << 20
# What a process takes before it plans may differ by about that much: the kernel decides how much of a program it maps at once.
JITTER = 1 << 20
# The bounds of budgets, in MiB. A refusal that names more than the first is by estimate, and is not followed: kernels stretched
# over 10^7 voxels have tables of gigabytes.
TRIED_MIB, MOST_MIB = 1024, 4096
REFUSED = re.compile(r"^error: .*memory budget (\S+ \S+) is too small", re.M)
NAMED = re.compile(r"^hint: use --memory (\d+)MiB", re.M)
# Exit codes of timeout(1): ended by it, and by a signal.
ENDED = 137


@dataclass
class Report:
    """What all rounds showed."""

    # What failed, and figures, command and source.
    failures: list = field(default_factory=list)
    # Of each run, projected over measured peak, with its seed.
    ratios: list = field(default_factory=list)
    # Commands by how they ended.
    ends: Counter = field(default_factory=Counter)
    # Usage errors, which are no jobs.
    usage: Counter = field(default_factory=Counter)
    slowest_plan: float = 0.0

    def print(self):
        ratios = sorted(self.ratios)
        at = lambda part: ratios[min(int(part * len(ratios)), len(ratios) - 1)][0]  # noqa: E731
        print(f"commands: {dict(self.ends)}; slowest plan {self.slowest_plan:.2f} CPU s")
        if ratios:
            parts = ", ".join(f"{name} {at(part):.2f}" for name, part in QUANTILES)
            print(f"projected over measured peak of {len(ratios)} runs: {parts}; least by seed {ratios[0][1]}")
        for what, count in self.usage.most_common():
            print(f"not a job, {count} times: {what}")
        for what, count in Counter(what for what, _ in self.failures).most_common():
            print(f"failed, {count} times: {what}")


QUANTILES = (("least", 0), ("5 %", 0.05), ("25 %", 0.25), ("median", 0.5), ("75 %", 0.75), ("95 %", 0.95), ("most", 1))


class Round:
    """One random job, or one batch of them."""

    def __init__(self, seed, folder, report):
        self.seed, self.folder, self.report = seed, folder, report
        self.rng = random.Random(f"{seed}-round")
        self.is_batch = self.rng.random() < 0.06
        if self.is_batch:
            self.jobs, self.argv = random_jobs.choose_batch(seed, folder)
        else:
            self.jobs = [random_jobs.choose(seed, folder)]
            self.argv = self.jobs[0].argv()

    def play(self):
        least = self.named("job", self.argv, "--dry-run")
        if least is None:
            return
        least = self.once_read(least)
        budget = self.rng.choice([least, least, round(least * self.rng.uniform(1, 1.5)), self.larger(least)])
        if self.dry_run(budget) and self.real_run(budget):
            self.read_back()

    def once_read(self, least):
        """What is named once a displacement field is read, where the job has one and is refused again then."""
        if not any("field" in file for job in self.jobs for file in job.options.get("transform", ())):
            return least
        run = self.run(self.argv, "--dry-run", f"--memory={least}MiB")
        found = NAMED.search(run.stderr)
        return int(found[1]) if found and REFUSED.search(run.stderr) else least

    def larger(self, least):
        return round(least * (max(MOST_MIB / least, 1)) ** self.rng.uniform(0, 1))

    def named(self, kind, argv, *more):
        """MiB that a refusal names, once four fifths of them are refused too; None where there is no refusal."""
        run = self.run(argv, *more, f"--memory={TINY}")
        found = NAMED.search(run.stderr)
        if run.code == 0 or not REFUSED.search(run.stderr) or not found:
            if kind == "job" and (run.code == 2 or random_jobs.UNWRITTEN.search(run.stderr)):
                self.report.usage[run.stderr.splitlines()[0].replace(str(self.folder), "")] += 1
            elif run.code != 0 or kind == "job":
                self.fails("no refusal", f"exit {run.code}", run)
            return None
        least = int(found[1])
        if least > TRIED_MIB:
            self.report.usage["needs more than a gibibyte"] += 1
            return None
        fifths = self.run(argv, *more, f"--memory={least * MIB * 4 // 5 - JITTER}")
        if not REFUSED.search(fifths.stderr):
            self.fails("four fifths work", f"{least} MiB named, {least * 4 / 5 - 1:.1f} do too", fifths)
        return least

    def dry_run(self, budget):
        run = self.run(self.argv, "--dry-run=json", f"--memory={budget}MiB")
        if run.code != 0:
            return self.fails(self.ended(run, "no plan"), f"{budget} MiB", run)
        self.report.slowest_plan = max(self.report.slowest_plan, run.cpu_seconds)
        if run.cpu_seconds > PLAN_SECONDS * len(self.jobs):
            self.fails("slow plan", f"{run.cpu_seconds:.1f} CPU s", run)
        return self.keeps(run, budget)

    def real_run(self, budget):
        summary = self.folder / "summary.json"
        run = self.run(self.argv, f"--memory={budget}MiB", f"--summary={summary}", "-q")
        if run.code != 0:
            return self.fails(self.ended(run, "run failed"), f"{budget} MiB", run)
        if not self.is_batch:
            told = json.loads(summary.read_text())
            projected = max(one["projected_bytes"] for one in told["passes"])
            self.report.ratios.append((projected / run.peak_bytes, self.seed))
        return self.keeps(run, budget)

    def read_back(self):
        """Targets are verified and compared within budgets of their own."""
        for job in self.jobs:
            for argv in (["verify", job.target], ["compare", job.target, job.target]):
                if self.rng.random() < 0.3:
                    self.read(argv[0], [str(arg) for arg in argv])

    def read(self, kind, argv):
        least = self.named(kind, argv)
        if least is not None:
            run = self.run(argv, f"--memory={least}MiB")
            if run.code != 0:
                return self.fails(self.ended(run, f"{kind} failed"), f"{least} MiB", run)
            self.keeps(run, least)

    def run(self, argv, *more):
        run = measure([*WITHIN, RESLICE, *argv, *more])
        run.argv = [*argv, *more]
        self.report.ends[run.code] += 1
        if run.code < 0 or run.code >= ENDED or run.code == 101 or "panicked" in run.stderr:
            self.fails("panic, signal or hang", f"exit {run.code}", run)
        return run

    def ended(self, run, other):
        return "refused again" if REFUSED.search(run.stderr) else other

    def keeps(self, run, budget):
        if run.peak_bytes <= budget * MIB:
            return True
        what = "plan above the ceiling" if "--dry-run=json" in run.argv else "above the ceiling"
        return self.fails(what, f"{run.peak_mib:.1f} of {budget} MiB", run)

    def fails(self, what, figures, run):
        sources = "; ".join(random_sources.said(job.source) for job in self.jobs)
        lines = [f"seed {self.seed}: {what}: {figures}", f"  {random_jobs.command(run.argv)}", f"  {sources}"]
        if run.code != 0:
            lines += [f"  {line}" for line in run.stderr.splitlines()[-3:]]
        self.report.failures.append((what, "\n".join(lines)))
        print("\n".join(lines), flush=True)
        return False


def play(seed, rounds, keep=None):
    """Plays rounds `seed`, `seed + 1`, ...; the report, printed."""
    report = Report()
    for n in range(rounds):
        folder = Path(keep or tempfile.gettempdir()) / f"reslice-round-{seed + n}-{os.getpid()}"
        folder.mkdir(parents=True)
        try:
            Round(seed + n, folder, report).play()
        finally:
            if not keep:
                shutil.rmtree(folder)
    print(f"{rounds} rounds of seed {seed}:")
    report.print()
    return report


def main():
    args = random_jobs.arguments(__doc__)
    sys.exit(1 if play(args.seed, args.rounds, args.keep).failures else 0)


if __name__ == "__main__":
    main()
