"""Stores that we write, opened by the programs that people open OME-Zarr with: same voxels, same places, every level."""

import numpy as np
import pytest

from peers import READERS, by_zarr_python, validate
from scans import samples, save, straight

STEP, FIRST = (2.5, 1.25, 0.7), (40.125, 12.25, -31.5)  # z, y, x of straight()
STORES = {
    "0.5 sharded": ["--chunk", "8", "--shard", "16"],
    "0.5 chunked": ["--chunk", "16", "--shard", "none", "--codec", "blosc-zstd"],
    "0.5 by default": [],
    "0.5 of four dimensions": ["--chunk", "16"],
    "0.5 pyramid": ["--chunk", "8", "--shard", "16", "--pyramid=3"],
    "0.5 pyramid, added": ["--chunk", "8", "--shard", "16"],
    "0.4": ["--ome", "0.4", "--chunk", "16"],
    "0.4 of four dimensions": ["--ome", "0.4", "--chunk", "16"],
    "0.4 pyramid": ["--ome", "0.4", "--chunk", "8", "--codec", "blosc-lz4", "--pyramid=3"],
}


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Name to (store, levels that must be found), each written once."""
    import command

    folder, made = tmp_path_factory.mktemp("peers"), {}

    def of(name):
        if name not in made:
            array = samples("i2", (23, 29, 19, 3) if "four" in name else (23, 29, 19))
            source, out = folder / "in.nii", folder / f"{name}.ome.zarr"
            command.resample(save(source, array, straight()), out, *STORES[name])
            if name.endswith("added"):
                command.reslice("pyramid", out, "--levels", "3", "--method", "mean")
            made[name] = out, pyramid(array.T, 3 if "pyramid" in name else 0)
        return made[name]

    return of


def pyramid(voxels, count):
    """Voxels, step and first voxel of every level: the rules a second time, in numpy's words."""
    step, first = np.array(STEP), np.array(FIRST)
    levels = [(voxels, step, first)]
    for _ in range(count):
        finest = step.min()
        for axis in range(3):
            if step[axis] <= 1.5 * finest and voxels.shape[axis] > 1:
                voxels = paired(voxels, axis)
        voxels, step, first = rounded(voxels), *coarser(step, first, finest)
        levels.append((voxels, step, first))
    return levels


def paired(voxels, axis):
    """Means of neighbours along an axis in f64; a last voxel without a neighbour stays."""
    starts = np.arange(0, voxels.shape[axis], 2)
    total = np.add.reduceat(voxels.astype(np.float64), starts, axis=axis)
    count = np.minimum(2, voxels.shape[axis] - starts).reshape([-1 if a == axis else 1 for a in range(3)])
    return total / count


def rounded(voxels):
    return np.floor(voxels + 0.5).astype(np.int16)


def coarser(step, first, finest):
    new = np.where(step <= 1.5 * finest, 2 * step, step)
    return new, first + (new - step) / 2


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", STORES)
def test_opened_by(stores, name, reader):
    store, expected = stores(name)
    levels = READERS[reader](store)
    assert len(levels) == len(expected)
    for level, (voxels, step, first) in zip(levels, expected):
        assert level.axes == ("t", "z", "y", "x")[4 - voxels.ndim :]
        assert level.unit == "millimeter"
        assert (level.voxels.shape, level.voxels.dtype) == (voxels.shape, voxels.dtype)
        np.testing.assert_array_equal(level.voxels, voxels)
        if level.scale is not None:
            np.testing.assert_allclose(level.scale[-3:], step, rtol=1e-6)
        if level.translation is not None:
            np.testing.assert_allclose(level.translation[-3:], first, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", STORES)
def test_validated(stores, name):
    store, expected = stores(name)
    multiscale = validate(store, name[:3])
    assert len(multiscale.datasets) == len(expected)
    assert [axis.name for axis in multiscale.axes][-3:] == ["z", "y", "x"]


def test_both_ways_to_a_pyramid_are_one(stores):
    once, later = (by_zarr_python(stores(name)[0]) for name in ("0.5 pyramid", "0.5 pyramid, added"))
    for a, b in zip(once, later, strict=True):
        np.testing.assert_array_equal(a.voxels, b.voxels)
        assert (a.scale, a.translation) == (b.scale, b.translation)
