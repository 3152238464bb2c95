"""Every kernel that a peer has, held against it: SimpleITK, scipy.ndimage for B-splines, numpy for whole boxes.

ITK's windowed sincs and Gaussian are slow, so these are small volumes and crops of scans.
"""

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

import grids
import parity
from test_parity import DOWN, MIXED, UP, run_and_check, spacing, triple

INTERPS = [name for name in parity.KERNELS if name not in ("nearest", "linear")]
SPLINES = [name for name in INTERPS if parity.is_spline(name)]
AFFINE = np.array([[-2.0, 0, 0, 31], [0, 3.0, 0, -20], [0, 0, 2.5, 4], [0, 0, 0, 1]])

CROPS = {
    "ct_tilted": ((100, 123), (120, 141), (10, 29)),
    "mr_head_512": ((230, 251), (250, 273), (40, 59)),
    "t1_brain": ((20, 43), (60, 79), (31, 52)),
    "tmap_las": ((11, 34), (17, 36), (9, 30)),
}


def saved(path, samples, affine=AFFINE):
    nib.save(nib.Nifti1Image(samples, affine), path)
    return grids.of(nib.load(path))


def noise(dtype, shape=(23, 19, 29)):
    rng = np.random.default_rng(11)
    if np.dtype(dtype).kind == "f":
        return rng.normal(0, 300, shape).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(max(info.min, -30000), min(info.max, 30000), shape).astype(dtype)


def check_noise(resample, folder, interp, factors, dtype, align):
    grid = saved(folder / "in.nii", noise(dtype))
    new = spacing(grid, factors)
    options = ["--spacing", triple(new), "--align", align]
    target = grids.resized(grid, align, spacing=new)
    run_and_check(resample, folder, folder / "in.nii", options, target, interp, "truncate")


@pytest.mark.parametrize("dtype", ["i2", "f4"])
@pytest.mark.parametrize("align", ["origin", "edges"])
@pytest.mark.parametrize("factors", [UP, DOWN], ids=["up", "down"])
@pytest.mark.parametrize("interp", INTERPS)
def test_noise(resample, tmp_path, interp, factors, align, dtype):
    """Noise, which leaves nothing to luck; borders and the outside included."""
    check_noise(resample, tmp_path, interp, factors, dtype, align)


@pytest.mark.parametrize("dtype", ["u1", "i4", "f8"])
@pytest.mark.parametrize("interp", INTERPS)
def test_other_dtypes(resample, tmp_path, interp, dtype):
    check_noise(resample, tmp_path, interp, MIXED, dtype, "origin")


@pytest.mark.parametrize("interp", INTERPS)
def test_default_rounding(resample, tmp_path, interp):
    grid = saved(tmp_path / "in.nii", noise("i2"))
    new = spacing(grid, MIXED)
    target = grids.resized(grid, spacing=new)
    run_and_check(resample, tmp_path, tmp_path / "in.nii", ["--spacing", triple(new)], target, interp)


@pytest.mark.parametrize("rounding", ["nearest", "truncate"])
@pytest.mark.parametrize("interp", ["bspline3", "bspline5", "median"])
def test_outside_values_do_not_depend_on_the_kernel(resample, tmp_path, interp, rounding):
    """Splines of order 5 are summed in f64 and rounded when they are stored; the outside value is rounded before."""
    image = nib.Nifti1Image(np.full((5, 6, 7), 100, np.int16), np.eye(4))
    image.header.set_slope_inter(0.5, 10.0)
    nib.save(image, tmp_path / "in.nii")
    resample(
        tmp_path / "in.nii", tmp_path / "out.nii", "--spacing", "0.4", "--outside", "20.25", "--interp", interp,
        "--rounding", rounding,
    )
    ours = grids.raw(nib.load(tmp_path / "out.nii"))
    assert ours.dtype == np.int16 and ours[0, 0, -1] == 21 and ours[0, 0, 0] == 100
    assert set(np.unique(ours)) <= {99, 100, 21}, np.unique(ours)


@pytest.mark.parametrize("codes", ["PIR", "SLA"])
@pytest.mark.parametrize("interp", INTERPS)
def test_orient(resample, tmp_path, interp, codes):
    """Permuted and flipped axes on the way."""
    turned = grids.orient(saved(tmp_path / "in.nii", noise("f4")), codes)
    new = spacing(turned, (1.31, 0.77, 0.57))
    options = ["--orient", codes, "--spacing", triple(new)]
    run_and_check(resample, tmp_path, tmp_path / "in.nii", options, grids.resized(turned, spacing=new), interp)


