"""Imaris and BigDataViewer in HDF5, as h5py and npy2bdv write them: the same voxels, steps and axes."""

import json

import h5py
import hdf5plugin
import nibabel as nib
import npy2bdv
import numpy as np
import pytest

from command import refused

SHAPE = (13, 37, 41)


def samples(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    ramp = np.add.outer(np.add.outer(np.arange(shape[0]), np.arange(shape[1])), np.arange(shape[2])) * 5
    array = (ramp + rng.integers(0, 9, shape)).astype(dtype)
    return array + rng.normal(size=shape).astype(dtype) if np.dtype(dtype).kind == "f" else array


def letters(text):
    """As Imaris keeps text: an array of single characters."""
    return np.array([letter.encode() for letter in str(text)], dtype="S1")


def write_imaris(path, levels, chunk=(8, 16, 16), spacing=(0.5, 0.5, 2.0), start=(-3.0, 4.0, 10.0), libver="earliest", more=True, **packing):
    """`levels[r][t][c]` are arrays z, y, x; all levels have the edges of the first."""
    with h5py.File(path, "w", libver=libver) as file:
        for name, text in [("ImarisDataSet", "ImarisDataSet"), ("ImarisVersion", "5.5.0"), ("DataSetDirectoryName", "DataSet")]:
            file.attrs[name] = letters(text)
        for r, times in enumerate(levels):
            for t, channels in enumerate(times):
                for c, array in enumerate(channels):
                    group = file.create_group(f"DataSet/ResolutionLevel {r}/TimePoint {t}/Channel {c}")
                    for name, size in zip("ZYX", array.shape):
                        group.attrs[f"ImageSize{name}"] = letters(size)
                    padded = np.pad(array, [(0, -n % k) for n, k in zip(array.shape, chunk)], constant_values=7)
                    group.create_dataset("Data", data=padded, chunks=chunk, **packing)
                    group.create_dataset("Histogram", data=np.zeros(256, dtype="u8"))
        fine = levels[0][0][0]
        image = file.create_group("DataSetInfo/Image")
        for a, (step, low, size) in enumerate(zip(spacing, start, fine.shape[::-1])):
            image.attrs[f"ExtMin{a}"] = letters(low)
            image.attrs[f"ExtMax{a}"] = letters(low + step * size)
        image.attrs["Unit"] = letters("um")
        for name, value in [("X", fine.shape[2]), ("Y", fine.shape[1]), ("Z", fine.shape[0]), ("Description", "a" * 3000)] if more else []:
            image.attrs[name] = letters(value)
        time = file.create_group("DataSetInfo/TimeInfo")
        for t in range(len(levels[0])):
            time.attrs[f"TimePoint{t + 1}"] = letters(f"2020-03-01 00:00:{10 * t:02}.000")


def copy_of(resample, tmp_path, path, *more):
    out = tmp_path / "copy.nii"
    resample(path, out, "--scale", "1", "--overwrite", *more)
    return np.asarray(nib.load(out).dataobj).T


def described(reslice, path):
    return json.loads(reslice("info", path, "--json").stdout)


PACKINGS = [
    dict(),
    dict(compression="gzip", compression_opts=2),
    dict(compression="gzip", shuffle=True),
    dict(compression="gzip", shuffle=True, fletcher32=True),
    dict(fletcher32=True),
]


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "<u4", "<f4", ">f8"])
def test_imaris_has_the_voxels_of_h5py(reslice, resample, tmp_path, dtype, packing):
    array = samples(SHAPE, dtype)
    path = tmp_path / "a.ims"
    write_imaris(path, [[[array]]], **packing)
    assert (copy_of(resample, tmp_path, path) == array).all()
    grid = described(reslice, path)["grid"]
    assert grid["shape"] == list(SHAPE[::-1])
    assert np.allclose(grid["spacing"], [0.5, 0.5, 2.0], rtol=1e-12)
    assert np.allclose(grid["origin"], [-2.75, 4.25, 11.0], rtol=1e-12)


