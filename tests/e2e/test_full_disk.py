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
    files = [target, target.with_suffix(".img")] if target.suffix == ".hdr" else [target]
    return [digest(file) for file in files]


@pytest.mark.parametrize("disk", SIZES, indirect=True)
@pytest.mark.parametrize("name", TARGETS)
def test_full_disk_and_on_with_more_room(noise, right, disk, name):
    target = disk / name
    run = refused("resample", noise, target, *TARGETS[name], expect=1, says=("space", "hint: ", str(disk)))
    assert not target.exists() and not target.with_suffix(".img").exists()
    assert leftovers(target) in ([], [f"{name}.reslice"]), os.listdir(disk)
    refused("resample", noise, target, *TARGETS[name], "--resume", expect=1, says="space")
    assert not target.exists()
    subprocess.run(["mount", "-o", "remount,size=80m", disk], check=True)
    reslice("resample", noise, target, *TARGETS[name], "--resume")
    assert content(target) == right[name]
    assert not strays(target)
