"""OME-Zarr that we write, in zarr-python, tensorstore and ome-zarr-models; Zarr that others write, in ours."""

import json

import nibabel as nib
import numpy as np
import pytest
import zarr

import grids
from command import refused
from peers import by_tensorstore, by_zarr_python
from scans import check_nibabel, check_store, open_level, samples, save, straight, tilted

ZARR = {
    "default": [],
    "chunked": ["--chunk", "16", "--shard", "none"],
    "sharded": ["--chunk", "8", "--shard", "16"],
    "uneven": ["--chunk", "7,11,5", "--shard", "none"],
}
CODECS = ["zstd", "zstd:9", "blosc-zstd", "blosc-lz4", "gzip", "none"]


@pytest.mark.parametrize("layout", ZARR)
@pytest.mark.parametrize("dtype", ["u1", "i2", "u8", "f4", "f8"])
def test_zarr(resample, tmp_path, dtype, layout):
    array = samples(dtype)
    source, out = save(tmp_path / "in.nii", array, straight()), tmp_path / "out.ome.zarr"
    resample(source, out, *ZARR[layout])
    check_store(out, array, straight())
    level = open_level(out)[1]
    if layout == "sharded":
        assert (level.chunks, level.shards) == ((8, 8, 8), (16, 16, 16))
    elif layout == "chunked":
        assert (level.chunks, level.shards) == ((16, 16, 16), None)
    elif layout == "uneven":
        assert (level.chunks, level.shards) == ((5, 11, 7), None)
    else:
        assert level.shards is not None


@pytest.mark.parametrize("shard", ["none", "32"])
@pytest.mark.parametrize("codec", CODECS)
def test_zarr_codecs(resample, tmp_path, codec, shard):
    array = samples("i2", (37, 41, 43))
    source, out = save(tmp_path / "in.nii", array, straight()), tmp_path / "out.zarr"
    resample(source, out, "--chunk", "16", "--shard", shard, "--codec", codec)
    check_store(out, array, straight())


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("shape", [(64, 64, 64), (61, 67, 71)], ids=["even", "leftover"])
@pytest.mark.parametrize("dtype", ["u2", "f4", "f8"])
def test_blosc_frames_of_several_blocks(resample, tmp_path, dtype, shape, version):
    """Chunks of two blocks, and of a number of voxels that no even part divides: a third block is left over."""
    array = samples(dtype, shape)
    source, out = save(tmp_path / "in.nii", array, straight()), tmp_path / "out.zarr"
    chunk = ",".join(map(str, shape))
    resample(source, out, "--chunk", chunk, "--shard", "none", "--codec", "blosc-zstd:4", "--ome", version)
    for level in (by_zarr_python(out)[0], by_tensorstore(out)[0]):
        np.testing.assert_array_equal(level.voxels, array.T)
    resample(out, tmp_path / "back.nii")
    np.testing.assert_array_equal(grids.raw(nib.load(tmp_path / "back.nii")), array)


def test_zarr_four_dimensions(resample, tmp_path):
    array = samples("f4", (23, 29, 19, 5))
    source = save(tmp_path / "in.nii.gz", array, straight())
    resample(source, tmp_path / "out.zarr", "--chunk", "16", "--shard", "none")
    check_store(tmp_path / "out.zarr", array, straight())
    resample(tmp_path / "out.zarr", tmp_path / "back.nii.gz")
    check_nibabel(tmp_path / "back.nii.gz", array, straight())


@pytest.mark.parametrize("layout", ["chunked", "sharded"])
def test_all_fill_chunks_are_left_out(resample, tmp_path, layout):
    array = np.zeros((40, 40, 40), np.int16)
    array[37, 1, 20] = 5
    source, out = save(tmp_path / "in.nii", array, straight()), tmp_path / "out.zarr"
    resample(source, out, *ZARR[layout])
    check_store(out, array, straight())
    stored = [p for p in out.rglob("*") if p.is_file() and p.name != "zarr.json" and "nifti" not in p.parts]
    assert len(stored) == 1, stored


@pytest.mark.parametrize("layout", ["chunked", "sharded"])
def test_tilted_affine_survives_the_way_through_zarr(resample, tmp_path, layout):
    array = samples("i2")
    source = save(tmp_path / "in.nii", array, tilted())
    resample(source, tmp_path / "out.zarr", *ZARR[layout])
    resample(tmp_path / "out.zarr", tmp_path / "back.nii")
    check_nibabel(tmp_path / "back.nii", array, tilted())
    np.testing.assert_array_equal(nib.load(tmp_path / "back.nii").affine, nib.load(source).affine)


def test_slope_is_applied_on_the_way_to_zarr(resample, tmp_path):
    image = nib.Nifti1Image(samples("i2"), straight())
    image.header.set_slope_inter(0.25, -3.0)
    nib.save(image, tmp_path / "in.nii")
    raw = grids.raw(nib.load(tmp_path / "in.nii"))
    resample(tmp_path / "in.nii", tmp_path / "real.zarr")
    level = open_level(tmp_path / "real.zarr")[1]
    assert level.dtype == np.float32
    np.testing.assert_allclose(level[...], raw.T * 0.25 - 3.0, rtol=1e-6, atol=1e-5)
    resample(tmp_path / "in.nii", tmp_path / "raw.zarr", "--raw")
    level = open_level(tmp_path / "raw.zarr")[1]
    assert level.dtype == np.int16
    np.testing.assert_array_equal(level[...], raw.T)