def test_levels_times_and_channels(reslice, resample, tmp_path):
    fine = [[samples(SHAPE, "u2", 10 * t + c) for c in range(3)] for t in range(12)]
    coarse = [[array[::2, ::2, ::2].copy() for array in channels] for channels in fine]
    path = tmp_path / "a.ims"
    write_imaris(path, [fine, coarse], compression="gzip")
    info = described(reslice, path)
    assert [(axis["name"], axis["len"]) for axis in info["outer"]] == [("t", 12), ("c", 3)]
    assert info["outer"][0]["step"] == 10 and info["outer"][0]["unit"] == "second"
    assert [level["shape"] for level in info["levels"]] == [[41, 37, 13], [21, 19, 7]]
    edge = np.array(info["levels"][1]["spacing"]) * info["levels"][1]["shape"]
    assert np.allclose(edge, [20.5, 18.5, 26.0])
    for level, all_times in enumerate([fine, coarse]):
        read = copy_of(resample, tmp_path, path, "--level", str(level), "--time", "11", "--channel", "1")
        assert (read == all_times[11][1]).all()
    report = json.loads(reslice("verify", path, "--json").stdout)
    assert report["ok"] and len(report["arrays"]) == 2


def test_many_chunks_make_a_tree_of_levels(reslice, resample, tmp_path):
    array = samples((40, 70, 90), "u2")
    path = tmp_path / "a.ims"
    write_imaris(path, [[[array]]], chunk=(4, 4, 4), compression="gzip")
    assert (copy_of(resample, tmp_path, path, "--memory", "64MiB") == array).all()


def test_chunks_that_were_never_written_are_the_fill_value(reslice, resample, tmp_path):
    path = tmp_path / "a.ims"
    write_imaris(path, [[[samples((16, 16, 16), "u2")]]])
    with h5py.File(path, "a") as file:
        group = file["DataSet/ResolutionLevel 0/TimePoint 0/Channel 0"]
        del group["Data"]
        data = group.create_dataset("Data", shape=(16, 16, 16), dtype="u2", chunks=(8, 16, 16), fillvalue=99)
        data[8:] = 5
    read = copy_of(resample, tmp_path, path)
    assert (read[:8] == 99).all() and (read[8:] == 5).all()


def test_bigdataviewer_by_npy2bdv(reslice, resample, tmp_path):
    path = tmp_path / "a.h5"
    stacks = {(t, c): samples((16, 32, 48), "u2", 3 * t + c) + np.uint16(40000) for t in range(2) for c in range(2)}
    writer = npy2bdv.BdvWriter(str(path), nchannels=2, subsamp=((1, 1, 1), (1, 2, 4)), blockdim=((8, 16, 16), (8, 8, 8)), compression="gzip")
    for (t, c), stack in stacks.items():
        writer.append_view(stack, time=t, channel=c, voxel_size_xyz=(0.4, 0.5, 1.5), voxel_units="um")
    writer.write_xml()
    writer.close()
    for name in ["a.h5", "a.xml"]:
        info = described(reslice, tmp_path / name)
        assert [(axis["name"], axis["len"]) for axis in info["outer"]] == [("t", 2), ("c", 2)]
        assert info["grid"]["spacing"] == [0.4, 0.5, 1.5] and info["grid"]["unit"] == "micrometer"
        assert info["levels"][1]["shape"] == [12, 16, 16]
        assert np.allclose(info["levels"][1]["spacing"], [1.6, 1.0, 1.5])
        for (t, c), stack in stacks.items():
            read = copy_of(resample, tmp_path, tmp_path / name, "--time", str(t), "--channel", str(c))
            assert read.dtype == np.uint16 and (read == stack).all()
    reader = npy2bdv.BdvEditor(str(path))
    coarse = reader.read_view(time=1, channel=1, ilevel=1)
    out = tmp_path / "coarse.zarr"
    resample(tmp_path / "a.h5", out, "--scale", "1", "--level", "1", "--time", "1", "--channel", "1")
    origin = described(reslice, out)["grid"]["origin"]
    assert np.allclose(origin, [0.4 * 1.5, 0.5 * 0.5, 0.0])
    read = copy_of(resample, tmp_path, path, "--level", "1", "--time", "1", "--channel", "1")
    assert (read == coarse.view("u2")).all()


