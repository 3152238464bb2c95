"""A full disk, on a real small tmpfs: an error that says what to do, nothing under the final name; with more room `--resume` ends well."""

import os
import subprocess

import nibabel as nib
import numpy as np
import pytest

from command import digest, leftovers, refused, reslice
from faults.harness import strays

MIB = 1 << 20
TARGETS = {
    "out.nii": (),
    "out.hdr": (),
    "out.nii.gz": (),
    "out.mha": (),
    "out.mhd": (),
    "out.nrrd": ("--gzip", "none"),
    "bgzf.nii.gz": ("--gzip", "bgzf"),
    "out.zarr": ("--chunk", "32", "--shard", "64"),
    "chunked.zarr": ("--chunk", "32", "--shard", "none"),
    "levels.zarr": ("--chunk", "32", "--shard", "64", "--pyramid"),
}
# 16 MiB of noise, which does not compress, to a disk of 1, 6 or 14 MiB.
SIZES = ("1m", "6m", "14m")


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    folder = tmp_path_factory.mktemp("noise")
    array = np.random.default_rng(9).integers(0, 1 << 16, (200, 200, 210), dtype=np.uint16)
    nib.save(nib.Nifti1Image(array, np.eye(4)), folder / "noise.nii")
    return folder / "noise.nii"


@pytest.fixture(scope="module")
def right(noise, resample_once):
    """The digest of each target where there is room."""
    return {name: resample_once(noise, name) for name in TARGETS}


@pytest.fixture(scope="module")
def resample_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("right")

    def run(noise, name):
        reslice("resample", noise, folder / name, *TARGETS[name])
        return content(folder / name)

    return run


@pytest.fixture
def disk(tmp_path, request):
    """A tmpfs of the size of the test's parameter."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a tmpfs")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={request.param}", "tmpfs", folder]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def content(target):
    beside = {".hdr": ".img", ".mhd": ".raw"}.get(target.suffix)
    files = [target, target.with_suffix(beside)] if beside else [target]
    return [digest(file) for file in files]


@pytest.mark.parametrize("disk", SIZES, indirect=True)
@pytest.mark.parametrize("name", TARGETS)
def test_full_disk_and_on_with_more_room(noise, right, disk, name):
    target = disk / name
    goes_on = (*TARGETS[name], "--no-disk-check")
    refused("resample", noise, target, *goes_on, expect=1, says=("space", "hint: ", str(disk)))
    assert not any(target.with_suffix(suffix).exists() for suffix in (target.suffix, ".img", ".raw"))
    assert leftovers(target) in ([], [f"{name}.reslice"]), os.listdir(disk)
    refused("resample", noise, target, *goes_on, "--resume", expect=1, says="space")
    assert not target.exists()
    subprocess.run(["mount", "-o", "remount,size=80m", disk], check=True)
    reslice("resample", noise, target, *TARGETS[name], "--resume")
    assert content(target) == right[name]
    assert not strays(target)


PLAIN = {"out.nii": (), "out.hdr": (), "plain.zarr": ("--codec", "none", "--chunk", "40,40,42", "--shard", "none")}


@pytest.mark.parametrize("disk", ["14m"], indirect=True)
@pytest.mark.parametrize("name", PLAIN)
def test_what_cannot_fit_is_refused_before_the_start(noise, disk, name):
    job = ("resample", noise, disk / name, *PLAIN[name])
    refused(*job, expect=2, says=("needs 16.0 MiB", "14.0 MiB free", "hint: ", "--no-disk-check"))
    assert not os.listdir(disk)
    assert "NOT ENOUGH" in reslice(*job, "--dry-run").stdout
    reslice(*job, "--dtype", "u8")


@pytest.mark.parametrize("disk", ["30m"], indirect=True)
def test_what_is_replaced_is_not_free_until_the_end(noise, disk):
    target = disk / "out.nii"
    reslice("resample", noise, target)
    before = digest(target)
    refused("resample", noise, target, "--overwrite", expect=2, says="--no-disk-check")
    assert digest(target) == before and os.listdir(disk) == ["out.nii"]


@pytest.mark.parametrize("disk", ["6m"], indirect=True)
def test_what_is_stored_is_counted(noise, right, disk):
    target = disk / "out.nii"
    refused("resample", noise, target, "--no-disk-check", expect=1, says="space")
    subprocess.run(["mount", "-o", "remount,size=20m", disk], check=True)
    refused("resample", noise, disk / "another.nii", expect=2, says="--no-disk-check")
    reslice("resample", noise, target, "--resume")
    assert content(target) == right["out.nii"]


@pytest.mark.parametrize("disk", ["1m"], indirect=True)
def test_estimates_go_by_the_source_and_refuse_by_far_only(noise, disk, tmp_path):
    source = tmp_path / "noise.nii.gz"
    reslice("resample", noise, source)
    refused("resample", source, disk / "out.zarr", expect=2, says=("needs at least 1.", "--no-disk-check"))
    # Nothing is known of how well a source is compressed that is not.
    run = refused("resample", noise, disk / "out.zarr", expect=1, says="space")
    assert "may not fit" in run.stderr and "before compression" in run.stderr
    subprocess.run(["mount", "-o", "remount,size=6m", disk], check=True)
    run = refused("resample", source, disk / "out.zarr", "--restart", expect=1, says="space")
    assert "compressed as the source is" in run.stderr


@pytest.mark.parametrize("disk", ["20m"], indirect=True)
def test_levels_are_held_against_the_disk(noise, disk):
    reslice("resample", noise, disk / "a.zarr", "--codec", "none", "--chunk", "32", "--dtype", "u8")
    free = os.statvfs(disk)
    (disk / "filler").write_bytes(bytes(free.f_bavail * free.f_frsize - 500_000))
    refused("pyramid", disk / "a.zarr", expect=2, says=("needs 2.3 MiB", "--no-disk-check"))
    assert sorted(os.listdir(disk)) == ["a.zarr", "filler"]
    (disk / "filler").unlink()
    reslice("pyramid", disk / "a.zarr")
