"""Small made-up scans, and what every reader must find in what was written from them."""

import nibabel as nib
import numpy as np
import ome_zarr_models.v05
import SimpleITK as sitk
import tensorstore as ts
import zarr
from nibabel.eulerangles import euler2mat

import grids

SHAPE = (23, 29, 19)


def tilted():
    affine = np.eye(4)
    affine[:3, :3] = euler2mat(0.1, -0.2, 0.3) * [0.7, 1.25, 2.5]
    affine[:3, 3] = [-31.5, 12.25, 40.125]
    return affine


def straight():
    affine = np.diag([0.7, 1.25, 2.5, 1.0])
    affine[:3, 3] = [-31.5, 12.25, 40.125]
    return affine


def samples(dtype, shape=SHAPE, seed=3):
    """Random samples over the whole range of the type."""
    dtype, rng = np.dtype(dtype), np.random.default_rng(seed)
    if dtype.kind == "f":
        return rng.normal(0, 1000, shape).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)


def save(path, array, affine, kind=nib.Nifti1Image, big=False):
    image = kind(array, affine, dtype=array.dtype)
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(affine, 2)
    image.set_qform(affine, 1)
    if big:
        image = kind(array, None, image.header.as_byteswapped(">"))
    nib.save(image, path)
    return path


def check_nibabel(path, array, affine):
    image = nib.load(path)
    assert image.get_data_dtype().newbyteorder("=") == array.dtype
    np.testing.assert_allclose(image.affine, affine, rtol=0, atol=1e-5)
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (2, 1)
    np.testing.assert_allclose(image.header.get_qform(), affine, rtol=0, atol=1e-4)
    space, time = image.header.get_xyzt_units()
    assert space == "mm"
    # A Zarr without a time axis has no place for the unit of time.
    assert time == "sec" or array.ndim == 3
    np.testing.assert_array_equal(grids.raw(image), array)


def check_itk(path, array, affine):
    image = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image).T, array)
    step = np.linalg.norm(affine[:3, :3], axis=0)
    flip = np.array([-1.0, -1.0, 1.0])
    np.testing.assert_allclose(image.GetSpacing()[:3], step, rtol=1e-6)
    if array.ndim == 3:
        np.testing.assert_allclose(image.GetOrigin(), flip * affine[:3, 3], atol=1e-4)
        direction = np.reshape(image.GetDirection(), (3, 3))
        np.testing.assert_allclose(direction, flip[:, None] * affine[:3, :3] / step, atol=1e-5)


def open_level(store):
    """The group's multiscale metadata and level 0, by zarr-python."""
    group = zarr.open_group(store, mode="r")
    multiscale = group.attrs["ome"]["multiscales"][0]
    return multiscale, group[multiscale["datasets"][0]["path"]]


def scale_and_translation(multiscale):
    """Per axis, both levels of transformations composed."""
    axes = len(multiscale["axes"])
    scale, translation = np.ones(axes), np.zeros(axes)
    outer = multiscale.get("coordinateTransformations", [])
    for step in multiscale["datasets"][0]["coordinateTransformations"] + outer:
        if step["type"] == "scale":
            scale, translation = scale * step["scale"], translation * step["scale"]
        else:
            translation = translation + step["translation"]
    return scale, translation


def check_store(store, array, affine):
    """`array` in i, j, k[, t] order; the store holds it as [t,] z, y, x."""
    multiscale, level = open_level(store)
    names = [axis["name"] for axis in multiscale["axes"]]
    assert names == ["t", "z", "y", "x"][4 - array.ndim :]
    assert list(level.metadata.dimension_names) == names
    assert {axis.get("unit") for axis in multiscale["axes"] if axis["type"] == "space"} == {"millimeter"}
    assert level.dtype == array.dtype
    np.testing.assert_array_equal(level[...], array.T)

    kvstore = {"driver": "file", "path": f"{store}/{multiscale['datasets'][0]['path']}"}
    opened = ts.open({"driver": "zarr3", "kvstore": kvstore}, read=True).result()
    np.testing.assert_array_equal(opened.read().result(), array.T)
    assert list(opened.domain.labels) == names

    image = ome_zarr_models.v05.Image.from_zarr(zarr.open_group(store, mode="r"))
    assert len(image.ome_attributes.multiscales[0].datasets) == 1
    scale, translation = scale_and_translation(multiscale)
    np.testing.assert_allclose(scale[-3:][::-1], np.linalg.norm(affine[:3, :3], axis=0), rtol=1e-6)
    np.testing.assert_allclose(translation[-3:][::-1], affine[:3, 3], atol=1e-5)
