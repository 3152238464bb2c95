"""Images in, the same class out, in the right place."""

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import xarray

import reslice

from conftest import SHAPE, noise, oblique


def of_file(tmp_path, data, affine, **options):
    """What the command makes of the same voxels, and where."""
    nibabel.save(nibabel.Nifti1Image(data, affine, dtype=data.dtype), tmp_path / "in.nii")
    reslice.resample(tmp_path / "in.nii", tmp_path / "out.nii", overwrite=True, **options)
    image = nibabel.load(tmp_path / "out.nii")
    return np.asanyarray(image.dataobj), image.affine


@pytest.mark.parametrize("order", ["C", "F", "strided"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
def test_arrays_of_every_type_and_order(tmp_path, dtype, order):
    data = np.asarray(noise(dtype=dtype), order="F" if order == "F" else "C")
    if order == "strided":
        data = np.repeat(data[::-1], 2, axis=1)[::-1, ::2]
        assert not data.flags.c_contiguous
    affine = oblique((1.0, 1.0, 2.5))
    image = reslice.resample_array(data, affine, isotropic=1.25, threads=2)
    expected, placed = of_file(tmp_path, data, affine, isotropic=1.25)
    assert isinstance(image, reslice.Image) and image.dtype == data.dtype
    assert np.allclose(image.affine, placed, atol=1e-5)
    assert np.array_equal(image.data, expected)


@pytest.mark.parametrize(
    "options",
    [
        {"interpolation": "bspline5"},
        {"interpolation": "label"},
        {"interpolation": "median", "scale": 0.5},
        {"dtype": "f32"},
        {"dtype": "uint8"},
        {"dtype": np.float64, "interpolation": "cubic"},
        {"antialias": True, "scale": 0.4},
        {"outside": "edge", "align": "edges", "scale": 1.7},
        {"orient": "RAS"},
        {"region": "3:20,2:21,1:19", "scale": 1.3},
        {"rounding": "truncate", "scale": 1.3},
    ],
    ids=str,
)
def test_options_mean_what_they_mean_for_files(tmp_path, options):
    data, affine = noise(), oblique((1.0, 1.0, 2.5), 0.0)
    image = reslice.resample_array(data, affine, **options)
    expected, placed = of_file(tmp_path, data, affine, **options)
    assert image.dtype == expected.dtype and np.allclose(image.affine, placed, atol=1e-5)
    assert np.array_equal(image.data, expected)


def test_a_series_and_out(tmp_path):
    data = noise((*SHAPE, 3, 2), np.float32)
    image = reslice.resample_array(data, oblique(), scale=0.7)
    for t in range(3):
        for c in range(2):
            alone = reslice.resample_array(data[..., t, c], oblique(), scale=0.7)
            assert np.array_equal(image.data[..., t, c], alone.data)
    out = np.zeros(image.shape, np.float32)
    again = reslice.resample_array(data, oblique(), scale=0.7, out=out)
    assert np.shares_memory(again.data, out) and np.array_equal(out, image.data)
    with pytest.raises(reslice.OptionError, match="out="):
        reslice.resample_array(data, oblique(), scale=0.7, out=out[..., 0])


def test_nibabel_keeps_class_header_and_codes():
    image = nibabel.Nifti1Image(noise(), oblique())
    image.set_qform(oblique(), 1)
    image.set_sform(oblique(), 4)
    image.header["descrip"] = b"a scan"
    made = reslice.resample_array(image, isotropic=2)
    assert type(made) is nibabel.Nifti1Image and made.get_data_dtype() == np.int16
    assert (int(made.header["sform_code"]), int(made.header["qform_code"])) == (4, 1)
    assert bytes(made.header["descrip"]).startswith(b"a scan")
    assert np.allclose(made.header.get_zooms(), 2)
    expected = reslice.resample_array(noise(), oblique(), isotropic=2)
    assert np.array_equal(np.asanyarray(made.dataobj), expected.data) and np.allclose(made.affine, expected.affine)
    assert np.allclose(made.get_qform(), expected.affine, atol=1e-4)


def test_a_slope_is_applied(tmp_path):
    image = nibabel.Nifti1Image(noise(), oblique())
    image.header.set_slope_inter(0.5, 10)
    nibabel.save(image, tmp_path / "scaled.nii")
    loaded = nibabel.load(tmp_path / "scaled.nii")
    made = reslice.resample_array(loaded, isotropic=2)
    assert made.get_data_dtype() == np.float32
    reslice.resample(tmp_path / "scaled.nii", tmp_path / "out.nii", isotropic=2)
    assert np.allclose(made.get_fdata(), nibabel.load(tmp_path / "out.nii").get_fdata(), atol=0.5)


def of_sitk(data, affine):
    image = sitk.GetImageFromArray(data.transpose(2, 1, 0))
    lps = np.diag([-1, -1, 1, 1]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    return image


def test_sitk_places_are_right():
    affine = oblique()
    image = of_sitk(noise(dtype=np.float32), affine)
    made = reslice.resample_array(image, spacing=(0.7, 0.8, 1.9))
    assert isinstance(made, sitk.Image) and made.GetDirection() == image.GetDirection()
    assert np.allclose(made.GetSpacing(), (0.7, 0.8, 1.9)) and np.allclose(made.GetOrigin(), image.GetOrigin())
    # ITK itself, onto the grid that was made.
    theirs = sitk.Resample(image, made, sitk.Transform(), sitk.sitkLinear, 0.0)
    ours, expected = sitk.GetArrayFromImage(made), sitk.GetArrayFromImage(theirs)
    assert np.abs(ours - expected).max() <= 1e-4 * np.abs(expected).max()


def test_sitk_vectors_and_shear():
    image = sitk.Compose([of_sitk(noise(dtype=np.float32, seed=n), oblique()) for n in range(3)])
    made = reslice.resample_array(image, isotropic=2)
    assert made.GetNumberOfComponentsPerPixel() == 3
    one = reslice.resample_array(of_sitk(noise(dtype=np.float32, seed=1), oblique()), isotropic=2)
    assert np.array_equal(sitk.GetArrayFromImage(made)[..., 1], sitk.GetArrayFromImage(one))
    sheared = np.eye(4)
    sheared[0, 1] = 0.5
    with pytest.raises(reslice.GeometryError, match="sheared"):
        reslice.resample_array(one, grid=((5, 5, 5), sheared))


def test_xarray_coordinates_follow():
    data = noise((*SHAPE, 2), np.float32)
    array = xarray.DataArray(
        data.transpose(3, 2, 1, 0),
        dims=("time", "z", "y", "x"),
        coords={"time": [0.0, 1.5], "z": 5 + 2.5 * np.arange(20), "y": -3 - 1.0 * np.arange(23), "x": 0.5 * np.arange(29)},
        attrs={"units": "HU"},
        name="scan",
    )
    made = reslice.resample_array(array, spacing=(1, 1, 1))
    assert made.dims == array.dims and made.name == "scan" and made.attrs == array.attrs
    assert made.sizes["x"] == 14 and made.sizes["z"] == 50 and list(made.time) == [0.0, 1.5]
    assert np.allclose(made.z, 5 + np.arange(50)) and np.allclose(made.y, array.y)
    affine = np.diag([0.5, -1.0, 2.5, 1])
    affine[:3, 3] = (0, -3, 5)
    expected = reslice.resample_array(data, affine, spacing=(1, 1, 1))
    assert np.array_equal(made.transpose("x", "y", "z", "time").values, expected.data)
    with pytest.raises(reslice.GeometryError, match="no one step"):
        reslice.resample_array(array.assign_coords(x=np.arange(29.0) ** 2), spacing=1)


def test_what_is_not_given_is_not_guessed():
    with pytest.raises(reslice.GeometryError, match="does not say where its voxels are"):
        reslice.resample_array(noise(), spacing=1)
    with pytest.raises(reslice.OptionError, match="complex"):
        reslice.resample_array(noise().astype(complex), np.eye(4), spacing=1)
    with pytest.raises(reslice.OptionError, match="three axes"):
        reslice.resample_array(noise()[0], np.eye(4), spacing=1)
    with pytest.raises(reslice.OptionError, match="no array"):
        reslice.resample_array([1, 2, 3], spacing=1)


def test_masks_stay_masks_and_half_precision_widens():
    mask = noise() > 0
    made = reslice.resample_array(mask, np.eye(4), scale=1.5)
    assert made.dtype == np.bool_ and 0.3 < made.data.mean() < 0.7
    assert reslice.resample_array(noise(dtype=np.float16), np.eye(4), scale=1.5).dtype == np.float32
    swapped = noise().astype(">i2")
    assert np.array_equal(
        reslice.resample_array(swapped, np.eye(4), scale=1.5).data, reslice.resample_array(noise(), np.eye(4), scale=1.5).data
    )


def test_images_go_everywhere(tmp_path):
    image = reslice.Image(noise(), oblique())
    assert np.allclose(image.to_nibabel().affine, image.affine)
    assert np.allclose(reslice.Grid.of(image.to_sitk()).affine, image.affine)
    done = image.to_zarr(tmp_path / "image.ome.zarr", chunk=16)
    back = reslice.open(tmp_path / "image.ome.zarr")
    assert done.grid == image.grid and np.array_equal(np.asarray(back), image.data)
    assert np.allclose(back.affine, image.affine)
    reslice.resample(image, tmp_path / "image.nii.gz", spacing=1.5)
    assert nibabel.load(tmp_path / "image.nii.gz").shape == reslice.resample_array(image, spacing=1.5).shape
    page = image._repr_html_()
    assert "data:image/png;base64," in page and "29 &times; 23 &times; 20" in page
