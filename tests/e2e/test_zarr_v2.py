"""OME-Zarr 0.4 that we write, in readers that are not ours; filters, plates and labels that others write."""

import json

import nibabel as nib
import numcodecs
import numpy as np
import ome_zarr_models.v04
import ome_zarr_models.v05
import pytest
import tensorstore as ts
import zarr
from zarr.codecs import numcodecs as v3

import grids
from command import refused
from scans import check_nibabel, open_level, samples, save, scale_and_translation, straight, tilted

CODECS = ["zstd", "zstd:9", "blosc-zstd", "blosc-lz4:9", "gzip", "gzip:1", "none"]


def check_v04(store, array, affine):
    """`array` in i, j, k[, t] order; zarr-python, tensorstore and ome-zarr-models read the same from the store."""
    group = zarr.open_group(store, mode="r")
    assert group.metadata.zarr_format == 2
    multiscale = group.attrs["multiscales"][0]
    names = [axis["name"] for axis in multiscale["axes"]]
    assert names == ["t", "z", "y", "x"][4 - array.ndim :]
    path = multiscale["datasets"][0]["path"]
    assert group[path].dtype == array.dtype
    np.testing.assert_array_equal(group[path][...], array.T)
    kvstore = {"driver": "file", "path": f"{store}/{path}"}
    opened = ts.open({"driver": "zarr", "kvstore": kvstore}, read=True).result()
    np.testing.assert_array_equal(opened.read().result(), array.T)
    image = ome_zarr_models.v04.Image.from_zarr(group)
    assert image.attributes.multiscales[0].version == "0.4"
    scale, translation = scale_and_translation(multiscale)
    np.testing.assert_allclose(scale[-3:][::-1], np.linalg.norm(affine[:3, :3], axis=0), rtol=1e-6)
    np.testing.assert_allclose(translation[-3:][::-1], affine[:3, 3], atol=1e-5)
    return group


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("dtype", ["u1", "i2", "f4"])
def test_codecs(resample, tmp_path, dtype, codec):
    array = samples(dtype, (37, 41, 43))
    source, out = save(tmp_path / "in.nii", array, straight()), tmp_path / "out.zarr"
    resample(source, out, "--ome", "0.4", "--chunk", "16", "--codec", codec)
    level = check_v04(out, array, straight())["0"]
    assert level.chunks == (16, 16, 16)
    # Chunks at the border are whole: without a compressor, every file has the size of a chunk.
    if codec == "none":
        sizes = {p.stat().st_size for p in (out / "0").rglob("*") if p.is_file() and not p.name.startswith(".z")}
        assert sizes == {16**3 * np.dtype(dtype).itemsize}


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_bits_are_shuffled_where_samples_are_bytes(resample, tmp_path, version):
    # 385 bytes a chunk: not a multiple of 8, which bits are shuffled by.
    array = samples("u1", (37, 41, 43))
    source, out = save(tmp_path / "in.nii", array, straight()), tmp_path / "out.zarr"
    resample(source, out, "--ome", version, "--chunk", "7,11,5", "--shard", "none", "--codec", "blosc-zstd")
    level = zarr.open_group(out, mode="r")["0"]
    np.testing.assert_array_equal(level[...], array.T)
    names = {"0.4": "BITSHUFFLE", "0.5": "bitshuffle"}
    assert names[version] in str(level.compressors), level.compressors


@pytest.mark.parametrize("shard", ["64", "96", "32"])
def test_a_shard_without_a_chunk_is_divided(resample, tmp_path, shard):
    array = samples("u1", (37, 41, 100))
    source, out = save(tmp_path / "in.nii", array, straight()), tmp_path / "out.zarr"
    resample(source, out, "--shard", shard)
    np.testing.assert_array_equal(open_level(out)[1][...], array.T)


