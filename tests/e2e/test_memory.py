"""Measured peak memory (ru_maxrss of the child, VmHWM) at or under `--memory`, for every format and kernel."""

import nibabel as nib
import numcodecs
import numpy as np
import pytest
import zarr

import grids
import oblique
from command import RESLICE, digest
from measure import MIB, cgroup_facts, measure, memory_cgroup

BUDGET = 96
JOBS = {
    "nii to nii": ("nii", ".nii", []),
    "nii to nii.gz": ("nii", ".nii.gz", []),
    "nii to zarr": ("nii", ".zarr", []),
    "nii.gz to nii.gz": ("nii.gz", ".nii.gz", []),
    "nii.gz to bgzf": ("nii.gz", ".nii.gz", ["--gzip", "bgzf"]),
    "nii.gz to zarr": ("nii.gz", ".zarr", []),
    "nii.gz to chunked zarr": ("nii.gz", ".zarr", ["--shard", "none", "--chunk", "64"]),
    "zarr to nii.gz": ("zarr", ".nii.gz", []),
    "zarr to zarr": ("zarr", ".zarr", []),
    "zarr to hdr": ("zarr", ".hdr", []),
    "nii.gz to nrrd": ("nii.gz", ".nrrd", []),
    "zarr to mha": ("zarr", ".mha", []),
    "nii to raw nrrd": ("nii", ".nrrd", ["--gzip", "none"]),
    "nii to mgz": ("nii", ".mgz", ["--dtype", "f32"]),
    "zarr to blosc": ("zarr", ".zarr", ["--codec", "blosc-zstd:5", "--shard", "none"]),
    "nii to f64 blosc": ("nii", ".zarr", ["--codec", "blosc-zstd:9", "--dtype", "f64"]),
}
KERNELS = [
    "nearest", "linear", "cubic", "lanczos3", "linear --antialias", "cubic --antialias", "lanczos3 --antialias",
    "bspline3", "sinc-hamming", "gaussian", "mean", "mode", "max", "median",
]
METHODS = ["nearest", "linear", "cubic", "bspline3", "lanczos3", "sinc-lanczos", "gaussian", "mean", "label"]
OBLIQUE = ["linear", "bspline3"]


@pytest.fixture(scope="module")
def sources(data, tmp_path_factory):
    """The MR scan (60 MiB of voxels) in three formats."""
    folder = tmp_path_factory.mktemp("sources")
    image = nib.load(data / "mr_head_512.nii.gz")
    nib.save(image, folder / "in.nii")
    samples = np.asanyarray(image.dataobj)
    store = zarr.create_array(folder / "in.zarr", shape=samples.T.shape, chunks=(64, 128, 128), dtype="u2")
    store[...] = samples.T
    return {"nii": folder / "in.nii", "nii.gz": data / "mr_head_512.nii.gz", "zarr": folder / "in.zarr"}


def options_for(source):
    return ["--spacing-in", "0.41015625,0.41015625,1.5"] if source == "zarr" else []


def check_peak(run, budget_mib):
    assert run.peak_bytes <= budget_mib * MIB, f"{run.peak_mib:.1f} MiB held, {budget_mib} MiB allowed"


@pytest.mark.parametrize("compressor", [numcodecs.Zlib(1), numcodecs.GZip(1), numcodecs.Zstd(1), numcodecs.Blosc("zstd", 5)], ids=lambda c: c.codec_id)
def test_peak_of_a_thousand_tiny_chunks(resample, tmp_path, compressor):
    """A decompressor made anew for each chunk left the heap in pieces: 46 of 24 MiB."""
    voxels = np.random.default_rng(1).integers(0, 50, (80 * 1005, 1, 1)).astype("f4")
    store = zarr.create_array(
        tmp_path / "in.zarr", shape=voxels.shape, chunks=(80, 1, 1), dtype="f4", compressors=[compressor], zarr_format=2
    )
    store[...] = voxels
    run = resample(tmp_path / "in.zarr", tmp_path / "out.nii", "--size", "1,1,422", "--interp", "nearest", "--memory", "24MiB")
    check_peak(run, 24)


@pytest.mark.parametrize("job", JOBS)
def test_peak_of_formats(sources, resample, tmp_path, job):
    source, suffix, options = JOBS[job]
    options = [*options, *options_for(source), "--spacing", "0.7,0.6,0.9", "--memory", f"{BUDGET}MiB"]
    check_peak(resample(sources[source], tmp_path / f"out{suffix}", *options), BUDGET)


