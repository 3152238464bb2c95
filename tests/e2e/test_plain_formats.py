"""NRRD, MetaImage and MGH as SimpleITK and nibabel write them: the same voxels, places and types as they read."""

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from test_transform_pairs import FLIP, centred, some_affine

TYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]
NAMES = ["a.nrrd", "a.nhdr", "a.mha", "a.mhd"]


def samples_of(rng, shape, dtype):
    if dtype.startswith("f"):
        return rng.normal(size=shape).astype(dtype)
    return rng.integers(0, 100, shape).astype(dtype)


def sitk_affine(image):
    """Index to RAS."""
    direction = np.array(image.GetDirection()).reshape(3, 3)
    affine = np.eye(4)
    affine[:3, :3] = direction @ np.diag(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return FLIP @ affine


@pytest.mark.parametrize("compressed", [False, True], ids=["raw", "compressed"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", TYPES)
def test_scalars(resample, tmp_path, name, compressed, dtype):
    rng = np.random.default_rng([TYPES.index(dtype), NAMES.index(name), compressed])
    array = samples_of(rng, (7, 6, 5), dtype)
    image = sitk.GetImageFromArray(array)
    world = centred(some_affine(rng), (5, 6, 7))
    turn = np.linalg.svd(world[:3, :3])
    direction = turn[0] @ turn[2]
    image.SetDirection(direction.ravel().tolist())
    image.SetSpacing(rng.uniform(0.4, 3, 3).tolist())
    image.SetOrigin(rng.uniform(-50, 50, 3).tolist())
    sitk.WriteImage(image, str(tmp_path / name), compressed)
    resample(tmp_path / name, tmp_path / "out.nii", "--scale", "1")
    out = nib.load(tmp_path / "out.nii")
    assert out.get_data_dtype() == np.dtype(dtype)
    assert (np.asarray(out.dataobj).T == array).all()
    read = sitk.ReadImage(str(tmp_path / name))
    assert np.allclose(out.affine, sitk_affine(read), atol=1e-4)
    # And what ITK makes of our copy.
    again = sitk.ReadImage(str(tmp_path / "out.nii"))
    assert np.allclose(sitk_affine(again), sitk_affine(read), atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_colours_and_planes(resample, tmp_path, name):
    rng = np.random.default_rng(5)
    colours = rng.integers(0, 255, (4, 5, 6, 3)).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(colours, isVector=True), str(tmp_path / f"rgb-{name}"))
    resample(tmp_path / f"rgb-{name}", tmp_path / "rgb.nii", "--scale", "1")
    out = np.asarray(nib.load(tmp_path / "rgb.nii").dataobj)
    assert (np.stack([out[c] for c in out.dtype.names], -1).transpose(2, 1, 0, 3) == colours).all()
    plane = rng.integers(0, 255, (5, 6)).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(plane), str(tmp_path / f"plane-{name}"))
    resample(tmp_path / f"plane-{name}", tmp_path / "plane.nii", "--scale", "2")
    assert nib.load(tmp_path / "plane.nii").shape[:2] == (12, 10)
    assert np.prod(nib.load(tmp_path / "plane.nii").shape) == 120, "no second plane"


@pytest.mark.parametrize("ending", ["mgh", "mgz"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4"])
@pytest.mark.parametrize("frames", [1, 3])
def test_mgh(resample, tmp_path, ending, dtype, frames):
    rng = np.random.default_rng([ord(ending[-1]), frames])
    shape = (5, 6, 7) if frames == 1 else (5, 6, 7, frames)
    array = samples_of(rng, shape, dtype)
    affine = centred(some_affine(rng, True), (5, 6, 7))
    norms = np.linalg.norm(affine[:3, :3], axis=0)
    turn = np.linalg.svd(affine[:3, :3] / norms)
    affine[:3, :3] = turn[0] @ turn[2] * norms
    path = tmp_path / f"a.{ending}"
    nib.save(nib.MGHImage(array, affine.astype(np.float32)), path)
    resample(path, tmp_path / "out.nii", "--scale", "1")
    out, read = nib.load(tmp_path / "out.nii"), nib.load(path)
    assert (np.asarray(out.dataobj) == array).all()
    assert np.allclose(out.affine, read.affine, atol=1e-4)


def test_resampled_as_their_nifti_copy(resample, tmp_path):
    """A stream of each kind to another spacing: the same voxels as from NIfTI, which keeps steps in 32 bits."""
    rng = np.random.default_rng(9)
    image = sitk.GetImageFromArray(rng.normal(size=(30, 40, 50)).astype(np.float32))
    image.SetSpacing((0.7, 0.8, 1.9))
    results = []
    for name in ("a.nii.gz", "a.nrrd", "a.mha", "a.mhd"):
        sitk.WriteImage(image, str(tmp_path / name), True)
        resample(tmp_path / name, tmp_path / "out.nii", "--spacing", "1", "--overwrite")
        results.append(np.asarray(nib.load(tmp_path / "out.nii").dataobj))
    assert all(np.allclose(result, results[0], atol=1e-4) for result in results)
    assert (results[1] == results[2]).all() and (results[1] == results[3]).all()
