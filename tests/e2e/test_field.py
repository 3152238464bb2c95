"""A displacement field of the size of its volume, both larger than the budget, beside SimpleITK; benches/displacement.py at 400^3."""

import gzip

import numpy as np
import pytest
import SimpleITK as sitk

import displacement
from command import digest
from measure import MIB
from simpleitk_method import METHODS

SIZE, BUDGET = 128, 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """`volume.nii` of 8 MiB, `field.nii` of 24 MiB, and the same field compressed."""
    folder = tmp_path_factory.mktemp("field")
    displacement.make(folder, SIZE)
    with open(folder / "field.nii", "rb") as plain, gzip.open(folder / "field.nii.gz", "wb", 1) as packed:
        packed.write(plain.read())
    return folder


def by_itk(folder, interp):
    image = sitk.ReadImage(str(folder / "volume.nii"))
    field = sitk.ReadImage(str(folder / "field.nii"), sitk.sitkVectorFloat64)
    made = sitk.Resample(image, image, sitk.DisplacementFieldTransform(field), METHODS[interp], 0.0)
    sitk.WriteImage(made, str(folder / "theirs.nii"))
    return folder / "theirs.nii"


@pytest.mark.parametrize("field", ["field.nii", "field.nii.gz"])
@pytest.mark.parametrize("interp", ["linear", "bspline3"])
def test_equal_to_simpleitk_under_a_budget(folder, resample, tmp_path, interp, field):
    options = ["--transform", folder / field, "--interp", interp, "--threads", "2"]
    run = resample(folder / "volume.nii", tmp_path / "out.nii", *options, "--memory", f"{BUDGET}MiB")
    assert run.peak_bytes <= BUDGET * MIB, f"{run.peak_mib:.1f} MiB held"
    worst, compared = displacement.difference(SIZE, folder / "volume.nii", tmp_path / "out.nii", by_itk(folder, interp))
    assert compared > 0.99 * SIZE**3
    assert worst <= displacement.ALLOWED
    resample(folder / "volume.nii", tmp_path / "large.nii", *options, "--memory", "2GiB")
    assert digest(tmp_path / "out.nii") == digest(tmp_path / "large.nii")


def test_nearest_is_the_same_voxel(folder, resample, tmp_path):
    options = ["--transform", folder / "field.nii", "--interp", "nearest"]
    resample(folder / "volume.nii", tmp_path / "out.nii", *options, "--memory", f"{BUDGET}MiB")
    ours, theirs = (np.memmap(path, np.float32, "r", offset=displacement.HEADER) for path in
                    (tmp_path / "out.nii", by_itk(folder, "nearest")))
    # Ties between voxels are left to either.
    assert (ours != theirs).mean() < 1e-5