@pytest.mark.parametrize("shape", [(1, 17, 13), (19, 1, 11), (3, 5, 7)], ids=str)
@pytest.mark.parametrize("interp", INTERPS)
def test_thin(resample, tmp_path, interp, shape):
    """Axes shorter than the kernel, down to one voxel."""
    grid = saved(tmp_path / "in.nii", noise("f4", shape))
    new = spacing(grid, (0.7, 0.6, 0.9))
    target = grids.resized(grid, "edges", spacing=new)
    options = ["--spacing", triple(new), "--align", "edges"]
    run_and_check(resample, tmp_path, tmp_path / "in.nii", options, target, interp)


@pytest.mark.parametrize("factors, dtype", [(UP, None), (DOWN, None), (MIXED, "f32")], ids=["up", "down", "f32"])
@pytest.mark.parametrize("interp", INTERPS)
@pytest.mark.parametrize("scan", sorted(CROPS))
def test_scans(data, resample, tmp_path, scan, interp, factors, dtype):
    path, region = data / f"{scan}.nii.gz", CROPS[scan]
    grid = grids.of(grids.load(path))
    new = spacing(grid, factors)
    target = grids.resized(grids.crop(grid, region), spacing=new)
    options = ["--spacing", triple(new), *(["--raw"] if dtype else [])]
    run_and_check(resample, tmp_path, path, options, target, interp, "truncate", region, dtype)


@pytest.mark.parametrize("factors", [UP, DOWN], ids=["up", "down"])
@pytest.mark.parametrize("shape", [(23, 19, 29), (2, 31, 7)], ids=str)
@pytest.mark.parametrize("interp", SPLINES)
def test_splines_equal_scipy(resample, tmp_path, interp, shape, factors):
    """Mirrored borders, which `--align edges` looks at, and axes of two voxels included."""
    samples = noise("f8", shape)
    grid = saved(tmp_path / "in.nii", samples)
    target = grids.resized(grid, "edges", spacing=spacing(grid, factors))
    resample(
        tmp_path / "in.nii", tmp_path / "out.nii", "--spacing", triple(spacing(grid, factors)), "--align", "edges",
        "--interp", interp,
    )
    ours = grids.raw(nib.load(tmp_path / "out.nii"))
    axes = [scale * np.arange(n) + offset for n, (_, scale, offset) in zip(
        target.shape, grids.axis_aligned(grids.mapping(grid, target)))]
    at = np.meshgrid(*axes, indexing="ij")
    theirs = ndimage.map_coordinates(samples, at, order=int(interp[-1]), mode="mirror")
    assert ours.shape == theirs.shape
    worst = float(np.abs(ours - theirs).max())
    assert worst <= 1e-5 * np.abs(samples).max(), worst / np.abs(samples).max()


def most_frequent(box):
    values, counts = np.unique(box, return_counts=True)
    return values[counts.argmax()]


COVERS = {"mean": np.mean, "min": np.min, "max": np.max, "median": np.median, "mode": most_frequent}


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4"])
@pytest.mark.parametrize("cover", sorted(COVERS))
def test_whole_boxes_equal_numpy(resample, tmp_path, cover, dtype):
    """Target voxels that cover 3 x 2 x 4 source voxels each."""
    factors = (3, 2, 4)
    samples = (noise(dtype, (15, 14, 20)) // 64 if cover == "mode" else noise(dtype, (15, 14, 20))).astype(dtype)
    grid = saved(tmp_path / "in.nii", samples)
    new = triple([float(step * f) for step, f in zip(grid.step, factors)])
    resample(tmp_path / "in.nii", tmp_path / "out.nii", "--spacing", new, "--align", "edges", "--interp", cover)
    ours = grids.raw(nib.load(tmp_path / "out.nii"))
    boxes = samples.reshape(5, 3, 7, 2, 5, 4).transpose(0, 2, 4, 1, 3, 5).reshape(5, 7, 5, 24).astype(np.float64)
    theirs = np.apply_along_axis(COVERS[cover], 3, boxes)
    off, near = np.abs(ours - theirs), 1e-5 * np.abs(samples).max()
    if ours.dtype.kind != "f":
        off = np.abs(ours - np.floor(theirs + 0.5))
        # Thirds are not exact: a mean half-way between two integers may fall to either.
        off[np.abs(theirs + 0.5 - np.rint(theirs + 0.5)) <= near] -= 1 if cover == "mean" else 0
        near = 0
    assert off.max() <= near, f"{(off > near).sum()} of {off.size} voxels differ"
