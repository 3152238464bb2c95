"""Plans of odd and huge volumes: they end soon, and a budget that a refusal names works. Nothing is resampled, only planned."""

import json
import math
import random
import re
import resource
import struct

import pytest

from command import refused, reslice

#: Seconds of CPU, user and system; builds without optimisation take several times as long as those with it.
MOST_CPU = 20
SPACING = ["--spacing-in", "1,1,1"]


def store(folder, shape, chunk):
    """A u16 array without any chunk; extents z, y, x."""
    path = folder / "source.zarr"
    path.mkdir()
    document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": shape,
        "data_type": "uint16",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        "dimension_names": ["z", "y", "x"],
    }
    (path / "zarr.json").write_text(json.dumps(document))
    return path


def scan(folder, shape, spacing=(1, 1, 1)):
    """A sparse NIfTI-2 of u8; extents i, j, k."""
    path, header = folder / "source.nii", bytearray(544)
    struct.pack_into("<i8s2h8q", header, 0, 540, b"n+2\0\r\n\x1a\n", 2, 8, 3, *shape, 1, 1, 1, 1)
    struct.pack_into("<8d", header, 104, 1, *spacing, 1, 1, 1, 1)
    struct.pack_into("<q", header, 168, 544)
    struct.pack_into("<2i", header, 344, 0, 1)
    rows = [[spacing[0], 0, 0, 0], [0, spacing[1], 0, 0], [0, 0, spacing[2], 0]]
    struct.pack_into("<12d", header, 400, *sum(rows, []))
    struct.pack_into("<i", header, 500, 2)
    with open(path, "wb") as file:
        file.write(header)
        file.truncate(544 + math.prod(shape))
    return path


def turn(folder):
    path = folder / "turn.txt"
    path.write_text("0.94 -0.34 0 3\n0.33 0.9 -0.28 2\n0.1 0.26 0.96 1\n0 0 0 1\n")
    return path


def dry(*args, expect=0):
    """A dry run, within its time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = reslice("resample", *args, "--dry-run", expect=expect)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert took < MOST_CPU, f"{took:.1f} s of CPU: {args}"
    return run


def amplifications(text):
    return [float(x) for x in re.findall(r"amplification ([0-9.]+)\)", text)]


@pytest.mark.parametrize("suffix", ["nii", "zarr"])
@pytest.mark.parametrize("way", ["aligned", "oblique", "spline"])
@pytest.mark.parametrize("extent", [1500, 20_000, 80_000])
def test_huge_volumes_plan_soon(tmp_path, suffix, way, extent):
    source = store(tmp_path, [extent] * 3, [128] * 3)
    turned = ["--transform", turn(tmp_path)] + (["--interp", "bspline3"] if way == "spline" else [])
    options = ["--spacing", "1.6,1.6,1.25"] if way == "aligned" else turned
    told = dry(source, tmp_path / f"out.{suffix}", *SPACING, *options, "--memory", "1GiB", "--threads", "2").stdout
    assert amplifications(told) and min(amplifications(told)) >= 1, told


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("suffix", ["nii", "zarr"])
def test_long_axes_plan_or_are_refused_by_numbers(tmp_path, axis, suffix):
    shape = [1, 1, 1]
    shape[axis] = 8_000_000
    target = tmp_path / f"out.{suffix}"
    chunked = store(tmp_path, shape, [min(n, 8192) for n in shape])
    dry(chunked, target, *SPACING, "--spacing", "0.7", "--memory", "1GiB")
    raw = scan(tmp_path, shape)
    memory = "96MiB" if suffix == "nii" else "400MiB"
    dry(raw, target, "--memory", memory)
    dry(raw, target, "--transform", turn(tmp_path), "--memory", memory)


def test_numbers_that_allocate_are_held_against_the_budget(tmp_path):
    source = store(tmp_path, [1, 10**12, 1], [1, 2**20, 1])
    target = tmp_path / "out.zarr"
    run = dry(source, target, *SPACING, "--spacing", "1,0.7,1", "--memory", "96MiB", expect=2)
    assert "too small: the weights along the axes" in run.stderr
    assert run.peak_bytes < 96 << 20
    raw = scan(tmp_path, (60, 50, 40))
    for options in (["--spacing", "1e12", "--antialias"], ["--spacing", "1e300", "--antialias"], ["--interp", "gaussian:1e9"]):
        for turned in ([], ["--transform", turn(tmp_path)]):
            run = dry(raw, tmp_path / "out.nii", *options, *turned, "--memory", "96MiB", expect=(0, 2))
            assert run.peak_bytes < 96 << 20


def test_thin_and_tiny_volumes_have_a_plan(tmp_path):
    rng = random.Random(11)
    extents = [1, 2, 3, 7, 11, 40, 52, 100, 600]
    for _ in range(40):
        source = scan(tmp_path, [rng.choice(extents) for _ in range(3)], [rng.choice([0.3, 0.35, 0.8]) for _ in range(3)])
        options = rng.choice([["--orient", "SRA"], ["--spacing", "0.8,1.1,0.083333"], ["--transform", turn(tmp_path)]])
        dry(source, tmp_path / "out.nii", *options, "--memory", "96MiB")


JOBS = {
    "aligned": ["out.zarr", "--spacing", "0.8,1.6,1.6"],
    "pyramid": ["out.zarr", "--spacing", "0.8", "--pyramid"],
    "blocks of a stream": ["out.nii.gz", "--spacing", "0.8"],
    "oblique": ["out.nii", "--transform", "turn.txt", "--interp", "bspline3"],
    "oblique stream": ["out.nii.gz", "--transform", "turn.txt"],
}


@pytest.mark.parametrize("job", JOBS)
def test_the_budget_that_is_named_works_and_four_fifths_of_it_do_not(tmp_path, job):
    source = store(tmp_path, [512, 768, 768], [64, 128, 128])
    name, *options = [turn(tmp_path) if option == "turn.txt" else option for option in JOBS[job]]
    args = ["resample", source, tmp_path / name, *SPACING, *options, "--threads", "1", "--dry-run", "--memory"]
    told = refused(*args, "6MiB", expect=2).stderr
    named = int(re.search(r"use --memory (\d+)MiB or more", told).group(1))
    assert ("--chunk" in told) == name.endswith(".zarr"), told
    reslice(*args, f"{named}MiB")
    refused(*args, f"{named * 4 // 5}MiB", expect=2)
