"""NRRD, MetaImage and MGH as they are written: what SimpleITK, nibabel and pynrrd read is what NIfTI holds."""

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk

from command import digest, refused, reslice
from test_plain_formats import TYPES, samples_of, sitk_affine
from test_transform_pairs import FLIP, centred, some_affine

TARGETS = {
    "a.nrrd": [], "raw.nrrd": ["--gzip", "none"], "best.nrrd": ["--gzip", "single:9"], "a.nhdr": [],
    "a.mha": [], "raw.mha": ["--gzip", "none"], "best.mha": ["--gzip", "single:9"], "a.mhd": [],
}
MGH = {"a.mgh": [], "a.mgz": [], "blocks.mgz": ["--gzip", "bgzf"]}
PLACES = ["aligned", "oblique", "sheared"]


def grid(rng, place, shape):
    """Index to RAS: rotated, or sheared as well."""
    world = centred(some_affine(rng), shape)
    steps = np.linalg.norm(world[:3, :3], axis=0)
    turn = np.linalg.svd(world[:3, :3])
    rotation = {"aligned": np.diag([-1.0, 1, -1])}.get(place, turn[0] @ turn[2])
    if place == "sheared":
        rotation = rotation @ np.array([[1, 0.2, 0], [0, 1, -0.1], [0, 0, 1]])
    world[:3, :3] = rotation * steps
    return world


def write(path, array, world, unit="mm"):
    """A NIfTI of x, y, z[, t]."""
    image = nib.Nifti1Image(array, world, dtype=array.dtype)
    image.header.set_xyzt_units(unit, "sec")
    image.set_sform(world, 1)
    nib.save(image, path)
    return nib.load(path)


def nrrd_affine(header):
    """Index to RAS."""
    assert header["space"] == "left-posterior-superior"
    directions = np.array([row for row in np.atleast_2d(header["space directions"]) if np.isfinite(row).all()])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = directions.T, header["space origin"]
    return FLIP @ affine


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("dtype", TYPES)
def test_scalars(resample, tmp_path, name, dtype, place):
    rng = np.random.default_rng([TYPES.index(dtype), len(name), PLACES.index(place)])
    array = samples_of(rng, (5, 6, 7), dtype)
    source = write(tmp_path / "in.nii", array, grid(rng, place, (5, 6, 7)))
    resample(tmp_path / "in.nii", tmp_path / name, "--scale", "1", *TARGETS[name])
    image = sitk.ReadImage(str(tmp_path / name))
    found = sitk.GetArrayFromImage(image)
    assert found.dtype == np.dtype(dtype) and (found.T == array).all()
    assert np.allclose(sitk_affine(image), source.affine, atol=1e-5)
    if "nrrd" in name or "nhdr" in name:
        found, header = nrrd.read(str(tmp_path / name))
        assert found.dtype == np.dtype(dtype) and (found == array).all()
        assert np.allclose(nrrd_affine(header), source.affine, atol=1e-5)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", MGH)
@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4"])
def test_mgh(resample, tmp_path, name, dtype, frames, place):
    rng = np.random.default_rng([frames, len(name), PLACES.index(place)])
    array = samples_of(rng, (5, 6, 7) if frames == 1 else (5, 6, 7, frames), dtype)
    source = write(tmp_path / "in.nii", array, grid(rng, place, (5, 6, 7)))
    resample(tmp_path / "in.nii", tmp_path / name, "--scale", "1", *MGH[name])
    image = nib.load(tmp_path / name)
    found = np.asarray(image.dataobj)
    assert found.dtype.newbyteorder("=") == np.dtype(dtype) and (found == array).all()
    assert np.allclose(image.affine, source.affine, atol=1e-4)


@pytest.mark.parametrize("name", [*TARGETS, *MGH])
def test_series(resample, tmp_path, name):
    """The step of the time is in each of them."""
    array = np.random.default_rng(3).normal(size=(5, 6, 7, 4)).astype("f4")
    image = nib.Nifti1Image(array, np.diag([2.0, 2, 3, 1]))
    image.header.set_xyzt_units("mm", "sec")
    image.header["pixdim"][4] = 2.5
    nib.save(image, tmp_path / "in.nii")
    resample(tmp_path / "in.nii", tmp_path / name, "--scale", "1", *{**TARGETS, **MGH}[name])
    if name in MGH:
        read = nib.load(tmp_path / name)
        assert (np.asarray(read.dataobj) == array).all()
        assert read.header.get_zooms()[3] == 2500
        return
    image = sitk.ReadImage(str(tmp_path / name))
    found = sitk.GetArrayFromImage(image)
    if "mh" in name:
        assert (found.T == array).all() and image.GetSpacing()[3] == 2.5
    else:
        # A list beside space: components of a voxel to SimpleITK.
        assert (found.transpose(2, 1, 0, 3) == array).all()
        found, header = nrrd.read(str(tmp_path / name))
        assert (found == array).all() and header["spacings"][3] == 2.5


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("channels", [3, 4])
def test_colours(resample, tmp_path, name, channels):
    rng = np.random.default_rng(5)
    colours = rng.integers(0, 255, (4, 5, 6, channels)).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(colours, isVector=True), str(tmp_path / "in.nrrd"))
    resample(tmp_path / "in.nrrd", tmp_path / f"out-{name}", "--scale", "1", *TARGETS[name])
    found = sitk.ReadImage(str(tmp_path / f"out-{name}"))
    assert (sitk.GetArrayFromImage(found) == colours).all()


