"""Displacement fields as SimpleITK writes them in other formats than NIfTI."""

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from test_itk_hdf5 import SOURCE, TARGET, alike, field, sitk_image, smooth


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", ["f.nrrd", "f.nhdr", "f.mha", "f.mhd", "f.nii.gz", "under_another_name"])
def test_as_simpleitk(resample, tmp_path, name, compressed):
    source = sitk_image(tmp_path / "in.nii", smooth(SOURCE, 1), (1.2, 1.0, 1.5), 0.2)
    like = sitk_image(tmp_path / "like.nii", smooth(TARGET, 2), (1.3, 1.4, 1.5), -0.1)
    over = sitk_image(tmp_path / "over.nii", smooth((20, 19, 22), 2), (1.9, 1.8, 1.7), 0.05)
    transform = field(over)
    path = tmp_path / name
    sitk.WriteImage(transform.GetDisplacementField(), str(path if "." in name else tmp_path / "f.nrrd"), compressed)
    if "." not in name:
        (tmp_path / "f.nrrd").rename(path)
    run = resample(tmp_path / "in.nii", tmp_path / "out.nii", "--like", tmp_path / "like.nii", "--transform", path)
    assert "displacement field, LPS" in run.stderr
    theirs = sitk.GetArrayFromImage(sitk.Resample(source, like, transform, sitk.sitkLinear, 0.0)).T
    alike(np.asarray(nib.load(tmp_path / "out.nii").dataobj), theirs, 1000)
