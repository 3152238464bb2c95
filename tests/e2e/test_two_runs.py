"""Two runs on one target: the second is refused for as long as the first one's lease counts, also on another host."""

import json
import os
import shutil
import signal
import subprocess
import time

import nibabel as nib
import numpy as np
import pytest

from command import RESLICE, digest, refused, reslice
from faults.harness import NoCompiler, build, strays

OLD = 70  # seconds after which a lease of another host is void, and a few more
LONG = ("--scale", "0.93", "--interp", "lanczos3", "--threads", "1")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """60 MiB of noise: a gzip target takes seconds."""
    path = tmp_path_factory.mktemp("source") / "in.nii"
    nib.save(nib.Nifti1Image(np.random.default_rng(3).integers(0, 4096, (320, 320, 300), dtype=np.uint16), np.eye(4)), path)
    return path


@pytest.fixture
def first(source, tmp_path):
    """A run that is under way, and its target."""
    yield from under_way(source, tmp_path / "out.nii.gz", {})


@pytest.fixture
def hastened(source, tmp_path):
    """The same, with a clock that runs a hundred times as fast."""
    try:
        library = build(tmp_path)
    except NoCompiler as why:
        pytest.skip(str(why))
    yield from under_way(source, tmp_path / "out.nii.gz", {"LD_PRELOAD": str(library), "RESLICE_FAULT_CLOCK": "100"})


def under_way(source, target, env):
    argv = [RESLICE, "resample", source, target, *LONG, "--resume"]
    env = {**os.environ, **env}
    run = subprocess.Popen(list(map(str, argv)), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for _ in range(500):
        if leases(target):
            break
        time.sleep(0.01)
    assert run.poll() is None and leases(target), "no lease after 5 s"
    yield run, target
    if run.poll() is None:
        run.kill()
    run.communicate()


def leases(target):
    """The leases on a target, but for those that are being written."""
    return sorted(path for path in target.parent.glob(f"{target.name}.reslice/lease-*") if path.suffix != ".part")


def elsewhere(*argv):
    """A command line that runs on a host of another name."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("only root can give a process another host name (unshare)")
    return ["unshare", "--uts", "sh", "-c", 'echo node7 > /proc/sys/kernel/hostname; exec "$@"', "sh", *map(str, argv)]


def change(lease, **fields):
    """Makes the lease one of another machine."""
    holder = json.loads(lease.read_text())
    assert set(fields) <= set(holder), holder
    lease.write_text(json.dumps({**holder, **fields}))


def is_busy(said):
    return "error: " in said and "another run" in said


def test_the_second_is_refused_and_the_first_ends_well(first, source, resample, tmp_path):
    run, target = first
    for more in ((), ("--resume",), ("--rank", "0/2")):
        busy = refused("resample", source, target, *LONG, *more, expect=1)
        assert is_busy(busy.stderr), busy.stderr
    done = subprocess.run(elsewhere(RESLICE, "resample", source, target, *LONG, "--resume"), capture_output=True, text=True, check=False)
    assert done.returncode == 1 and is_busy(done.stderr), done.stderr
    assert run.poll() is None, "it was over before the second came"
    assert run.wait(60) == 0
    resample(source, tmp_path / "right.nii.gz", *LONG)
    assert digest(target) == digest(tmp_path / "right.nii.gz")
    assert not strays(target)


def test_a_killed_run_is_followed_at_once(first, source, resample, tmp_path):
    run, target = first
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert leases(target)
    resume = [RESLICE, "resample", source, target, *LONG, "--resume"]
    there = subprocess.run(elsewhere(*resume), capture_output=True, text=True, check=False)
    assert there.returncode == 1 and is_busy(there.stderr), f"another host cannot see that it is gone: {there.stderr}"
    reslice(*resume[1:])
    resample(source, tmp_path / "right.nii.gz", *LONG)
    assert digest(target) == digest(tmp_path / "right.nii.gz")


def test_a_run_killed_on_another_machine_is_followed_after_a_minute(first, source):
    run, target = first
    run.send_signal(signal.SIGKILL)
    run.wait()
    (lease,) = leases(target)
    change(lease, host="node7", boot="another")
    busy = refused("resample", source, target, *LONG, "--resume", expect=1)
    assert is_busy(busy.stderr) and "node7" in busy.stderr, busy.stderr
    os.utime(lease, (time.time() - OLD,) * 2)
    again = subprocess.run([RESLICE, "resample", source, target, *LONG, "--resume"], capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert not strays(target)


def test_a_lease_is_renewed(hastened):
    run, target = hastened
    (lease,) = leases(target)
    os.utime(lease, (time.time() - OLD,) * 2)
    for _ in range(200):
        time.sleep(0.01)
        if lease.exists() and time.time() - lease.stat().st_mtime < OLD / 2:
            return
    pytest.fail(f"not renewed within 2 s, which are 200 s of its clock; exit {run.poll()}")


@pytest.mark.parametrize("target", ["out.zarr", "out.nii", "out.nii.gz"])
def test_the_same_job_at_the_same_moment(source, resample, tmp_path, target):
    """Whoever loses the race says so; the target is right."""
    out = tmp_path / target
    argv = [str(part) for part in (RESLICE, "resample", source, out, "--scale", "0.6", "--resume")]
    runs = [subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(5)]
    said = [run.communicate(timeout=120)[1] for run in runs]
    codes = [run.returncode for run in runs]
    assert set(codes) <= {0, 1} and 0 in codes, said
    assert all(is_busy(text) for code, text in zip(codes, said) if code == 1), said
    resample(source, tmp_path / f"right-{target}", "--scale", "0.6")
    assert digest(out) == digest(tmp_path / f"right-{target}")
    assert not strays(out)