@pytest.mark.parametrize("name", TARGETS)
def test_fields_stay_vectors(resample, tmp_path, name):
    vectors = np.random.default_rng(6).normal(size=(4, 5, 6, 3)).astype("f4")
    sitk.WriteImage(sitk.GetImageFromArray(vectors, isVector=True), str(tmp_path / "in.mha"))
    resample(tmp_path / "in.mha", tmp_path / f"out-{name}", "--scale", "1", *TARGETS[name])
    image = sitk.ReadImage(str(tmp_path / f"out-{name}"))
    assert image.GetNumberOfComponentsPerPixel() == 3 and (sitk.GetArrayFromImage(image) == vectors).all()


def test_slopes_are_applied_or_left_out(resample, tmp_path):
    array = np.arange(5 * 6 * 7, dtype="i2").reshape(5, 6, 7)
    image = nib.Nifti1Image(array, np.diag([2.0, 2, 3, 1]))
    image.header.set_slope_inter(0.5, -10)
    nib.save(image, tmp_path / "in.nii")
    stored = nib.load(tmp_path / "in.nii").dataobj.get_unscaled()
    for name in ("a.nrrd", "a.mha", "a.mgz"):
        resample(tmp_path / "in.nii", tmp_path / name, "--scale", "1")
        resample(tmp_path / "in.nii", tmp_path / f"raw-{name}", "--scale", "1", "--raw")
    for name in ("a.nrrd", "a.mha"):
        real, raw = (sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / f"{which}{name}"))) for which in ("", "raw-"))
        assert real.dtype == np.float32 and np.allclose(real.T, nib.load(tmp_path / "in.nii").get_fdata())
        assert raw.dtype == np.int16 and (raw.T == stored).all()
    assert np.allclose(nib.load(tmp_path / "a.mgz").get_fdata(), nib.load(tmp_path / "in.nii").get_fdata())
    assert (np.asarray(nib.load(tmp_path / "raw-a.mgz").dataobj) == stored).all()


def test_every_format_holds_the_resampled_scan(data, resample, tmp_path):
    """A scan to 2 mm in each: the same voxels as in NIfTI, by our own `compare`, which reads them back; all are whole."""
    options = ["--spacing", "2", "--antialias", "--dtype", "f32"]
    resample(data / "t1_brain.nii.gz", tmp_path / "a.nii.gz", *options)
    # Of two headers in one folder, each would have its voxels in a.raw.
    names = {**TARGETS, "b.mhd": [], **MGH}
    del names["a.mhd"]
    for name, gzip in names.items():
        resample(data / "t1_brain.nii.gz", tmp_path / name, *options, *gzip)
        reslice("compare", tmp_path / "a.nii.gz", tmp_path / name)
        assert "complete" in reslice("verify", tmp_path / name).stdout
    # A copy of a copy has the bytes of the copy.
    for name in ("a.nrrd", "a.mha", "a.mgz"):
        resample(tmp_path / name, tmp_path / f"again-{name}", "--scale", "1")
        assert digest(tmp_path / name) == digest(tmp_path / f"again-{name}")


def test_lengths_of_other_units_become_millimetres(resample, tmp_path):
    array = np.ones((4, 5, 6), "u1")
    write(tmp_path / "in.nii", array, np.diag([2000.0, 3000, 4000, 1]), "micron")
    for name in ("a.nrrd", "a.mha", "a.mgh"):
        resample(tmp_path / "in.nii", tmp_path / name, "--scale", "1")
    for name in ("a.nrrd", "a.mha"):
        assert sitk.ReadImage(str(tmp_path / name)).GetSpacing() == (2, 3, 4)
    assert nib.load(tmp_path / "a.mgh").header.get_zooms() == (2, 3, 4)


def test_what_mgh_does_not_hold(tmp_path):
    for dtype, instead in {"u2": "i32", "f8": "f32"}.items():
        write(tmp_path / "in.nii", np.ones((4, 5, 6), dtype), np.eye(4))
        refused("resample", tmp_path / "in.nii", tmp_path / "a.mgz", "--scale", "1", says=["MGH has samples", f"--dtype {instead}"])
        reslice("resample", tmp_path / "in.nii", tmp_path / f"{dtype}.mgz", "--scale", "1", "--dtype", instead)