@pytest.mark.parametrize("dtype", ["i1", "u4", "u8", "f8"])
def test_types_by_default_options(resample, tmp_path, dtype):
    array = samples(dtype)
    source, out = save(tmp_path / "in.nii", array, tilted()), tmp_path / "out.ome.zarr"
    resample(source, out, "--ome", "0.4")
    check_v04(out, array, tilted())
    resample(out, tmp_path / "back.nii")
    check_nibabel(tmp_path / "back.nii", array, tilted())
    np.testing.assert_array_equal(nib.load(tmp_path / "back.nii").affine, nib.load(source).affine)


def test_four_dimensions(resample, tmp_path):
    array = samples("f4", (23, 29, 19, 5))
    source = save(tmp_path / "in.nii.gz", array, straight())
    resample(source, tmp_path / "out.zarr", "--ome", "0.4", "--chunk", "16")
    check_v04(tmp_path / "out.zarr", array, straight())
    resample(tmp_path / "out.zarr", tmp_path / "back.nii.gz")
    check_nibabel(tmp_path / "back.nii.gz", array, straight())


def test_shards_and_levels_that_are_not_there_are_refused(tmp_path):
    source = save(tmp_path / "in.nii", samples("u1"), straight())
    refused("resample", source, tmp_path / "out.zarr", "--ome", "0.4", "--shard", "32", expect=2, says="0.5")
    for codec, says in [("zstd:0", "1 to 22"), ("zstd:23", "1 to 22"), ("gzip:10", "0 to 9"), ("none:1", "levels")]:
        run = refused("resample", source, tmp_path / "out.zarr", "--codec", codec, expect=2, says=says)
        assert run.stdout == ""
    assert not (tmp_path / "out.zarr").exists()


def fluorescence(folder, channels=2):
    """Two channels of 0.4 with display settings for `channels`."""
    store = folder / f"fluorescence-{channels}.zarr"
    group = zarr.open_group(store, mode="w", zarr_format=2)
    array = samples("u2", (2, 9, 20, 24))
    data = group.create_array("0", shape=array.shape, chunks=(1, 8, 8, 8), dtype="u2")
    data[...] = array
    space = [{"name": n, "type": "space", "unit": "micrometer"} for n in "zyx"]
    steps = [{"type": "scale", "scale": [1.0, 2.0, 0.5, 0.5]}]
    group.attrs["multiscales"] = [
        {
            "version": "0.4",
            "axes": [{"name": "c", "type": "channel"}, *space],
            "datasets": [{"path": "0", "coordinateTransformations": steps}],
        }
    ]
    window = {"min": 0.0, "max": 4095.0, "start": 12.5, "end": 800.0}
    settings = [{"label": f"ch{n}", "color": "00FF0" + str(n), "active": True, "window": window} for n in range(channels)]
    group.attrs["omero"] = {"version": "0.4", "channels": settings, "rdefs": {"defaultZ": 8, "model": "color"}}
    return store, array, settings


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_channel_windows_and_colours_are_kept(resample, tmp_path, version):
    source, array, settings = fluorescence(tmp_path)
    out = tmp_path / "out.zarr"
    resample(source, out, "--ome", version, "--scale", "1,1,0.5", "--interp", "nearest", "--dtype", "f32")
    group = zarr.open_group(out, mode="r")
    attributes = group.attrs if version == "0.4" else group.attrs["ome"]
    omero = attributes["omero"]
    assert omero["channels"] == settings
    assert omero.get("version") == ("0.4" if version == "0.4" else None)
    assert omero["rdefs"]["defaultZ"] == group["0"].shape[1] // 2
    if version == "0.4":
        image = ome_zarr_models.v04.Image.from_zarr(group)
        assert len(image.attributes.omero.channels) == 2
    else:
        image = ome_zarr_models.v05.Image.from_zarr(group)
        assert len(image.ome_attributes.omero["channels"]) == 2
    # And on from one version to the other.
    other = {"0.4": "0.5", "0.5": "0.4"}[version]
    resample(out, tmp_path / "other.zarr", "--ome", other)
    group = zarr.open_group(tmp_path / "other.zarr", mode="r")
    attributes = group.attrs if other == "0.4" else group.attrs["ome"]
    assert attributes["omero"]["channels"] == settings


