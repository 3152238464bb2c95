"""Values equal to SimpleITK's on rotated grids (`--like`), for every method it has, up and down, as integers and floats.

Nearest and linear on whole scans; ITK's other kernels are slow, so those see crops, about 20 000 target voxels each.
Every grid sticks out of its source, so borders and the outside are compared too.
"""

import nibabel as nib
import numpy as np
import pytest
import zarr
from scipy import ndimage

import grids
import oblique
import scans
from test_mni152 import affine_of
from test_parity import SCANS, volumes

FACTORS = {"up": (0.71, 0.83, 0.67), "down": (1.57, 2.21, 1.73)}
MOST = 160
# The middle of each crop, in source voxels: tissue with air beside it.
MIDDLES = {
    "ct_tilted": (88, 60, 30),
    "epi_tilted": (32, 20, 18),
    "mr_head_512": (256, 140, 60),
    "perfusion_4d": (26, 20, 10),
    "t1_brain": (94, 60, 95),
    "tmap_las": (39, 30, 40),
}
SLOW = [name for name in oblique.METHODS if name not in oblique.FAST]


def noise(dtype, shape):
    """Within what keeps 1e-5 of it below 1 and leaves room for overshoots: ITK's clamp is not what is compared."""
    samples = scans.samples(dtype, shape)
    return samples if samples.dtype.kind == "f" else samples // 4 % min(20011, np.iinfo(dtype).max)


