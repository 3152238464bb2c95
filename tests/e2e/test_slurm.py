"""Jobs on a real Slurm (slurm/cluster.py), by the batch scripts of docs/cluster.md: arrays, steps, requeues, kills, memory.

Every result is held against one plain run of the same command: the same files with the same bytes.
"""

import json
import os
import re
import signal
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import command
from scans import straight

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE / "slurm"
sys.path.insert(0, str(SCRIPTS))

from cluster import Cluster, Missing, install  # noqa: E402

SHAPE = (191, 223, 251)
# Work enough for some seconds on one CPU.
SLOW = ["--scale", "1.7", "--interp", "lanczos3"]
TURNED = [[0.95, -0.3, 0.05, 4.0], [0.3, 0.95, 0.02, -6.0], [-0.05, -0.01, 1.0, 3.0], [0.0, 0.0, 0.0, 1.0]]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    try:
        install()
    except Missing as why:
        pytest.skip(str(why))
    commands = tmp_path_factory.mktemp("bin")
    (commands / "reslice").symlink_to(Path(command.RESLICE).resolve())
    with Cluster(commands) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A scan of 21 MB of smooth noise, as .nii and .nii.gz, and a rotation."""
    folder = tmp_path_factory.mktemp("scan")
    noise = np.random.default_rng(5).integers(-2000, 2000, SHAPE, dtype=np.int16)
    smooth = noise // 2 + np.roll(noise, 1, 0) // 4 + np.roll(noise, 1, 2) // 4
    for name in ("scan.nii", "scan.nii.gz"):
        nib.save(nib.Nifti1Image(smooth, straight()), folder / name)
    np.savetxt(folder / "turned.txt", TURNED)
    return folder


@pytest.fixture
def jobs(tmp_path):
    """The folder that jobs write to."""
    folder = tmp_path / "jobs"
    folder.mkdir()
    return folder


def plain(folder, tmp_path, source, name, *options):
    """What one run outside Slurm makes of it."""
    target = tmp_path / "plain" / name
    target.parent.mkdir()
    command.resample(folder / source, target, *options)
    return target


def check_same(target, expected):
    """The same files with the same bytes, and beside them the notes of jobs that are done, and nothing else."""
    assert target.exists(), sorted(target.parent.iterdir())
    beside = {path.name for path in target.with_name(target.name + ".reslice").glob("*")}
    assert beside in (set(), {"finished.json"}, {"finished.json", "levels-finished.json"}), beside
    files = [
        {path.relative_to(root): path for path in root.rglob("*") if path.is_file()} if root.is_dir() else {root.name: root}
        for root in (target, expected)
    ]
    assert files[0].keys() == files[1].keys()
    differ = [name for name, path in files[0].items() if path.read_bytes() != files[1][name].read_bytes()]
    assert not differ, f"other bytes than the plain run: {differ}"


def log(jobs, job=None):
    names = jobs.glob("*.log") if job is None else jobs.glob(f"*-{job}.log")
    return "\n".join(path.read_text() for path in sorted(names))


def outcome(task):
    return task["JobState"], task["ExitCode"], int(task["Restarts"])


def midway(cluster, jobs, job, blocks=2):
    """Waits until a job that was given `--progress json` has done some blocks, and not all of them."""

    def done():
        lines = re.findall(r'^\{"event":"progress".*\}$', log(jobs, job), re.MULTILINE)
        progress = json.loads(lines[-1])["progress"] if lines else {"blocks_done": 0}
        return progress if progress["blocks_done"] >= blocks else None

    progress = cluster.until(done, f"{blocks} blocks of job {job}")
    assert progress["blocks_done"] < progress["blocks"], f"the job was over before it could be stopped: {progress}"


def task_of(cluster, array, number):
    """The job number of one task of an array, once Slurm has given it its own."""
    return next((task["JobId"] for task in cluster.tasks(array) if task["ArrayTaskId"] == str(number)), None)


def test_an_array_and_a_dependent_pyramid(cluster, folder, tmp_path, jobs):
    options = [*SLOW, "--chunk", "64", "--shard", "128", "--codec", "zstd:12"]
    expected = plain(folder, tmp_path, "scan.nii", "fine.zarr", *options)
    command.reslice("pyramid", expected)
    target = jobs / "fine.zarr"
    how = {"folder": jobs, "options": ["--cpus-per-task=1", "--mem=512M"]}
    array = cluster.sbatch(SCRIPTS / "array.sbatch", folder / "scan.nii", target, *options, "--progress", "json", **how)
    how["options"] = [*how["options"], f"--dependency=afterok:{array}"]
    pyramid = cluster.sbatch(SCRIPTS / "pyramid.sbatch", target, **how)
    third = cluster.until(lambda: task_of(cluster, array, 3), "task 3")
    midway(cluster, jobs, third, blocks=1)
    cluster.run("scontrol", "requeue", third)
    facts = cluster.wait(array, pyramid)
    assert sorted(map(outcome, facts)) == [("COMPLETED", "0:0", 0)] * 7 + [("COMPLETED", "0:0", 1)], log(jobs)
    assert len({task["NodeList"] for task in facts}) > 1, "all on one node"
    check_same(target, expected)


def test_another_scan_for_each_task(cluster, folder, tmp_path, jobs):
    """The array of examples/workflows/slurm."""
    script = HERE.parents[1] / "examples" / "workflows" / "slurm" / "scans.sbatch"
    (jobs / "scans.txt").write_text(f"{folder / 'scan.nii.gz'}\n{folder / 'other.nii.gz'}\n")
    (folder / "other.nii.gz").write_bytes((folder / "scan.nii.gz").read_bytes())
    how = {"folder": jobs, "options": ["--array=1-2", "--cpus-per-task=1", "--mem=256M"]}
    array = cluster.sbatch(script, jobs / "scans.txt", jobs / "fine", "--scale", "0.5", "--antialias", **how)
    assert list(map(outcome, cluster.wait(array))) == [("COMPLETED", "0:0", 0)] * 2, log(jobs)
    expected = plain(folder, tmp_path, "scan.nii.gz", "scan.nii.gz", "--scale", "0.5", "--antialias")
    for name in ("scan", "other"):
        assert (jobs / "fine" / f"{name}.nii.gz").read_bytes() == expected.read_bytes()


def test_srun_joins_one_nii_gz(cluster, folder, tmp_path, jobs):
    expected = plain(folder, tmp_path, "scan.nii.gz", "fine.nii.gz", *SLOW)
    target = jobs / "fine.nii.gz"
    options = ["--cpus-per-task=1", "--mem-per-cpu=512M", "--nodes=3"]
    submit = lambda: cluster.sbatch(  # noqa: E731
        SCRIPTS / "steps.sbatch", folder / "scan.nii.gz", target, *SLOW, folder=jobs, options=options
    )
    assert list(map(outcome, cluster.wait(submit()))) == [("COMPLETED", "0:0", 0)], log(jobs)
    check_same(target, expected)
    written = target.stat()
    assert list(map(outcome, cluster.wait(submit()))) == [("COMPLETED", "0:0", 0)], log(jobs)
    again = target.stat()
    assert (again.st_ino, again.st_mtime_ns) == (written.st_ino, written.st_mtime_ns), "a finished target was made again"


def test_srun_inside_an_array(cluster, folder, tmp_path, jobs):
    expected = plain(folder, tmp_path, "scan.nii", "fine.nii", "--scale", "1.7")
    target = jobs / "fine.nii"
    options = ["--array=1-5:2", "--ntasks=2", "--cpus-per-task=1", "--mem-per-cpu=128M"]
    arguments = [folder / "scan.nii", target, "--scale", "1.7"]
    job = cluster.sbatch(SCRIPTS / "steps.sbatch", *arguments, folder=jobs, options=options)
    assert list(map(outcome, cluster.wait(job))) == [("COMPLETED", "0:0", 0)] * 3, log(jobs)
    for rank in range(6):
        assert re.search(rf"rank {rank} of 6\b", log(jobs)), log(jobs)
    check_same(target, expected)


def test_an_array_with_gaps_is_refused(cluster, folder, jobs):
    options = ["--array=1,3,7", "--cpus-per-task=1", "--mem=128M"]
    job = cluster.sbatch(SCRIPTS / "array.sbatch", folder / "scan.nii", jobs / "a.nii", folder=jobs, options=options)
    assert list(map(outcome, cluster.wait(job))) == [("FAILED", "2:0", 0)] * 3, log(jobs)
    assert log(jobs).count("error: the array has gaps") == 3, log(jobs)
    assert list(jobs.glob("a.nii*")) == []


@pytest.fixture
def slow_job(cluster, folder, tmp_path, jobs):
    """A job that is some blocks into a run of seconds; gives its number, its target, and what that must become."""

    def start(name, *options):
        expected = plain(folder, tmp_path, "scan.nii", name, *options)
        arguments = [folder / "scan.nii", jobs / name, *options, "--progress", "json"]
        how = {"folder": jobs, "options": ["--cpus-per-task=1", "--mem=96M"]}
        job = cluster.sbatch(SCRIPTS / "resume.sbatch", *arguments, **how)
        midway(cluster, jobs, job)
        assert not (jobs / name).exists(), "a target under its name that is not complete"
        return job, jobs / name, expected

    return start


def check_went_on(jobs):
    """The second run had something to go on with."""
    shares = re.findall(r'"([\d.]+) % of [^"]* is stored already"', log(jobs))
    assert [0 < float(share) < 100 for share in shares] == [True], log(jobs)


def test_a_requeue_in_the_middle(cluster, slow_job, folder, jobs):
    job, target, expected = slow_job("turned.nii", *SLOW, "--transform", folder / "turned.txt")
    cluster.run("scontrol", "requeue", job)
    assert list(map(outcome, cluster.wait(job))) == [("COMPLETED", "0:0", 1)], log(jobs)
    check_went_on(jobs)
    check_same(target, expected)


def test_a_job_out_of_time_requeues_itself(cluster, slow_job, jobs):
    job, target, expected = slow_job("fine.nii.gz", *SLOW, "--gzip", "single:9")
    # What Slurm does before the time limit, by --signal=B:USR1@120.
    cluster.run("scancel", "--batch", "--signal=USR1", job)
    assert list(map(outcome, cluster.wait(job))) == [("COMPLETED", "0:0", 1)], log(jobs)
    check_went_on(jobs)
    check_same(target, expected)


def test_a_killed_process_is_tried_again(cluster, slow_job, jobs):
    job, target, expected = slow_job("fine.zarr", *SLOW, "--chunk", "64", "--shard", "none", "--codec", "zstd:15")
    started = {pid: Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in cluster.processes(SLURM_JOB_ID=job)}
    [pid] = [pid for pid, argv in started.items() if argv[1:2] == [b"resample"]]
    os.kill(pid, signal.SIGKILL)
    assert list(map(outcome, cluster.wait(job))) == [("COMPLETED", "0:0", 1)], log(jobs)
    check_same(target, expected)


def test_a_cancelled_job_keeps_what_it_did(cluster, slow_job, folder, jobs):
    options = [*SLOW, "--transform", folder / "turned.txt", "--chunk", "64"]
    job, target, expected = slow_job("turned.zarr", *options)
    cluster.run("scancel", job)
    assert list(map(outcome, cluster.wait(job))) == [("CANCELLED", "75:0", 0)], log(jobs)
    assert not target.exists() and command.leftovers(target) == ["turned.zarr.reslice"]
    command.reslice("resample", folder / "scan.nii", target, *options, "--resume")
    check_same(target, expected)


def test_a_job_takes_its_budget_from_slurm(cluster, folder, tmp_path, jobs):
    expected = plain(folder, tmp_path, "scan.nii.gz", "fine.nii", *SLOW)
    target, summary = jobs / "fine.nii", jobs / "summary.json"
    arguments = [folder / "scan.nii.gz", target, *SLOW, "--summary", summary]
    job = cluster.sbatch(SCRIPTS / "resume.sbatch", *arguments, folder=jobs, options=["--mem=64M"])
    assert list(map(outcome, cluster.wait(job))) == [("COMPLETED", "0:0", 0)], log(jobs)
    facts = command.summary_of(summary)
    assert facts["memory_bytes"] == 32 << 20
    assert facts["peak_bytes"] <= 32 << 20
    check_same(target, expected)


def test_a_job_with_too_little_memory_says_how_much_it_needs(cluster, folder, jobs):
    target = jobs / "fine.nii"
    options = ["--mem=12M", "--cpus-per-task=1"]
    job = cluster.sbatch(SCRIPTS / "resume.sbatch", folder / "scan.nii", target, *SLOW, folder=jobs, options=options)
    assert list(map(outcome, cluster.wait(job))) == [("FAILED", "2:0", 0)], log(jobs)
    assert re.search(r"error: memory budget 6\.0 MiB is too small: .*\nhint: use --memory \d+MiB", log(jobs)), log(jobs)
    assert list(jobs.glob("fine*")) == []


def test_a_job_over_its_memory_is_killed_and_goes_on_with_more(cluster, folder, tmp_path, jobs):
    """A --memory that is more than the job has: Slurm kills it; with the limit found by itself it goes on."""
    options = [*SLOW, "--chunk", "256", "--shard", "none", "--codec", "zstd:12"]
    expected = plain(folder, tmp_path, "scan.nii", "fine.zarr", *options)
    target = jobs / "fine.zarr"
    arguments = [folder / "scan.nii", target, *options]
    how = {"folder": jobs, "options": ["--mem=64M", "--no-requeue"]}
    job = cluster.sbatch(SCRIPTS / "resume.sbatch", *arguments, "--memory", "2GiB", **how)
    [killed] = cluster.wait(job)
    assert killed["JobState"] == "FAILED" and "exceeded memory limit" in log(jobs), (killed, log(jobs))
    assert not target.exists()
    how["options"] = ["--mem=1G"]
    again = cluster.sbatch(SCRIPTS / "resume.sbatch", *arguments, **how)
    assert list(map(outcome, cluster.wait(again))) == [("COMPLETED", "0:0", 0)], log(jobs)
    check_same(target, expected)


def test_the_documentation_shows_these_scripts():
    text = (HERE.parents[1] / "docs" / "cluster.md").read_text()
    for script in sorted(SCRIPTS.glob("*.sbatch")):
        assert f"```bash\n{script.read_text()}```\n" in text, f"docs/cluster.md does not show {script.name} as it is"