def test_settings_for_other_channels_are_dropped_with_a_warning(resample, tmp_path):
    source, array, _ = fluorescence(tmp_path, channels=3)
    run = resample(source, tmp_path / "out.zarr")
    assert "omero" in run.stderr and "3 channels" in run.stderr
    multiscale, level = open_level(tmp_path / "out.zarr")
    np.testing.assert_array_equal(level[...], array)
    assert "omero" not in zarr.open_group(tmp_path / "out.zarr", mode="r").attrs["ome"]


FILTERS_V2 = {
    "delta": ("i4", [numcodecs.Delta("<i4", "<i2")], numcodecs.Zstd(3)),
    "delta of floats": ("f8", [numcodecs.Delta("<f8")], numcodecs.Blosc()),
    "scaled": ("f4", [numcodecs.FixedScaleOffset(offset=-7.5, scale=100, dtype="<f4", astype="<i4")], numcodecs.LZ4()),
    "scaled delta": (
        "f8",
        [numcodecs.FixedScaleOffset(offset=3, scale=10, dtype="<f8", astype="<i4"), numcodecs.Delta("<i4")],
        numcodecs.GZip(1),
    ),
    "shuffle": ("u2", [numcodecs.Shuffle(2)], numcodecs.BZ2(1)),
    "shuffle without compressor": ("u8", [numcodecs.Shuffle(8)], None),
    "zstd with checksum": ("u2", [], numcodecs.Zstd(level=1, checksum=True)),
}
FILTERS_V3 = {
    "delta": ("i4", [v3.Delta(dtype="<i4", astype="<i2")], [v3.Zstd(level=1)]),
    "scaled": (
        "f8",
        [v3.FixedScaleOffset(offset=3, scale=10, dtype="<f8", astype="<i4"), v3.Delta(dtype="<i4")],
        [v3.LZ4()],
    ),
    "shuffle": ("u2", [], [v3.Shuffle(elementsize=2), v3.Zlib(level=1)]),
    "bz2": ("u2", [], [v3.BZ2(level=1)]),
    "gzip": ("u2", [], [v3.GZip(level=1)]),
    "blosc": ("u2", [], [v3.Blosc(cname="zstd", clevel=3, shuffle=2)]),
}


def smooth(dtype):
    """Values whose differences fit 16 bits, of extents that leave chunks at the border."""
    steps = np.random.default_rng(5).integers(-500, 500, (11, 23, 29))
    walk = np.cumsum(steps, axis=2) + 20000
    return (walk * 0.37).astype(dtype) if np.dtype(dtype).kind == "f" else walk.astype(dtype)


@pytest.mark.filterwarnings("ignore:Numcodecs codecs")
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("name", FILTERS_V2)
def test_filters_of_version_2(resample, tmp_path, name, order):
    dtype, filters, compressor = FILTERS_V2[name]
    how = {"filters": filters, "compressors": compressor, "order": order}
    stored = zarr.create_array(
        tmp_path / "in.zarr", shape=(11, 23, 29), chunks=(4, 8, 16), dtype=dtype, zarr_format=2, **how
    )
    stored[...] = smooth(dtype)
    resample(tmp_path / "in.zarr", tmp_path / "out.zarr", "--chunk", "8")
    np.testing.assert_array_equal(open_level(tmp_path / "out.zarr")[1][...], zarr.open_array(tmp_path / "in.zarr")[...])


@pytest.mark.filterwarnings("ignore:Numcodecs codecs")
@pytest.mark.parametrize("name", FILTERS_V3)
def test_filters_of_version_3(resample, tmp_path, name):
    dtype, filters, compressors = FILTERS_V3[name]
    how = {"filters": filters, "compressors": compressors}
    stored = zarr.create_array(tmp_path / "in.zarr", shape=(11, 23, 29), chunks=(4, 8, 16), dtype=dtype, **how)
    stored[...] = smooth(dtype)
    resample(tmp_path / "in.zarr", tmp_path / "out.zarr", "--chunk", "8")
    np.testing.assert_array_equal(open_level(tmp_path / "out.zarr")[1][...], zarr.open_array(tmp_path / "in.zarr")[...])


