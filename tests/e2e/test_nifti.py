"""NIfTI that we write, in nibabel, SimpleITK, gunzip and Python's gzip; NIfTI that others write, in ours."""

import gzip
import subprocess
import zlib

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

import grids
from scans import SHAPE, check_itk, check_nibabel, check_store, samples, save, straight, tilted

DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]
NIFTI = [".nii", ".nii.gz", ".hdr"]


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


def test_the_old_target_is_replaced(resample, tmp_path):
    first, second = samples("i2", seed=1), samples("i2", seed=2)
    for array, options in ((first, []), (second, ["--overwrite"])):
        source = save(tmp_path / "in.nii", array, straight())
        for name in ("a.nii", "b.nii.gz", "c.hdr", "d.zarr"):
            resample(source, tmp_path / name, *options)
    for name in ("a.nii", "b.nii.gz", "c.hdr"):
        check_nibabel(tmp_path / name, second, straight())
    check_store(tmp_path / "d.zarr", second, straight())