def crop_around(shape, middle, factors):
    """A region that takes about 29 x 27 x 31 target voxels, inside the source."""
    region = []
    for n, at, factor, voxels in zip(shape, middle, factors, (29, 27, 31)):
        size = min(n, round(voxels * factor))
        lo = min(max(0, at - size // 2), n - size)
        region.append((lo, lo + size))
    return tuple(region)


def run_and_compare(resample, folder, path, samples, source, target, interp, options, dtype):
    """Runs the command onto `target` and compares every volume."""
    given = ["--like", folder / "like.nii", "--interp", interp, *options]
    stays_float = str(path).endswith(".zarr") or nib.load(path).get_data_dtype().kind == "f"
    given += ["--dtype", dtype, "--raw"] if dtype else [] if stays_float else ["--rounding", "truncate"]
    resample(path, folder / "out.nii", *given, "--overwrite")
    ours = grids.raw(nib.load(folder / "out.nii"))
    assert dtype is None or ours.dtype == np.float32
    pairs = list(zip(volumes(samples), volumes(ours), strict=True))
    if interp not in oblique.FAST:
        pairs = pairs[:: max(1, len(pairs) - 1)]  # the first and the last
    for before, after in pairs:
        oblique.compare(before, source, target, after, interp).hold()


@pytest.mark.parametrize("factors", FACTORS)
@pytest.mark.parametrize("interp", oblique.FAST)
@pytest.mark.parametrize("scan", SCANS)
def test_whole_scans(data, resample, tmp_path, scan, interp, factors):
    path = data / f"{scan}.nii.gz"
    image = grids.load(path)
    source, samples = grids.of(image), grids.raw(image)
    target = oblique.reference_file(tmp_path / "like.nii", oblique.turned(source, FACTORS[factors], MOST))
    for dtype in (None, "f32") if interp == "linear" else (None,):
        run_and_compare(resample, tmp_path, path, samples, source, target, interp, [], dtype)


@pytest.mark.parametrize("factors", FACTORS)
@pytest.mark.parametrize("interp", SLOW)
@pytest.mark.parametrize("scan", SCANS)
def test_crops(data, resample, tmp_path, scan, interp, factors):
    path = data / f"{scan}.nii.gz"
    image = grids.load(path)
    if interp in oblique.LABELS and image.get_data_dtype().kind == "f":
        pytest.skip("labels are whole numbers")
    region = crop_around(image.shape, MIDDLES[scan], FACTORS[factors])
    box = tuple(slice(lo, hi) for lo, hi in region)
    source, samples = grids.crop(grids.of(image), region), grids.raw(image)[box]
    target = oblique.reference_file(tmp_path / "like.nii", oblique.turned(source, FACTORS[factors]))
    options = ["--region", ",".join(f"{lo}:{hi}" for lo, hi in region)]
    for dtype in (None,) if interp in oblique.LABELS else (None, "f32"):
        run_and_compare(resample, tmp_path, path, samples, source, target, interp, options, dtype)


@pytest.mark.parametrize("interp", oblique.METHODS)
def test_ome_zarr(data, resample, tmp_path, interp):
    """The f64 store: a crop of its middle, down."""
    if interp in oblique.LABELS:
        pytest.skip("labels are whole numbers")
    store = data / "mni152.ome.zarr"
    voxels = zarr.open_array(store / "scale0/nibabel_converted_image", mode="r")
    affine, middle = affine_of(store), [n // 2 for n in voxels.shape]
    region = crop_around(voxels.shape, middle, FACTORS["down"])
    whole = grids.Grid(voxels.shape, affine, np.diag(affine)[:3].copy())
    samples, source = voxels[tuple(slice(lo, hi) for lo, hi in region)], grids.crop(whole, region)
    target = oblique.reference_file(tmp_path / "like.nii", oblique.turned(source, FACTORS["down"]))
    options = ["--region", ",".join(f"{lo}:{hi}" for lo, hi in region)]
    run_and_compare(resample, tmp_path, store, samples, source, target, interp, options, None)


@pytest.mark.parametrize("dtype", ["i1", "u2", "i4", "u4", "f8"])
@pytest.mark.parametrize("interp", oblique.METHODS)
def test_noise_of_other_types(resample, tmp_path, interp, dtype):
    """Noise, which leaves nothing to luck."""
    if interp in oblique.LABELS and dtype == "f8":
        pytest.skip("labels are whole numbers")
    samples = noise(dtype, (13, 11, 17))
    scans.save(tmp_path / "in.nii", samples, scans.tilted())
    source = grids.of(nib.load(tmp_path / "in.nii"))
    target = oblique.reference_file(tmp_path / "like.nii", oblique.turned(source, FACTORS["up"]))
    run_and_compare(resample, tmp_path, tmp_path / "in.nii", samples, source, target, interp, [], None)


@pytest.mark.parametrize("shape", [(1, 17, 13), (19, 1, 11), (4, 5, 7)], ids=str)
@pytest.mark.parametrize("interp", oblique.METHODS)
def test_thin(resample, tmp_path, interp, shape):
    """Axes shorter than the kernel, down to one voxel."""
    samples = noise("i2", shape)
    scans.save(tmp_path / "in.nii", samples, scans.tilted())
    source = grids.of(nib.load(tmp_path / "in.nii"))
    target = oblique.reference_file(tmp_path / "like.nii", oblique.turned(source, (0.3, 0.6, 0.5)))
    run_and_compare(resample, tmp_path, tmp_path / "in.nii", samples, source, target, interp, [], None)


@pytest.mark.parametrize(
    "shape, factors", [((23, 19, 29), "up"), ((23, 19, 29), "down"), ((3, 5, 7), "up"), ((2, 31, 7), "up")]
)
@pytest.mark.parametrize("order", [0, 1, 2, 3, 4, 5])
def test_equal_to_scipy(resample, tmp_path, order, shape, factors):
    """Mirrored borders up to half a voxel beyond the outermost centres, and axes that ITK cannot do, included."""
    samples = scans.samples("f8", shape)
    scans.save(tmp_path / "in.nii", samples, scans.tilted())
    source = grids.of(nib.load(tmp_path / "in.nii"))
    target = oblique.reference_file(tmp_path / "like.nii", oblique.turned(source, FACTORS[factors]))
    interp = ["nearest", "linear", *(f"bspline{n}" for n in range(2, 6))][order]
    resample(tmp_path / "in.nii", tmp_path / "out.nii", "--like", tmp_path / "like.nii", "--interp", interp)
    ours = grids.raw(nib.load(tmp_path / "out.nii"))
    m = grids.mapping(source, target)
    c = oblique.source_index(m, target.shape, slice(0, target.shape[2]))
    theirs = ndimage.map_coordinates(samples, c.T, order=order, mode="nearest" if order < 2 else "mirror")
    inside = ((c > -0.5) & (c < np.array(shape) - 0.5)).all(axis=-1).T
    inside &= ~oblique.ties(samples, m, shape, target.shape, slice(0, target.shape[2]), interp).T
    assert inside.sum() > 20
    assert np.abs(ours - theirs)[inside].max() <= 1e-5 * np.abs(samples).max()
