"""Grids and values equal to SimpleITK's, for nearest and linear, on every NIfTI scan."""

import gzip
import struct

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

import grids
import parity
from command import summary_of

SCANS = ["ct_tilted", "epi_tilted", "mr_head_512", "perfusion_4d", "t1_brain", "tmap_las"]
SMALL = [name for name in SCANS if name != "mr_head_512"]

UP, DOWN, MIXED = (0.61, 0.83, 0.47), (1.37, 2.21, 1.73), (0.79, 1.9, 1.13)
CROP = ((31, 231), (150, 331), (17, 90))


def spacing(grid, factors):
    """Steps that a person would type, in these proportions to the grid's."""
    return [round(float(step * f), 3) for step, f in zip(grid.step, factors)]


def triple(values):
    return ",".join(str(v) for v in values)


def volumes(array):
    return [array[..., t] for t in range(array.shape[3])] if array.ndim == 4 else [array]


def run_and_check(resample, tmp_path, path, options, target, interp, rounding=None, region=None, dtype=None):
    """Runs the command on one scan and holds grid, header and voxels of every volume against the reference."""
    image = grids.load(path)
    source, samples = grids.of(image), grids.raw(image)
    if region:
        source = grids.crop(source, region)
        samples = samples[tuple(slice(lo, hi) for lo, hi in region)]
    options = ["--interp", interp, *options]
    becomes_float = (dtype or image.get_data_dtype().kind).startswith("f")
    options += ["--rounding", rounding] if rounding and not becomes_float else []
    options += ["--region", ",".join(f"{lo}:{hi}" for lo, hi in region)] if region else []
    options += ["--dtype", dtype] if dtype else []
    out = tmp_path / "out.nii"
    resample(path, out, *options, "--summary", tmp_path / "summary.json")
    stated = summary_of(tmp_path / "summary.json")["target"]
    assert tuple(stated["shape"]) == target.shape
    np.testing.assert_allclose(stated["index_to_world"], target.affine[:3], rtol=1e-12, atol=1e-9)

    ours = nib.load(out)
    assert ours.shape[:3] == target.shape
    assert ours.shape[3:] == samples.shape[3:]
    np.testing.assert_allclose(ours.affine, target.affine, rtol=0, atol=2e-5)
    np.testing.assert_allclose(ours.header.get_zooms()[:3], target.step, rtol=1e-6)
    for before, after in zip(volumes(samples), volumes(grids.raw(ours)), strict=True):
        parity.check(before, source, target, after, interp, rounding or "nearest")


@pytest.mark.parametrize("factors", [UP, DOWN, MIXED], ids=["up", "down", "mixed"])
@pytest.mark.parametrize("interp", ["nearest", "linear"])
@pytest.mark.parametrize("scan", SCANS)
def test_spacing(data, resample, tmp_path, scan, interp, factors):
    path = data / f"{scan}.nii.gz"
    grid = grids.of(grids.load(path))
    region = CROP if scan == "mr_head_512" and factors is UP else None
    new = spacing(grid, factors)
    target = grids.resized(grids.crop(grid, region) if region else grid, spacing=new)
    rounding = "truncate" if interp == "linear" else None
    run_and_check(resample, tmp_path, path, ["--spacing", triple(new)], target, interp, rounding, region)


@pytest.mark.parametrize("scan", SMALL)
def test_default_rounding_is_to_nearest(data, resample, tmp_path, scan):
    path = data / f"{scan}.nii.gz"
    grid = grids.of(grids.load(path))
    new = spacing(grid, MIXED)
    run_and_check(resample, tmp_path, path, ["--spacing", triple(new)], grids.resized(grid, spacing=new), "linear")


@pytest.mark.parametrize("scan", ["ct_tilted", "mr_head_512", "t1_brain"])
def test_integers_to_float(data, resample, tmp_path, scan):
    path = data / f"{scan}.nii.gz"
    grid = grids.of(grids.load(path))
    region = CROP if scan == "mr_head_512" else None
    new = spacing(grid, MIXED)
    target = grids.resized(grids.crop(grid, region) if region else grid, spacing=new)
    options = ["--spacing", triple(new)]
    run_and_check(resample, tmp_path, path, options, target, "linear", None, region, "f32")


