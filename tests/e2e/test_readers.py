"""Readers that are not ours open what we write, and agree on voxels and geometry."""

import gzip
import subprocess
import zlib

import nibabel as nib
import numpy as np
import ome_zarr_models.v05
import pytest
import SimpleITK as sitk
import tensorstore as ts
import zarr
from nibabel.eulerangles import euler2mat

import grids

SHAPE = (23, 29, 19)
DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]
NIFTI = [".nii", ".nii.gz", ".hdr"]


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
    assert image.header.get_xyzt_units() == ("mm", "sec")
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


@pytest.mark.parametrize("suffix", NIFTI)
@pytest.mark.parametrize("dtype", DTYPES)
def test_nifti(resample, tmp_path, dtype, suffix):
    array = samples(dtype)
    source, out = save(tmp_path / "in.nii", array, tilted()), tmp_path / f"out{suffix}"
    resample(source, out)
    if suffix == ".hdr":
        assert (tmp_path / "out.img").stat().st_size == array.nbytes
    check_nibabel(out, array, tilted())
    check_itk(out, array, tilted())


@pytest.mark.parametrize("dtype", ["i2", "f4", "f8", "u8"])
def test_big_endian_source(resample, tmp_path, dtype):
    array = samples(dtype)
    source = save(tmp_path / "in.nii.gz", array, tilted(), big=True)
    assert nib.load(source).header.endianness == ">"
    resample(source, tmp_path / "out.nii.gz")
    check_nibabel(tmp_path / "out.nii.gz", array, tilted())
    check_itk(tmp_path / "out.nii.gz", array, tilted())


@pytest.mark.parametrize("suffix", NIFTI)
def test_pair_source(resample, tmp_path, suffix):
    array = samples("i2")
    image = nib.Nifti1Pair(array, tilted())
    image.set_sform(tilted(), 2)
    image.set_qform(tilted(), 1)
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, tmp_path / "in.hdr")
    resample(tmp_path / "in.hdr", tmp_path / f"out{suffix}")
    check_nibabel(tmp_path / f"out{suffix}", array, tilted())


@pytest.mark.parametrize("shape", [(11, 13, 7, 5), (11, 13, 7, 3, 2), (1, 13, 1), (17, 5, 1, 3), (1, 1, 1)], ids=str)
def test_nifti_shapes(resample, tmp_path, shape):
    array = samples("i2", shape)
    source, out = save(tmp_path / "in.nii.gz", array, tilted()), tmp_path / "out.nii.gz"
    resample(source, out)
    check_nibabel(out, array, tilted())


def test_two_dimensional(resample, tmp_path):
    array = samples("u2", (31, 37))
    source, out = save(tmp_path / "in.nii", array, straight()), tmp_path / "out.nii"
    resample(source, out)
    image = nib.load(out)
    np.testing.assert_array_equal(np.squeeze(grids.raw(image)), array)


@pytest.mark.parametrize("dtype", ["c8", "c16"])
def test_complex(resample, tmp_path, dtype):
    rng = np.random.default_rng(5)
    array = (rng.normal(size=SHAPE) + 1j * rng.normal(size=SHAPE)).astype(dtype)
    source, out = save(tmp_path / "in.nii", array, tilted()), tmp_path / "out.nii.gz"
    resample(source, out)
    np.testing.assert_array_equal(grids.raw(nib.load(out)), array)
    resample(source, tmp_path / "half.nii", "--scale", "0.5", "--interp", "nearest")
    half = grids.raw(nib.load(tmp_path / "half.nii"))
    np.testing.assert_array_equal(half, array[::2, ::2, ::2][tuple(slice(n) for n in half.shape)])


def test_rgb(resample, tmp_path):
    colour = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    array = np.random.default_rng(5).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
    array = np.ascontiguousarray(array).view(colour)[..., 0]
    source, out = save(tmp_path / "in.nii", array, tilted()), tmp_path / "out.nii.gz"
    resample(source, out)
    np.testing.assert_array_equal(grids.raw(nib.load(out)), array)
    theirs = sitk.GetArrayFromImage(sitk.ReadImage(str(out)))
    assert theirs.shape == (*SHAPE[::-1], 3)
    np.testing.assert_array_equal(theirs[..., 1].T, array["G"])


def test_nifti_2_source(resample, tmp_path):
    array = samples("i4")
    source = save(tmp_path / "in.nii.gz", array, tilted(), nib.Nifti2Image)
    resample(source, tmp_path / "out.nii.gz")
    check_nibabel(tmp_path / "out.nii.gz", array, tilted())


