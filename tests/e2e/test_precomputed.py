"""Neuroglancer's precomputed volumes as tensorstore writes them: the same voxels and places, in chunks, shards and compressed labels."""

import json

import nibabel as nib
import numpy as np
import pytest
import tensorstore as ts

import servers
from command import refused

SIZE = (61, 47, 33)
OFFSET = (100, -20, 7)


def write(path, dtype, channels=1, encoding="raw", sharding=None, kind="image", seed=0):
    """A volume of `SIZE` voxels along x, y, z; gives its samples x, y, z, channel."""
    rng = np.random.default_rng(seed)
    shape = (*SIZE, channels)
    array = rng.integers(0, 200, shape).astype(dtype)
    if kind == "segmentation":
        array = np.repeat(np.repeat(array[::8, ::8], 8, 0), 8, 1)[: SIZE[0], : SIZE[1]] * np.dtype(dtype).type(3)
    scale = {"resolution": [8, 8, 33.5], "size": list(SIZE), "voxel_offset": list(OFFSET), "chunk_size": [16, 16, 8], "encoding": encoding}
    if encoding == "compressed_segmentation":
        scale["compressed_segmentation_block_size"] = [8, 8, 8]
    if sharding:
        scale["sharding"] = {"@type": "neuroglancer_uint64_sharded_v1", **sharding}
    spec = {
        "driver": "neuroglancer_precomputed",
        "kvstore": {"driver": "file", "path": f"{path}/"},
        "multiscale_metadata": {"data_type": np.dtype(dtype).name, "num_channels": channels, "type": kind},
        "scale_metadata": scale,
    }
    store = ts.open(spec, create=True, delete_existing=True).result()
    store[ts.d[:].translate_to[0]].write(array).result()
    return array


def copy_of(resample, tmp_path, path, *more):
    out = tmp_path / "copy.nii"
    resample(path, out, "--scale", "1", "--overwrite", *more)
    return np.asarray(nib.load(out).dataobj)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "f4"])
def test_chunks_of_their_own(reslice, resample, tmp_path, dtype):
    array = write(tmp_path / "v", dtype)
    assert (copy_of(resample, tmp_path, tmp_path / "v") == array[..., 0]).all()
    grid = json.loads(reslice("info", tmp_path / "v", "--json").stdout)["grid"]
    assert grid["spacing"] == [8, 8, 33.5] and grid["unit"] == "nanometer"
    assert np.allclose(grid["origin"], np.array(OFFSET) * [8, 8, 33.5])


@pytest.mark.parametrize("dtype, channels", [("u1", 1), ("u1", 3), ("u2", 1), ("u2", 4)])
def test_chunks_of_png(reslice, resample, tmp_path, dtype, channels):
    array = write(tmp_path / "v", dtype, channels=channels, encoding="png")
    for c in range(channels):
        choice = ["--channel", str(c)] if channels > 1 else []
        assert (copy_of(resample, tmp_path, tmp_path / "v", *choice) == array[..., c]).all()
    assert json.loads(reslice("verify", tmp_path / "v", "--json").stdout)["ok"]


@pytest.mark.parametrize("sharding", [None, dict(preshift_bits=1, hash="identity", minishard_bits=2, shard_bits=1, minishard_index_encoding="gzip")])
def test_chunks_of_jpeg(reslice, resample, tmp_path, sharding):
    """What tensorstore decodes, which libjpeg may round the other way."""
    write(tmp_path / "v", "u1", encoding="jpeg", sharding=sharding)
    store = ts.open({"driver": "neuroglancer_precomputed", "kvstore": {"driver": "file", "path": f"{tmp_path / 'v'}/"}}).result()
    theirs = store[..., 0].read().result().astype(int)
    ours = copy_of(resample, tmp_path, tmp_path / "v").astype(int)
    assert abs(ours - theirs).max() <= 1 and (ours == theirs).mean() > 0.9
    assert "decoded from lossy JPEG" in reslice("info", tmp_path / "v").stdout


def test_channels(resample, tmp_path):
    array = write(tmp_path / "v", "u2", channels=3)
    for c in range(3):
        assert (copy_of(resample, tmp_path, tmp_path / "v", "--channel", str(c)) == array[..., c]).all()


SHARDINGS = [
    dict(preshift_bits=0, hash="identity", minishard_bits=0, shard_bits=0),
    dict(preshift_bits=2, hash="identity", minishard_bits=2, shard_bits=3, minishard_index_encoding="gzip", data_encoding="gzip"),
    dict(preshift_bits=1, hash="murmurhash3_x86_128", minishard_bits=3, shard_bits=2, minishard_index_encoding="gzip", data_encoding="raw"),
    dict(preshift_bits=0, hash="murmurhash3_x86_128", minishard_bits=1, shard_bits=5, minishard_index_encoding="raw", data_encoding="gzip"),
]


@pytest.mark.parametrize("sharding", SHARDINGS)
@pytest.mark.parametrize("encoding", ["raw", "compressed_segmentation"])
def test_shards(reslice, resample, tmp_path, encoding, sharding):
    array = write(tmp_path / "v", "u8", encoding=encoding, sharding=sharding, kind="segmentation")
    assert (copy_of(resample, tmp_path, tmp_path / "v") == array[..., 0]).all()
    info = json.loads(reslice("info", tmp_path / "v", "--json").stdout)
    assert info["is_label"] and "in shards" in info["format"]
    assert json.loads(reslice("verify", tmp_path / "v", "--json").stdout)["ok"]


@pytest.mark.parametrize("dtype", ["u4", "u8"])
def test_compressed_labels(resample, tmp_path, dtype):
    for seed in range(3):
        for kind in ["segmentation", "image"]:
            array = write(tmp_path / "v", dtype, encoding="compressed_segmentation", kind=kind, seed=seed)
            assert (copy_of(resample, tmp_path, tmp_path / "v") == array[..., 0]).all()


@pytest.mark.parametrize("sharding", [None, SHARDINGS[2]])
def test_behind_a_url(reslice, resample, tmp_path, sharding):
    array = write(tmp_path / "v", "u2", sharding=sharding)
    with servers.files(tmp_path) as web:
        url = f"{web.url}/v"
        assert (copy_of(resample, tmp_path, url) == array[..., 0]).all()
        assert json.loads(reslice("info", url, "--json").stdout)["grid"]["shape"] == list(SIZE)
        refused("info", f"{web.url}/v.ims", says="HDF5 is not read from a URL")