@pytest.mark.parametrize("kernel", KERNELS)
def test_peak_of_kernels(sources, resample, tmp_path, kernel):
    options = ["--spacing", "0.9,1.1,2.1", "--memory", "64MiB", "--threads", "2", "--interp", *kernel.split()]
    check_peak(resample(sources["nii.gz"], tmp_path / "out.nii.gz", *options), 64)


@pytest.mark.parametrize("job", [f"aligned {m}" for m in METHODS] + [f"oblique {m}" for m in OBLIQUE])
def test_peak_and_bytes_of_methods(sources, resample, tmp_path, job):
    """A source larger than the budget, and the bytes of a run that holds all of it."""
    grid, method = job.split()
    options = ["--interp", method, "--threads", "2", "--spacing", "0.9,1.1,2.1"]
    if grid == "oblique":
        turned = oblique.turned(grids.of(nib.load(sources["nii"])), (2.2, 2.7, 1.4))
        oblique.reference_file(tmp_path / "like.nii", turned)
        options[-2:] = ["--like", tmp_path / "like.nii"]
    check_peak(resample(sources["nii"], tmp_path / "small.nii", *options, "--memory", "56MiB"), 56)
    resample(sources["nii"], tmp_path / "large.nii", *options, "--memory", "2GiB")
    assert digest(tmp_path / "small.nii") == digest(tmp_path / "large.nii")


@pytest.fixture(scope="module")
def full_file(tmp_path_factory):
    """640 MiB without holes: Linux 6.18 and later map a whole large folio of it at a fault."""
    path = tmp_path_factory.mktemp("full") / "full.nii"
    plane = np.random.default_rng(18).integers(-900, 900, (640, 640), dtype="i2")
    image = nib.Nifti1Image(np.zeros((640, 640, 1), "i2"), np.diag([0.5, 0.5, 0.5, 1]))
    image.header["dim"][3], image.header["vox_offset"] = 820, 352
    with open(path, "wb") as file:
        file.write(image.header.binaryblock + bytes(4))
        for n in range(820):
            file.write(np.roll(plane, 37 * n).tobytes())
    yield path
    path.unlink()


@pytest.mark.parametrize("options", [["--spacing", "3.1,2.3,1.7"], ["--orient", "AIR", "--spacing", "2.5"]], ids=["coarser", "turned"])
def test_a_map_keeps_to_its_budget(full_file, resample, tmp_path, options):
    options = [*options, "--threads", "2", "--memory", "40MiB"]
    check_peak(resample(full_file, tmp_path / "map.nii", *options, "--io", "mmap"), 40)
    check_peak(resample(full_file, tmp_path / "position.nii", *options, "--io", "pread"), 40)
    assert digest(tmp_path / "map.nii") == digest(tmp_path / "position.nii")


@pytest.mark.parametrize("source", ["nii", "nii.gz", "zarr"])
def test_info_and_compare_are_small(sources, reslice, source):
    check_peak(reslice("info", sources[source]), 64)
    check_peak(reslice("compare", sources[source], sources[source]), 512)


@pytest.mark.parametrize("job", ["nii to nii.gz", "nii.gz to zarr", "zarr to nii.gz"])
def test_inside_a_cgroup(sources, resample, tmp_path, job):
    source, suffix, options = JOBS[job]
    options = [*options, *options_for(source), "--spacing", "0.7,0.6,0.9", "--memory", f"{BUDGET}MiB"]
    with memory_cgroup(128 * MIB) as cgroup:
        if cgroup is None:
            pytest.skip("no memory cgroup can be made here")
        out = tmp_path / f"out{suffix}"
        run = measure([RESLICE, "resample", sources[source], out, *options], cgroup=cgroup)
        facts = cgroup_facts(cgroup)
    assert run.code == 0, run.stderr
    assert facts["killed"] == 0
    check_peak(run, BUDGET)
    resample(sources[source], tmp_path / f"free{suffix}", *options)
    assert digest(out) == digest(tmp_path / f"free{suffix}")


def test_default_budget_respects_the_cgroup(sources, tmp_path):
    with memory_cgroup(160 * MIB) as cgroup:
        if cgroup is None:
            pytest.skip("no memory cgroup can be made here")
        run = measure([RESLICE, "resample", sources["nii"], tmp_path / "out.nii", "--spacing", "0.6"], cgroup=cgroup)
        assert cgroup_facts(cgroup)["killed"] == 0
    assert run.code == 0, run.stderr
    check_peak(run, 80)
