"""What images of other packages say, and how their arrays lie in memory."""

import gc

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

import reslice

AFFINE = np.diag([1.0, 2.0, 3.0, 1.0])


def ramp(shape=(6, 5, 4), dtype="i2"):
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


def test_a_volume_keeps_its_image_alive():
    volume = reslice.open(sitk.GetImageFromArray(ramp((4, 4, 4))))
    fine = volume.resampled(scale=1)
    gc.collect()
    junk = [np.full(64, -1, "i2") for _ in range(1000)]
    assert (volume[:] == ramp((4, 4, 4)).T).all()
    del volume
    gc.collect()
    junk += [np.full(64, -1, "i2") for _ in range(1000)]
    assert (fine[:] == ramp((4, 4, 4)).T).all() and len(junk) == 2000


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<i2", "u1", "<f8"])
@pytest.mark.parametrize("before", ["u1", "S3", "u2"])
def test_fields_of_records(dtype, before):
    records = np.zeros((6, 5, 4), dtype=[("flag", before), ("value", dtype)])
    records["value"] = ramp()
    found = reslice.resample_array(records["value"], AFFINE, scale=1, interpolation="nearest")
    assert (found.data == ramp()).all()


@pytest.mark.parametrize("unit, shown", [("micron", "um"), ("meter", "m"), ("mm", "mm"), (None, "mm")])
def test_units_of_nibabel(tmp_path, unit, shown):
    image = nib.Nifti1Image(ramp(), AFFINE)
    if unit:
        image.header.set_xyzt_units(unit)
    assert reslice.Grid.of(image).unit == shown
    nib.save(image, tmp_path / "a.nii")
    if unit:
        assert reslice.Grid.of(tmp_path / "a.nii").unit == shown
        same = reslice.resample_array(image, like=tmp_path / "a.nii", interpolation="nearest")
        assert (np.asarray(same.dataobj) == ramp()).all()
        loaded = reslice.open(tmp_path / "a.nii").load()
        assert loaded.unit == shown and loaded.to_nibabel().header.get_xyzt_units()[0] == unit
        reslice.resample(image, tmp_path / "b.nii", scale=1)
        assert nib.load(tmp_path / "b.nii").header.get_xyzt_units()[0] == unit


def test_the_step_of_time_goes_along(tmp_path):
    image = nib.Nifti1Image(ramp((6, 5, 4, 3)), AFFINE)
    image.header.set_xyzt_units("mm", "msec")
    image.header.set_zooms((1, 2, 3, 2500))
    reslice.resample(image, tmp_path / "a.nii", scale=1)
    header = nib.load(tmp_path / "a.nii").header
    assert header.get_zooms()[3] == 2.5 and header.get_xyzt_units() == ("mm", "sec")


def test_labels_that_a_header_states():
    labels = np.repeat(np.array([0, 3, 17, 53], "i2"), 2)[:, None, None] + np.zeros((8, 6, 6), "i2")
    image = nib.Nifti1Image(labels, np.eye(4))
    image.header.set_intent("label")
    with pytest.raises(reslice.OptionError, match="holds labels"):
        reslice.resample_array(image, spacing=0.7)
    for way in ({"labels": True}, {"interpolation": "auto"}):
        found = np.asarray(reslice.resample_array(image, spacing=0.7, **way).dataobj)
        assert set(np.unique(found)) <= {0, 3, 17, 53}


@pytest.mark.parametrize("name, value", [("time", 1), ("channel", 0), ("level", 2), ("spacing_in", 5)])
def test_what_picks_of_a_file_is_refused_for_images(tmp_path, name, value):
    for call in (reslice.resample_array, reslice.open):
        with pytest.raises(reslice.OptionError, match=f"{name}="):
            call(ramp((6, 5, 4, 3)), AFFINE, **{name: value})
    with pytest.raises(reslice.OptionError, match=f"{name}="):
        reslice.resample(ramp((6, 5, 4, 3)), tmp_path / "a.nii", affine=AFFINE, **{name: value})


@pytest.mark.parametrize("name, value", [("report", "x.html"), ("rank", "1/2"), ("pyramid", True), ("codec", "zstd")])
def test_what_is_for_files_is_refused_for_arrays(name, value):
    with pytest.raises(reslice.OptionError, match=f"{name}="):
        reslice.resample_array(ramp(), AFFINE, **{name: value})


def test_types_are_those_of_numpy():
    with pytest.raises(reslice.OptionError, match="int8"):
        reslice.resample_array(ramp(), AFFINE, dtype="i8")
    for name in ("i2", "f4", "float64", np.uint8, np.dtype("<i4")):
        assert reslice.resample_array(ramp(), AFFINE, scale=1, dtype=name).dtype == np.dtype(name)


def test_masks_and_lists_are_refused():
    with pytest.raises(reslice.OptionError, match="filled"):
        reslice.resample_array(np.ma.masked_array(ramp(), ramp() > 5), AFFINE)
    with pytest.raises(reslice.OptionError, match="asarray"):
        reslice.resample_array(ramp().tolist(), AFFINE)


def test_truth_and_half_precision_reach_other_packages():
    for dtype in (bool, np.float16, ">i2"):
        image = reslice.Image(ramp().astype(dtype), AFFINE)
        assert np.allclose(np.asarray(image.to_nibabel().dataobj), image.data)
        assert np.allclose(sitk.GetArrayFromImage(image.to_sitk()).T, image.data)
