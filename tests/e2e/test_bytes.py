"""The same bytes, whatever the budget and the number of threads."""

import itertools

import pytest

from command import digest

BUDGETS, THREADS = ["64MiB", "200MiB", "2GiB"], [1, 2, 5]
CASES = {
    "nii linear": (".nii", ["--spacing", "0.5,0.43,0.9"]),
    "nii.gz linear": (".nii.gz", ["--spacing", "0.9,0.7,1.1"]),
    "bgzf cubic": (".nii.gz", ["--spacing", "0.9,0.7,1.1", "--interp", "cubic", "--gzip", "bgzf"]),
    "zarr nearest": (".zarr", ["--spacing", "0.7,0.5,0.9", "--interp", "nearest", "--chunk", "64"]),
    "chunked zarr lanczos": (".zarr", ["--spacing", "0.9,0.7,1.1", "--interp", "lanczos3", "--shard", "none"]),
    "nrrd linear": (".nrrd", ["--spacing", "0.9,0.7,1.1"]),
    "mha mean": (".mha", ["--spacing", "0.9,0.7,1.1", "--interp", "mean"]),
    "raw mha linear": (".mha", ["--spacing", "0.9,0.7,1.1", "--gzip", "none"]),
    "mgz linear": (".mgz", ["--spacing", "0.9,0.7,1.1", "--dtype", "f32"]),
    "nii bspline5": (".nii", ["--spacing", "0.9,0.7,1.1", "--interp", "bspline5"]),
    "nii.gz mode": (".nii.gz", ["--spacing", "0.9,0.7,2.1", "--interp", "mode"]),
}
# 200 x 230 x 120 voxels, 11 MB: blocks of every budget differ, and a run takes a second.
REGION = ["--region", "100:300,150:380,0:120"]


@pytest.mark.parametrize("case", CASES)
def test_same_bytes(data, resample, tmp_path, case):
    suffix, options = CASES[case]
    hashes = {}
    for memory, threads in itertools.product(BUDGETS, THREADS):
        out = tmp_path / f"out-{memory}-{threads}{suffix}"
        resample(
            data / "mr_head_512.nii.gz", out, *options, *REGION, "--memory", memory, "--threads", threads
        )
        hashes[memory, threads] = digest(out)
    assert len(set(hashes.values())) == 1, hashes


def test_same_bytes_of_the_whole_scan(data, resample, tmp_path):
    hashes = set()
    for memory, threads in (("64MiB", 2), ("2GiB", 5)):
        out = tmp_path / f"out-{memory}.nii.gz"
        options = ["--spacing", "0.8,0.7,0.6", "--gzip", "bgzf", "--memory", memory, "--threads", threads]
        resample(data / "mr_head_512.nii.gz", out, *options)
        hashes.add(digest(out))
    assert len(hashes) == 1


def test_environment_sets_the_defaults(data, resample, tmp_path):
    for name, env in (("a", {}), ("b", {"RESLICE_MEMORY": "64MiB", "RESLICE_THREADS": "1"})):
        resample(data / "t1_brain.nii.gz", tmp_path / f"{name}.nii.gz", "--spacing", "1.3", env=env)
    assert digest(tmp_path / "a.nii.gz") == digest(tmp_path / "b.nii.gz")