@pytest.mark.parametrize("suffix", NIFTI)
def test_long_axes_become_nifti_2(resample, tmp_path, suffix):
    array = samples("u1", (32768, 3, 2))
    source = save(tmp_path / "in.nii", array, straight(), nib.Nifti2Image)
    resample(source, tmp_path / f"out{suffix}")
    image = nib.load(tmp_path / f"out{suffix}")
    assert int(image.header["sizeof_hdr"]) == 540
    # SimpleITK 2.5 has no reader for NIfTI-2 (tried): nibabel alone looks at these.
    check_nibabel(tmp_path / f"out{suffix}", array, straight())


def test_extensions_and_description_are_carried_over(resample, tmp_path):
    image = nib.Nifti1Image(samples("i2"), tilted())
    image.header["descrip"] = b"a phantom"
    image.header["cal_max"] = 900
    image.header.set_intent("t test", (12,), name="t")
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"kept, byte for byte"))
    nib.save(image, tmp_path / "in.nii.gz")
    resample(tmp_path / "in.nii.gz", tmp_path / "out.nii.gz", "--scale", "0.5")
    header = nib.load(tmp_path / "out.nii.gz").header
    assert header["descrip"].item().rstrip(b"\0") == b"a phantom"
    assert header["cal_max"] == 900
    assert header.get_intent() == ("t test", (12.0,), "t")
    (extension,) = header.extensions
    assert extension.get_content().rstrip(b"\0") == b"kept, byte for byte"


def members(path):
    """How many gzip members a file has."""
    data, count = path.read_bytes(), 0
    while data:
        inflate = zlib.decompressobj(31)
        inflate.decompress(data)
        assert inflate.eof, "a truncated member"
        data, count = inflate.unused_data, count + 1
    return count


@pytest.mark.parametrize("options", [[], ["--gzip", "single:1"], ["--gzip", "bgzf"], ["--gzip", "bgzf:6"]], ids=str)
def test_gzip(resample, tmp_path, options):
    rng = np.random.default_rng(1)
    array = (rng.normal(1000, 60, (127, 131, 113))).astype(np.int16)
    source, out = save(tmp_path / "in.nii", array, tilted()), tmp_path / "out.nii.gz"
    resample(source, out, *options)
    check_nibabel(out, array, tilted())
    check_itk(out, array, tilted())
    assert subprocess.run(["gunzip", "-t", out], check=False).returncode == 0
    plain = gzip.decompress(out.read_bytes())
    assert plain[352:] == array.tobytes("F")

    head = out.read_bytes()[:18]
    assert head[4:8] == bytes(4), "MTIME is not 0"
    assert head[9] == 255, "OS is not 255"
    assert not head[3] & 8, "the name is in the header"
    if "bgzf" in str(options):
        assert head[3] == 4 and head[12:16] == b"BC\x02\x00"
        assert out.read_bytes().endswith(bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000"))
    else:
        assert members(out) == 1


def test_bgzf_and_many_members_are_read(resample, tmp_path):
    array = samples("i2", (61, 67, 59))
    plain = save(tmp_path / "in.nii", array, tilted()).read_bytes()
    cuts = [0, 100, 352, 1000, 70001, len(plain)]
    source = tmp_path / "in.nii.gz"
    source.write_bytes(b"".join(gzip.compress(plain[a:b], 1) for a, b in zip(cuts, cuts[1:])))
    for options in ([], ["--gzip", "bgzf"]):
        out = tmp_path / f"out{len(options)}.nii.gz"
        resample(source, out, *options)
        check_nibabel(out, array, tilted())
        again = tmp_path / f"again{len(options)}.nii"
        resample(out, again)
        check_nibabel(again, array, tilted())


def test_garbage_behind_the_gzip_stream_is_ignored(resample, tmp_path):
    array = samples("i2")
    source = save(tmp_path / "in.nii.gz", array, tilted())
    with open(source, "ab") as f:
        f.write(b"garbage" * 99)
    resample(source, tmp_path / "out.nii")
    check_nibabel(tmp_path / "out.nii", array, tilted())


ZARR = {
    "default": [],
    "chunked": ["--chunk", "16", "--shard", "none"],
    "sharded": ["--chunk", "8", "--shard", "16"],
    "uneven": ["--chunk", "7,11,5", "--shard", "none"],
}
CODECS = ["zstd", "zstd:9", "blosc-zstd", "blosc-lz4", "gzip", "none"]


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
    stored = [p for p in out.rglob("*") if p.is_file() and p.name != "zarr.json"]
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


def test_the_old_target_is_replaced(resample, tmp_path):
    first, second = samples("i2", seed=1), samples("i2", seed=2)
    for array, options in ((first, []), (second, ["--overwrite"])):
        source = save(tmp_path / "in.nii", array, straight())
        for name in ("a.nii", "b.nii.gz", "c.hdr", "d.zarr"):
            resample(source, tmp_path / name, *options)
    for name in ("a.nii", "b.nii.gz", "c.hdr"):
        check_nibabel(tmp_path / name, second, straight())
    check_store(tmp_path / "d.zarr", second, straight())
