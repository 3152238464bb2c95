"""A real OME-Zarr 0.4 store (Zarr v2, f64, blosc-lz4, axes x, y, z): to NIfTI, to 1 mm in both formats, to 0.5."""

import json

import nibabel as nib
import numpy as np
import ome_zarr_models.v05
import pytest
import zarr

import grids
import parity
from command import resample as resample_to
from command import summary_of
from peers import READERS, by_zarr_python


@pytest.fixture(scope="module")
def store(data):
    return data / "mni152.ome.zarr"


@pytest.fixture(scope="module")
def voxels(store):
    """Level 0 as zarr-python reads it: x, y, z order, absent chunks filled."""
    return zarr.open_array(store / "scale0/nibabel_converted_image", mode="r")[...]


def affine_of(store, level=0):
    """The affine that the metadata states."""
    multiscale = json.loads((store / ".zattrs").read_text())["multiscales"][0]
    scale, translation = multiscale["datasets"][level]["coordinateTransformations"]
    affine = np.diag([*scale["scale"], 1.0])
    affine[:3, 3] = translation["translation"]
    return affine


def test_to_nifti(store, voxels, resample, tmp_path):
    run = resample(store, tmp_path / "out.nii.gz", "--summary", tmp_path / "summary.json")
    image = nib.load(tmp_path / "out.nii.gz")
    assert image.get_data_dtype() == np.float64
    np.testing.assert_allclose(image.affine, affine_of(store), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(grids.raw(image), voxels)
    assert summary_of(tmp_path / "summary.json")["missing_chunks"] == 2
    assert "RAS" in run.stderr, "the warning that OME x, y, z are taken as RAS"


@pytest.mark.parametrize("interp", ["nearest", "linear"])
def test_to_1_mm(store, voxels, resample, tmp_path, interp):
    resample(store, tmp_path / "out.nii", "--spacing", "1", "--interp", interp)
    affine = affine_of(store)
    source = grids.Grid(voxels.shape, affine, np.diag(affine)[:3].copy())
    target = grids.resized(source, spacing=1.0)
    image = nib.load(tmp_path / "out.nii")
    np.testing.assert_allclose(image.affine, target.affine, rtol=0, atol=1e-5)
    parity.check(voxels, source, target, grids.raw(image), interp)


@pytest.fixture(scope="module")
def at_1_mm(store, tmp_path_factory):
    """The store at 1 mm: as NIfTI, and as OME-Zarr."""
    folder = tmp_path_factory.mktemp("mni152")
    outs = folder / "out.nii.gz", folder / "out.ome.zarr"
    for out in outs:
        resample_to(store, out, "--spacing", "1")
    return outs


def test_1_mm_is_one_in_both_formats(store, at_1_mm):
    image = nib.load(at_1_mm[0])
    assert image.shape == (153, 189, 159)
    assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
    np.testing.assert_array_equal(image.header.get_zooms(), (1, 1, 1))
    np.testing.assert_allclose(image.affine[:3, 3], affine_of(store)[:3, 3], rtol=0, atol=1e-5)
    (level,) = by_zarr_python(at_1_mm[1])
    np.testing.assert_allclose(affine_of_level(level), image.affine, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(in_file_order(level), grids.raw(image))


@pytest.mark.parametrize("reader", READERS)
def test_1_mm_is_opened_by(at_1_mm, reader):
    image = nib.load(at_1_mm[0])
    (level,) = READERS[reader](at_1_mm[1])
    np.testing.assert_array_equal(in_file_order(level), grids.raw(image))
    np.testing.assert_allclose(level.scale, (1, 1, 1), rtol=1e-6)
    if level.translation is not None:
        np.testing.assert_allclose(affine_of_level(level), image.affine, rtol=0, atol=1e-5)


def affine_of_level(level):
    """The affine of a level's step and place, in x, y, z order."""
    order = [level.axes.index(name) for name in "xyz"]
    affine = np.diag([*np.array(level.scale)[order], 1.0])
    affine[:3, 3] = np.array(level.translation)[order]
    return affine


def in_file_order(level):
    return level.voxels.transpose([level.axes.index(name) for name in "xyz"])


def test_axes_of_options_are_x_y_z(store, resample, tmp_path):
    resample(store, tmp_path / "out.nii", "--size", "31,47,59", "--region", "10:150,20:250,30:200")
    assert nib.load(tmp_path / "out.nii").shape == (31, 47, 59)


def test_a_level(store, resample, tmp_path):
    stored = zarr.open_array(store / "scale2/nibabel_converted_image", mode="r")[...]
    resample(store / "scale2/nibabel_converted_image", tmp_path / "out.nii")
    image = nib.load(tmp_path / "out.nii")
    np.testing.assert_array_equal(grids.raw(image), stored)
    np.testing.assert_allclose(image.affine, affine_of(store, 2), rtol=0, atol=1e-5)


def test_to_ome_zarr_0_5(store, voxels, resample, tmp_path):
    resample(store, tmp_path / "out.ome.zarr", "--chunk", "64", "--shard", "128")
    group = zarr.open_group(tmp_path / "out.ome.zarr", mode="r")
    image = ome_zarr_models.v05.Image.from_zarr(group)
    names = [axis.name for axis in image.ome_attributes.multiscales[0].axes]
    level = group[image.ome_attributes.multiscales[0].datasets[0].path]
    order = ["xyz".index(name) for name in names]
    np.testing.assert_array_equal(level[...], voxels.transpose(order))
    resample(tmp_path / "out.ome.zarr", tmp_path / "back.nii")
    back = nib.load(tmp_path / "back.nii")
    np.testing.assert_array_equal(grids.raw(back), voxels)
    np.testing.assert_allclose(back.affine, affine_of(store), rtol=0, atol=1e-5)
