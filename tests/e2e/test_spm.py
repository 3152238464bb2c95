"""Files that SPM12 resampled, from nibabel's own test data, made again within the tolerance of nibabel's own test.

That test (`test_against_spm_resample` of nibabel/tests/test_processing.py) turns and moves `anatomical.nii`, resamples it onto
`functional.nii` and onto a straight 4 mm grid around it, linear, and compares where the point lies between the outermost
voxel centres: beyond, SPM, scipy and we have different rules. Ours are compared in the same places.
"""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine, from_matvec
from nibabel.eulerangles import euler2mat
from nibabel.processing import resample_from_to
from nibabel.spaces import vox2out_vox

DATA = Path(nib.__file__).parent / "tests" / "data"
# numpy's and nibabel's defaults, which the test takes.
CLOSE = {"rtol": 1e-5, "atol": 1e-8}


def moved():
    """`anatomical.nii` turned and shifted, as SPM was given it (make_moved_anat.py there)."""
    image = nib.load(DATA / "anatomical.nii")
    affine = from_matvec(euler2mat(0.1, 0.2, 0.3), [3, 4, 5]) @ image.affine
    return nib.Nifti1Image(image.get_fdata(), affine)


def straight(image):
    """An empty volume of 4 mm voxels along the world's axes, around all of `image`."""
    shape, affine = vox2out_vox(image, (4, 4, 4))
    return nib.Nifti1Image(np.zeros(shape, np.uint8), affine)


def onto(resample, folder, image, like, *options):
    nib.save(image, folder / "in.nii")
    nib.save(like, folder / "like.nii")
    resample(folder / "in.nii", folder / "out.nii", "--like", folder / "like.nii", "--outside", "nan", *options)
    return nib.load(folder / "out.nii")


def between_centres(image, grid):
    """Which voxels of `grid` lie between the outermost voxel centres of `image`."""
    at = apply_affine(np.linalg.inv(image.affine) @ grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))
    return ((at >= 0) & (at <= np.array(image.shape) - 1)).all(axis=-1)


def check(image, ours, theirs):
    inside = between_centres(image, theirs)
    assert inside.sum() > 900
    np.testing.assert_allclose(ours.get_fdata()[inside], np.asarray(theirs.dataobj)[inside], **CLOSE)
    np.testing.assert_allclose(ours.affine, theirs.affine, rtol=0, atol=1.5e-5)


@pytest.mark.parametrize("dtype", ["same", "f32"])
def test_onto_the_functional(resample, tmp_path, dtype):
    image, functional = moved(), nib.load(DATA / "functional.nii")
    like = nib.Nifti1Image(functional.dataobj[..., 0], functional.affine, functional.header)
    ours = onto(resample, tmp_path, image, like, "--dtype", dtype)
    check(image, ours, nib.load(DATA / "resampled_anat_moved.nii"))


def test_onto_a_straight_grid(resample, tmp_path):
    image = moved()
    ours = onto(resample, tmp_path, image, straight(image))
    check(image, ours, nib.load(DATA / "reoriented_anat_moved.nii"))


@pytest.mark.parametrize("order", [0, 1, 2, 3, 4, 5])
def test_equal_to_nibabel(resample, tmp_path, order):
    """nibabel's own resampling by scipy.ndimage, every order that both have, mirrored beyond the centres."""
    image, functional = moved(), nib.load(DATA / "functional.nii")
    like = nib.Nifti1Image(functional.dataobj[..., 0], functional.affine)
    interp = ["nearest", "linear", *(f"bspline{n}" for n in range(2, 6))][order]
    ours = onto(resample, tmp_path, image, like, "--interp", interp)
    theirs = resample_from_to(image, like, order=order, mode="mirror")
    inside = between_centres(image, like)
    worst = np.abs(ours.get_fdata() - theirs.get_fdata())[inside].max()
    assert worst <= 1e-5 * np.abs(image.get_fdata()).max()