@pytest.mark.parametrize("align", ["edges", "center"])
@pytest.mark.parametrize("interp", ["nearest", "linear"])
@pytest.mark.parametrize("scan", SMALL)
def test_align(data, resample, tmp_path, scan, interp, align):
    path = data / f"{scan}.nii.gz"
    grid = grids.of(grids.load(path))
    new = spacing(grid, MIXED)
    target = grids.resized(grid, align, spacing=new)
    run_and_check(
        resample, tmp_path, path, ["--spacing", triple(new), "--align", align], target, interp, "truncate"
    )


@pytest.mark.parametrize("codes", ["RAS", "LPI", "PIR", "SLA", "AIL"])
@pytest.mark.parametrize("scan", SMALL)
def test_orient_moves_voxels_only(data, resample, tmp_path, scan, codes):
    path = data / f"{scan}.nii.gz"
    image = grids.load(path)
    target = grids.orient(grids.of(image), codes)
    run_and_check(resample, tmp_path, path, ["--orient", codes], target, "nearest")
    ours = nib.load(tmp_path / "out.nii")
    assert nib.aff2axcodes(ours.affine) == tuple(codes)
    plain = nib.Nifti1Image(grids.raw(image), image.affine)
    change = nib.orientations.ornt_transform(
        nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(tuple(codes))
    )
    np.testing.assert_array_equal(grids.raw(ours), np.asanyarray(plain.as_reoriented(change).dataobj))


@pytest.mark.parametrize("align", ["origin", "edges"])
@pytest.mark.parametrize("interp", ["nearest", "linear"])
@pytest.mark.parametrize("scan", SCANS)
def test_orient_and_spacing(data, resample, tmp_path, scan, interp, align):
    path = data / f"{scan}.nii.gz"
    region = CROP if scan == "mr_head_512" else None
    grid = grids.of(grids.load(path))
    turned = grids.orient(grids.crop(grid, region) if region else grid, "PIR")
    new = spacing(turned, (1.31, 0.77, 0.57))
    options = ["--orient", "PIR", "--spacing", triple(new), "--align", align]
    target = grids.resized(turned, align, spacing=new)
    run_and_check(resample, tmp_path, path, options, target, interp, "truncate", region)


@pytest.mark.parametrize("interp", ["nearest", "linear"])
@pytest.mark.parametrize(
    "sizing", [{"size": (61, 113, 47)}, {"scale": (0.7, 1.3, 1.1)}, {"isotropic": True}, {"isotropic": 2.7}], ids=str
)
def test_other_sizings(data, resample, tmp_path, interp, sizing):
    path = data / "ct_tilted.nii.gz"
    target = grids.resized(grids.of(grids.load(path)), **sizing)
    (name, value), = sizing.items()
    options = ["--isotropic" if value is True else f"--{name}={triple(value) if isinstance(value, tuple) else value}"]
    run_and_check(resample, tmp_path, path, options, target, interp, "truncate")


@pytest.mark.parametrize("codes", [None, "LIA", "SPR"])
@pytest.mark.parametrize("interp", ["nearest", "linear"])
@pytest.mark.parametrize("pair", ["t1_brain tmap_las", "tmap_las t1_brain", "mr_head_512 tmap_las", "t1_brain mr_head_512"])
def test_like(data, resample, tmp_path, interp, pair, codes):
    """Another scan's grid, as it stands and with permuted and flipped axes."""
    source, reference = (data / f"{name}.nii.gz" for name in pair.split())
    image = grids.load(reference)
    if reference.name.startswith("mr_head"):
        image = image.slicer[100:400:3, 90:300, 10:100:2]
    if codes:
        change = nib.orientations.ornt_transform(
            nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(tuple(codes))
        )
        image = image.as_reoriented(change)
    like = tmp_path / "like.nii"
    nib.save(image, like)
    target = grids.of(nib.load(like))
    run_and_check(resample, tmp_path, source, ["--like", like], target, interp, "truncate")