def foreign_store(folder, array, version, layout):
    """An OME-Zarr group by zarr-python: axes z, y, x, 0.4 on Zarr v2 or 0.5 on v3."""
    store = folder / f"foreign-{version}-{layout}.zarr"
    group = zarr.open_group(store, mode="w", zarr_format=2 if version == "0.4" else 3)
    how = {"order": "F"} if layout == "fortran" else {}
    if layout == "sharded":
        how["shards"] = (16, 32, 16)
    data = group.create_array("0", shape=array.T.shape, chunks=(8, 16, 8), dtype=array.dtype, **how)
    data[...] = array.T
    axes = [{"name": n, "type": "space", "unit": "millimeter"} for n in "zyx"]
    steps = [{"type": "scale", "scale": [2.5, 1.25, 0.7]}, {"type": "translation", "translation": [40.125, 12.25, -31.5]}]
    multiscale = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}
    if version == "0.4":
        group.attrs["multiscales"] = [{"version": "0.4", **multiscale}]
    else:
        group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale]}
    return store


@pytest.mark.parametrize("kind", ["0.4 plain", "0.4 fortran", "0.5 plain", "0.5 sharded"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "f8", ">i2"])
def test_foreign_stores_are_read(resample, tmp_path, dtype, kind):
    version, layout = kind.split()
    array = samples(np.dtype(dtype).newbyteorder("="))
    stored = array.astype(dtype) if version == "0.4" else array
    source = foreign_store(tmp_path, stored, version, layout)
    resample(source, tmp_path / "out.nii")
    image = nib.load(tmp_path / "out.nii")
    np.testing.assert_array_equal(grids.raw(image), array)
    np.testing.assert_allclose(image.affine, straight(), atol=1e-5)
    resample(source, tmp_path / "copy.zarr", "--chunk", "16")
    np.testing.assert_array_equal(open_level(tmp_path / "copy.zarr")[1][...], array.T)


@pytest.mark.parametrize("version", [2, 3])
def test_bare_arrays_are_read(resample, tmp_path, version):
    array = samples("u2")
    store = tmp_path / "bare.zarr"
    data = zarr.create_array(store, shape=array.T.shape, chunks=(8, 8, 8), dtype="u2", zarr_format=version)
    data[...] = array.T
    resample(store, tmp_path / "out.nii", "--spacing-in", "0.7,1.25,2.5")
    image = nib.load(tmp_path / "out.nii")
    np.testing.assert_array_equal(grids.raw(image), array)
    np.testing.assert_allclose(image.header.get_zooms(), (0.7, 1.25, 2.5), rtol=1e-6)


def image(path, multiscale, shape=(4, 5, 6), edge=16):
    """An image of Zarr v2 with these metadata and no more."""
    chunks = tuple(min(n, edge) for n in shape)
    array = zarr.create_array(f"{path}/0", shape=shape, dtype="u2", chunks=chunks, zarr_format=2)
    array[...] = np.arange(np.prod(shape), dtype="u2").reshape(shape)
    (path / ".zgroup").write_text('{"zarr_format": 2}')
    (path / ".zattrs").write_text(json.dumps({"multiscales": [multiscale]}))
    return array[...]


def test_steps_below_zero_are_not_of_0_6(resample, tmp_path):
    axes = [dict(name=name, type="space", unit="micrometer") for name in "zyx"]
    scale = [dict(type="scale", scale=[3, -2, 1])]
    image(tmp_path / "a.zarr", dict(version="0.4", axes=axes, datasets=[dict(path="0", coordinateTransformations=scale)]))
    refused("resample", tmp_path / "a.zarr", tmp_path / "b.zarr", "--ome", "0.6", says=["axis y is -2", "--orient RAS"])
    for way in (["--ome", "0.5"], ["--ome", "0.6", "--orient", "RAS"]):
        resample(tmp_path / "a.zarr", tmp_path / "b.zarr", *way, "--overwrite")


@pytest.mark.parametrize("version", ["0.1", "0.2"])
def test_levels_of_images_without_axes(reslice, tmp_path, version):
    array = image(tmp_path / "a.zarr", dict(version=version, datasets=[dict(path="0")]), shape=(1, 1, 40, 40, 40))
    reslice("pyramid", tmp_path / "a.zarr")
    reslice("verify", tmp_path / "a.zarr")
    reslice("resample", tmp_path / "a.zarr", tmp_path / "b.nii", "--level", "1", "--scale", "1")
    level = nib.load(tmp_path / "b.nii")
    assert level.shape[:3] == (20, 20, 20) and level.header.get_zooms()[:3] == (2, 2, 2)
    assert zarr.open(tmp_path / "a.zarr", mode="r")["1"].shape == (1, 1, 20, 20, 20)
    assert (zarr.open(tmp_path / "a.zarr", mode="r")["0"][...] == array).all()