def test_tiles_are_images(reslice, resample, tmp_path):
    path = tmp_path / "a.h5"
    writer = npy2bdv.BdvWriter(str(path), ntiles=2)
    for tile in range(2):
        writer.append_view(samples((8, 16, 16), "u2", tile), tile=tile, voxel_size_xyz=(1, 1, 2), voxel_units="um")
    writer.write_xml()
    writer.close()
    refused("info", path, says=["has 2 images", "image=0"])
    read = copy_of(resample, tmp_path, f"{path}?image=1")
    assert (read == samples((8, 16, 16), "u2", 1)).all()


def test_filters_that_are_not_the_library_s_own(reslice, resample, tmp_path):
    array = samples(SHAPE, "u2")
    path = tmp_path / "a.ims"
    for packing in [hdf5plugin.LZ4(), hdf5plugin.LZ4(nbytes=500), hdf5plugin.Zstd()]:
        for shuffle in (False, True):
            write_imaris(path, [[[array]]], shuffle=shuffle, **packing)
            assert (copy_of(resample, tmp_path, path) == array).all()
    for packing, name in [(hdf5plugin.Blosc(), "Blosc"), (hdf5plugin.Bitshuffle(), "Bitshuffle"), (dict(compression="lzf"), "LZF")]:
        write_imaris(path, [[[array]]], **packing)
        refused("info", path, says=[name, "bioformats2raw"])


def test_what_the_newest_hdf5_makes_is_named(reslice, tmp_path):
    path = tmp_path / "a.ims"
    write_imaris(path, [[[samples(SHAPE, "u2")]]], libver="latest", compression="gzip")
    refused("info", path, says="libver='latest', which is not read")
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        file["image"] = samples(SHAPE, "u2")
    refused("info", tmp_path / "plain.h5", says="no image of Imaris or BigDataViewer in it")


def test_a_file_of_1_8_has_compact_groups(reslice, resample, tmp_path):
    array = samples(SHAPE, "u2")
    path = tmp_path / "a.ims"
    # Eight attributes stay within the header of a group.
    write_imaris(path, [[[array]]], libver=("v108", "v108"), more=False, compression="gzip")
    assert (copy_of(resample, tmp_path, path) == array).all()


@pytest.mark.parametrize("of", [str, lambda text: np.array(list(str(text)), dtype=h5py.string_dtype())])
def test_attributes_of_any_length(reslice, resample, tmp_path, of, monkeypatch):
    """As h5py writes text by default; numbers of voxels and edges are in it."""
    monkeypatch.setitem(globals(), "letters", of)
    array = samples((5, 18, 22), "u2")
    path = tmp_path / "a.ims"
    write_imaris(path, [[[array]]])
    info = described(reslice, path)
    assert info["grid"]["spacing"] == [0.5, 0.5, 2.0] and info["grid"]["unit"] == "micrometer"
    read = copy_of(resample, tmp_path, path)
    assert read.shape == array.shape and (read == array).all()


def test_attributes_that_are_not_read_are_refused(tmp_path):
    path = tmp_path / "a.ims"
    write_imaris(path, [[[samples((5, 18, 22), "u2")]]])
    with h5py.File(path, "a") as file:
        group = file["DataSet/ResolutionLevel 0/TimePoint 0/Channel 0"]
        del group.attrs["ImageSizeX"]
        group.attrs["ImageSizeX"] = np.array([22, 22])
    refused("info", path, says="has the attribute ImageSizeX of a type that is not read")


def test_views_that_are_missing_are_background(reslice, resample, tmp_path):
    path = tmp_path / "a.h5"
    stacks = {(t, c): samples((16, 32, 48), "u2", 3 * t + c) + np.uint16(1) for t in range(3) for c in range(2)}
    writer = npy2bdv.BdvWriter(str(path), nchannels=2)
    for (t, c), stack in stacks.items():
        writer.append_view(stack, time=t, channel=c, voxel_size_xyz=(1, 1, 2), voxel_units="um")
    writer.write_xml()
    writer.close()
    with h5py.File(path, "a") as file:
        del file["t00001/s01"]
    assert any("1 of 6 views are not in the file" in warning for warning in described(reslice, path)["warnings"])
    for (t, c), stack in stacks.items():
        read = copy_of(resample, tmp_path, path, "--time", str(t), "--channel", str(c))
        assert (read == (0 if (t, c) == (1, 1) else stack)).all()