@pytest.mark.parametrize("scan", ["ct_tilted", "epi_tilted"])
def test_like_itself_reoriented_snaps_to_the_same_voxels(data, resample, tmp_path, scan):
    """Headers are f32: the reoriented grid of an oblique scan meets the source's voxels only after the snap."""
    path = data / f"{scan}.nii.gz"
    image = grids.load(path)
    change = nib.orientations.ornt_transform(
        nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(tuple("SLP"))
    )
    like = tmp_path / "like.nii"
    nib.save(image.as_reoriented(change), like)
    resample(path, tmp_path / "out.nii", "--like", like)
    np.testing.assert_array_equal(grids.raw(nib.load(tmp_path / "out.nii")), grids.raw(nib.load(like)))


@pytest.mark.parametrize("scan", [name for name in SCANS if name != "perfusion_4d"])
def test_grid_of_the_recipe(data, resample, tmp_path, scan):
    """Size, spacing, origin and direction as the usual SimpleITK script has them."""
    path = data / f"{scan}.nii.gz"
    theirs = sitk.ReadImage(str(path))
    new = [round(s * f, 2) for s, f in zip(theirs.GetSpacing(), (1.7, 2.9, 1.3))]
    size = [round(n * old / step) for n, old, step in zip(theirs.GetSize(), theirs.GetSpacing(), new)]
    resample(path, tmp_path / "out.nii.gz", "--spacing", triple(new))
    ours = sitk.ReadImage(str(tmp_path / "out.nii.gz"))
    assert list(ours.GetSize()) == size
    assert ours.GetPixelID() == theirs.GetPixelID()
    np.testing.assert_allclose(ours.GetSpacing(), new, rtol=1e-6)
    np.testing.assert_allclose(ours.GetOrigin(), theirs.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(ours.GetDirection(), theirs.GetDirection(), atol=1e-6)


def header_slope(path):
    """scl_slope and scl_inter as they stand in the file."""
    opened = gzip.open(path) if str(path).endswith(".gz") else open(path, "rb")
    with opened as f:
        return struct.unpack("<2f", f.read(348)[112:120])


def test_slope_is_kept_and_raw_values_are_resampled(data, resample, tmp_path):
    rng = np.random.default_rng(7)
    image = nib.Nifti1Image(rng.integers(-900, 900, (23, 29, 19)).astype(np.int16), np.diag([2.0, 3.0, 2.5, 1.0]))
    image.header.set_slope_inter(0.25, -3.0)
    source = tmp_path / "sloped.nii.gz"
    nib.save(image, source)
    assert header_slope(source) == (0.25, -3.0)
    resample(source, tmp_path / "out.nii.gz", "--spacing", "1.7,2.1,3.3", "--rounding", "truncate", "--align", "edges")
    assert header_slope(tmp_path / "out.nii.gz") == (0.25, -3.0)
    loaded = nib.load(source)
    target = grids.resized(grids.of(loaded), "edges", spacing=(1.7, 2.1, 3.3))
    ours = grids.raw(nib.load(tmp_path / "out.nii.gz"))
    assert ours.dtype == np.int16
    parity.check(grids.raw(loaded), grids.of(loaded), target, ours, "linear", "truncate")

    resample(source, tmp_path / "real.nii", "--dtype", "f32")
    assert header_slope(tmp_path / "real.nii") in [(1.0, 0.0), (0.0, 0.0)]
    real = grids.raw(nib.load(tmp_path / "real.nii"))
    np.testing.assert_allclose(real, grids.raw(loaded) * 0.25 - 3.0, rtol=1e-6, atol=1e-6)


def test_outside_value_is_in_real_units(resample, tmp_path):
    image = nib.Nifti1Image(np.full((5, 6, 7), 100, np.int16), np.eye(4))
    image.header.set_slope_inter(0.5, 10.0)
    nib.save(image, tmp_path / "in.nii")
    resample(tmp_path / "in.nii", tmp_path / "out.nii", "--spacing", "0.4", "--outside", "20")
    ours = grids.raw(nib.load(tmp_path / "out.nii"))
    assert set(np.unique(ours)) == {100, 20}
    assert ours.shape == (12, 15, 18) and ours[0, 0, -1] == 20 and ours[0, 0, 0] == 100


def test_real_scan_with_a_slope(data, resample, tmp_path):
    path = data / "tmap_las.nii.gz"
    resample(path, tmp_path / "out.nii.gz", "--spacing", "1.9,2.3,3.1")
    assert header_slope(tmp_path / "out.nii.gz") == header_slope(path)