def test_filters_that_are_not_undone_are_named(tmp_path):
    for n, filters in enumerate([numcodecs.AsType("<f4", "<f8")]):
        store = tmp_path / f"{n}.zarr"
        stored = zarr.create_array(store, shape=(8, 8), chunks=(8, 8), dtype="f8", zarr_format=2, filters=[filters])
        stored[...] = 1.5
        refused("resample", store, tmp_path / "out.zarr", says=(filters.codec_id, "hint:"))


def test_consolidated_metadata_alone(resample, reslice, tmp_path):
    source, array, _ = fluorescence(tmp_path)
    zarr.consolidate_metadata(source, zarr_format=2)
    for name in ["0/.zarray", "0/.zattrs", ".zattrs"]:
        (source / name).unlink(missing_ok=True)
    resample(source, tmp_path / "out.zarr")
    np.testing.assert_array_equal(open_level(tmp_path / "out.zarr")[1][...], array)
    # Version 3 has them within the group's own document.
    zarr.consolidate_metadata(tmp_path / "out.zarr")
    assert "consolidated_metadata" in json.loads((tmp_path / "out.zarr" / "zarr.json").read_text())
    reslice("compare", source, tmp_path / "out.zarr")


def test_plates_and_labels(resample, reslice, tmp_path):
    plate = tmp_path / "plate.zarr"
    group = zarr.open_group(plate, mode="w", zarr_format=2)
    wells = [{"path": f"{row}/{n}", "rowIndex": r, "columnIndex": n - 1} for r, row in enumerate("AB") for n in range(1, 7)]
    group.attrs["plate"] = {"version": "0.4", "wells": wells, "columns": [], "rows": []}
    field = group.create_group("A/1/0")
    label = field.create_group("labels/cells")
    group["A/1/0/labels"].attrs["labels"] = ["cells"]
    group["A/1"].attrs["well"] = {"version": "0.4", "images": [{"path": "0"}]}
    axes = [{"name": n, "type": "space", "unit": "micrometer"} for n in "yx"]
    datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [0.5, 0.25]}]}]
    for where, array in [(field, samples("u2", (20, 24))), (label, samples("u4", (20, 24)))]:
        data = where.create_array("0", shape=array.shape, chunks=(8, 8), dtype=array.dtype)
        data[...] = array
        where.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    label.attrs["image-label"] = {"version": "0.4", "colors": [{"label-value": 1, "rgba": [1, 2, 3, 4]}], "source": {"image": "../../"}}

    out = tmp_path / "out.zarr"
    refused("resample", plate, out, says=("12 wells (A/1, A/2", "and 4 more", "plate.zarr/A/1/0"))
    refused("resample", plate / "A/1", out, says=("1 fields", "A/1/0"))
    refused("resample", plate / "A/1/0/labels", out, says=("cells", "labels/cells"))
    resample(plate / "A/1/0", out)
    np.testing.assert_array_equal(open_level(out)[1][...], samples("u2", (20, 24)))
    resample(plate / "A/1/0/labels/cells", tmp_path / "labels.zarr", "--ome", "0.4", "--interp", "nearest", "--scale", "0.5")
    attributes = zarr.open_group(tmp_path / "labels.zarr", mode="r").attrs
    assert attributes["image-label"]["colors"][0]["rgba"] == [1, 2, 3, 4]
    assert json.loads(reslice("info", tmp_path / "labels.zarr", "--json").stdout)["is_label"] is True


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_mni152_to_either_version(resample, tmp_path, data, version):
    source = data / "mni152.ome.zarr"
    if not source.is_dir():
        pytest.skip(f"no {source}")
    out = tmp_path / "out.zarr"
    resample(source, out, "--ome", version, "--spacing", "2")
    resample(out, tmp_path / "out.nii")
    resample(source, tmp_path / "straight.nii", "--spacing", "2")
    found, expected = nib.load(tmp_path / "out.nii"), nib.load(tmp_path / "straight.nii")
    np.testing.assert_array_equal(found.affine, expected.affine)
    np.testing.assert_array_equal(grids.raw(found), grids.raw(expected))
