"""Bad input: one clear message, exit 1 or 2, little memory, and nothing that looks complete."""

import gzip
import json
import os
import shlex
import shutil
import struct
import subprocess
import sys
import zlib

import nibabel as nib
import numpy as np
import pytest
import zarr
from numcodecs import Zstd

from command import RESLICE, leftovers, refused, reslice, summary_of
from measure import MIB, measure

# What a refusal may hold: the program itself, nothing by what a file claims.
SMALL = 64 * MIB


def refused_cleanly(source, target, *options, says=(), expect=(1, 2)):
    """The run fails with one message, holds little and leaves no target; what is left is `NAME.reslice` at most."""
    run = refused("resample", source, target, *options, says=says, expect=expect)
    assert run.peak_bytes <= SMALL, f"{run.peak_mib:.1f} MiB held"
    assert not target.exists()
    assert leftovers(target) in ([], [f"{target.name}.reslice"]), leftovers(target)
    return run


@pytest.fixture
def plain(tmp_path):
    """An uncompressed NIfTI-1 file of 60 x 50 x 40 i16."""
    array = np.random.default_rng(4).integers(0, 1000, (60, 50, 40)).astype(np.int16)
    image = nib.Nifti1Image(array, np.diag([1.0, 1.5, 2.0, 1.0]))
    nib.save(image, tmp_path / "plain.nii")
    return tmp_path / "plain.nii"


# Offsets of NIfTI-1 fields: dim 40, datatype 70, bitpix 72, pixdim 76, vox_offset 108, sform rows 280.
LIES = {
    "dim[0] = 0": (40, "<h", 0, "dim"),
    "dim[0] = 8": (40, "<h", 8, "dim"),
    "dim[1] = 0": (42, "<h", 0, "dim"),
    "dim[1] = -5": (42, "<h", -5, "dim"),
    "dim[3] too many": (46, "<h", 32767, ""),
    "dims overflow": (42, "<7h", (32767,) * 7, ""),
    "datatype unknown": (70, "<h", 3, "datatype"),
    "datatype of 1 bit": (70, "<h", 1, "datatype"),
    "vox_offset 0": (108, "<f", 0.0, "vox_offset"),
    "vox_offset 100": (108, "<f", 100.0, "vox_offset"),
    "vox_offset behind the end": (108, "<f", 1e9, ""),
    "vox_offset NaN": (108, "<f", float("nan"), "vox_offset"),
    "vox_offset negative": (108, "<f", -352.0, "vox_offset"),
    "sform NaN": (280, "<f", float("nan"), ""),
    "sform infinite": (292, "<f", float("inf"), ""),
    "sform singular": (280, "<12f", (1, 0, 0, 0) * 3, ""),
    "sform zero": (280, "<12f", (0,) * 12, ""),
    "magic": (344, "<4s", b"nope", ""),
}


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("lie", LIES)
def test_headers_that_lie(plain, tmp_path, lie, suffix):
    offset, code, value, says = LIES[lie]
    content = bytearray(plain.read_bytes())
    packed = struct.pack(code, *(value if isinstance(value, tuple) else (value,)))
    if lie.startswith("dims overflow"):
        content[40:42] = struct.pack("<h", 7)
    content[offset : offset + len(packed)] = packed
    source = tmp_path / f"lies{suffix}"
    source.write_bytes(gzip.compress(content, 1) if suffix == ".nii.gz" else content)
    refused_cleanly(source, tmp_path / "out.nii.gz", "--memory", "64MiB", says=says)
    refused_cleanly(source, tmp_path / "out.zarr", "--scale", "0.5", says=says)


def test_what_a_header_only_repeats_is_not_believed(plain, tmp_path):
    """bitpix that disagrees with datatype, an empty fourth dimension: read with a warning, as nibabel and ITK read them."""
    for offset, code, value, says in ((72, "<h", 64, "bitpix is 64"), (40, "<5h", (4, 60, 50, 40, 0), "dim[4] is 0")):
        content = bytearray(plain.read_bytes())
        packed = struct.pack(code, *(value if isinstance(value, tuple) else (value,)))
        content[offset : offset + len(packed)] = packed
        source, out = tmp_path / f"odd{offset}.nii", tmp_path / f"out{offset}.nii"
        source.write_bytes(content)
        run = reslice("resample", source, out)
        assert says in run.stderr, run.stderr
        assert out.read_bytes()[352:] == plain.read_bytes()[352:]


@pytest.mark.parametrize("length", [0, 1, 100, 347, 348, 351, 352, 1000, 100_000])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_truncated_voxels(plain, tmp_path, suffix, length):
    source = tmp_path / f"short{suffix}"
    content = plain.read_bytes()[:length]
    source.write_bytes(gzip.compress(content, 1) if suffix == ".nii.gz" else content)
    refused_cleanly(source, tmp_path / "out.nii", "--scale", "0.7")


@pytest.mark.parametrize("keep", [0.0, 0.0001, 0.3, 0.9, 0.9999])
def test_truncated_gzip(plain, tmp_path, keep):
    source = tmp_path / "cut.nii.gz"
    whole = gzip.compress(plain.read_bytes(), 1)
    source.write_bytes(whole[: int(len(whole) * keep)])
    refused_cleanly(source, tmp_path / "out.nii.gz")


def test_corrupt_gzip(plain, tmp_path):
    """A flipped bit gives an error, or the right voxels where it did not matter."""
    whole = bytearray(gzip.compress(plain.read_bytes(), 1))
    for at in (0, 3, 20, len(whole) // 2, len(whole) - 6):
        content = whole.copy()
        content[at] ^= 0x10
        source, out = tmp_path / f"bad{at}.nii.gz", tmp_path / f"out{at}.nii"
        source.write_bytes(content)
        run = reslice("resample", source, out, expect=(0, 1, 2))
        if run.code == 0:
            assert out.read_bytes()[352:] == plain.read_bytes()[352:], f"wrong voxels from a bit flipped at {at}"
        else:
            assert run.stderr.count("error: ") == 1 and not out.exists()


def test_corrupt_gzip_names_the_offset(plain, tmp_path):
    whole = bytearray(gzip.compress(plain.read_bytes(), 6))
    whole[-7] ^= 0xFF
    source = tmp_path / "bad.nii.gz"
    source.write_bytes(whole)
    refused_cleanly(source, tmp_path / "out.nii", says="byte")


def test_gzip_bomb_with_a_small_header(plain, tmp_path):
    """1 GB of zeros behind a scan: the voxels are read, the rest is not kept."""
    deflate = zlib.compressobj(1, zlib.DEFLATED, 31)
    pieces = [deflate.compress(plain.read_bytes())]
    pieces += [deflate.compress(bytes(1 << 24)) for _ in range(64)]
    source = tmp_path / "bomb.nii.gz"
    source.write_bytes(b"".join(pieces) + deflate.flush())
    run = reslice("resample", source, tmp_path / "out.nii", "--memory", "64MiB", expect=(0, 1))
    assert run.peak_bytes <= SMALL


def test_missing_img(plain, tmp_path):
    nib.save(nib.Nifti1Pair(np.zeros((5, 6, 7), np.int16), np.eye(4)), tmp_path / "pair.hdr")
    (tmp_path / "pair.img").unlink()
    refused_cleanly(tmp_path / "pair.hdr", tmp_path / "out.nii", says="pair.img")


@pytest.mark.parametrize("content", [b"", b"hello", bytes(10_000), b"\x1f\x8b", b"\x1f\x8b\x08\x00" + bytes(50)], ids=len)
def test_not_an_image(tmp_path, content):
    for name in ("a.nii", "a.nii.gz", "a.hdr"):
        source = tmp_path / name
        source.write_bytes(content)
        refused_cleanly(source, tmp_path / "out.nii")
        refused("info", source)


def test_no_such_source(tmp_path):
    for name in ("none.nii", "none.nii.gz", "none.zarr"):
        refused_cleanly(tmp_path / name, tmp_path / "out.nii", says=name)
    (tmp_path / "empty.zarr").mkdir()
    refused_cleanly(tmp_path / "empty.zarr", tmp_path / "out.nii")


def test_unwritable_targets(plain, tmp_path):
    refused_cleanly(plain, tmp_path / "no" / "such" / "folder" / "out.nii")
    (tmp_path / "file").write_bytes(b"")
    run = refused("resample", plain, tmp_path / "file" / "out.nii.gz")
    assert "out.nii.gz" in run.stderr or "file" in run.stderr
    refused("resample", plain, "/proc/reslice-cannot-write-here.nii")


def test_unknown_output_format(plain, tmp_path):
    for name in ("out.mnc", "out.png", "out", "out.gz"):
        refused_cleanly(plain, tmp_path / name)


def test_values_that_the_output_cannot_hold(plain, tmp_path):
    refused_cleanly(plain, tmp_path / "out.nii", "--spacing", "0.9", "--outside", "nan")
    refused_cleanly(plain, tmp_path / "out.nii", "--spacing", "0.9", "--outside", "40000")
    refused_cleanly(plain, tmp_path / "out.nii", "--spacing", "0.9", "--outside", "-1", "--dtype", "u8")


def test_impossible_budget(plain, tmp_path):
    for budget in ("1", "4KiB", "2MiB"):
        run = refused_cleanly(plain, tmp_path / "out.nii.gz", "--spacing", "0.3", "--memory", budget)
        way_out = "did you mean 1GiB?" if budget == "1" else "hint: "
        assert way_out in run.stderr and "--memory" in run.stderr, run.stderr


@pytest.fixture
def store(tmp_path):
    """A Zarr v3 array of 40 x 50 x 60 i16 in chunks of 16, zstd without checksum, and its samples."""
    array = np.random.default_rng(4).integers(0, 1000, (40, 50, 60)).astype(np.int16)
    path = tmp_path / "in.zarr"
    data = zarr.create_array(
        path, shape=array.shape, chunks=(16, 16, 16), dtype="i2", compressors=zarr.codecs.ZstdCodec(level=1)
    )
    data[...] = array
    return path, array


def test_chunk_that_inflates_to_more_than_it_should(store, tmp_path):
    path, _ = store
    (path / "c/1/1/1").write_bytes(Zstd(1).encode(bytes(512 * MIB)))
    refused_cleanly(path, tmp_path / "out.nii", "--spacing-in", "1", "--memory", "64MiB", says="1/1/1")


@pytest.mark.parametrize("damage", ["cut", "empty", "garbage", "too small"])
def test_corrupt_chunk(store, tmp_path, damage):
    path, _ = store
    chunk = path / "c/1/0/1"
    content = {
        "cut": chunk.read_bytes()[:-9],
        "empty": b"",
        "garbage": os.urandom(500),
        "too small": Zstd(1).encode(bytes(100)),
    }[damage]
    chunk.write_bytes(content)
    run = refused_cleanly(path, tmp_path / "out.nii", "--spacing-in", "1", says="1/0/1")
    assert "in.zarr" in run.stderr


def test_missing_chunk_is_the_fill_value_and_counted(store, resample, tmp_path):
    path, array = store
    (path / "c/1/0/1").unlink()
    run = resample(path, tmp_path / "out.nii", "--spacing-in", "1", "--summary", tmp_path / "summary.json")
    wanted = array.copy()
    wanted[16:32, 0:16, 16:32] = 0
    np.testing.assert_array_equal(np.asanyarray(nib.load(tmp_path / "out.nii").dataobj), wanted.T)
    assert summary_of(tmp_path / "summary.json")["missing_chunks"] == 1
    assert "missing" in run.stderr


@pytest.mark.parametrize("damage", ["not json", "no shape", "huge shape", "zero chunk", "unknown codec", "huge chunk"])
def test_corrupt_metadata(store, tmp_path, damage):
    path, _ = store
    meta = json.loads((path / "zarr.json").read_text())
    if damage == "no shape":
        del meta["shape"]
    elif damage == "huge shape":
        meta["shape"] = [2**62, 2**62, 2**62]
    elif damage == "zero chunk":
        meta["chunk_grid"]["configuration"]["chunk_shape"] = [0, 16, 16]
    elif damage == "huge chunk":
        meta["chunk_grid"]["configuration"]["chunk_shape"] = [2**40, 2**40, 2**40]
    elif damage == "unknown codec":
        meta["codecs"].append({"name": "magic"})
    (path / "zarr.json").write_text("{" if damage == "not json" else json.dumps(meta))
    refused_cleanly(path, tmp_path / "out.nii", "--spacing-in", "1", "--memory", "64MiB")


def test_corrupt_shard_index(tmp_path):
    array = np.arange(32**3, dtype=np.int32).reshape(32, 32, 32)
    path = tmp_path / "sharded.zarr"
    data = zarr.create_array(path, shape=array.shape, chunks=(8, 8, 8), shards=(32, 32, 32), dtype="i4")
    data[...] = array
    shard = path / "c/0/0/0"
    content = bytearray(shard.read_bytes())
    content[-4 - 64 * 16 : -4 - 63 * 16] = struct.pack("<QQ", 0, 1 << 40)
    shard.write_bytes(content)
    refused_cleanly(path, tmp_path / "out.nii", "--spacing-in", "1", "--memory", "64MiB")
    shard.write_bytes(content[:50])
    refused_cleanly(path, tmp_path / "out.nii", "--spacing-in", "1", "--memory", "64MiB")


@pytest.fixture
def small_disk(tmp_path):
    """A tmpfs of 6 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a tmpfs")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def noise(tmp_path):
    """A scan of 16 MiB that does not compress."""
    array = np.random.default_rng(9).integers(0, 1 << 16, (200, 200, 210), dtype=np.uint16)
    nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / "noise.nii")
    return tmp_path / "noise.nii"


@pytest.mark.parametrize("name", ["out.nii", "out.nii.gz", "out.hdr", "out.zarr", "bgzf.nii.gz", "chunked.zarr"])
def test_full_disk(noise, small_disk, name):
    options = {"bgzf.nii.gz": ["--gzip", "bgzf"], "chunked.zarr": ["--shard", "none", "--chunk", "32"]}.get(name, [])
    options.append("--no-disk-check")
    target = small_disk / name
    run = refused("resample", noise, target, *options, expect=1, says="space")
    assert not target.exists() and not target.with_suffix(".img").exists()
    assert set(os.listdir(small_disk)) <= {f"{name}.reslice"}, os.listdir(small_disk)
    assert "hint: " in run.stderr


def test_full_disk_keeps_the_old_target(noise, small_disk, resample, tmp_path):
    small = tmp_path / "small.nii"
    resample(noise, small, "--scale", "0.2")
    target = small_disk / "out.nii"
    shutil.copy(small, target)
    refused("resample", noise, target, "--overwrite", "--no-disk-check", expect=1, says="space")
    assert target.read_bytes() == small.read_bytes()


def test_read_only_disk(plain, small_disk):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    for name in ("out.nii", "out.nii.gz", "out.zarr"):
        refused_cleanly(plain, small_disk / name, expect=1, says="read-only")


def test_address_space_limit(plain, tmp_path):
    """A run under ulimit -v ends well or says why; it does not abort."""
    script = f'ulimit -v 400000; exec "{RESLICE}" resample "{plain}" "{tmp_path / "out.nii.gz"}" --scale 1.5'
    run = measure(["bash", "-c", script])
    assert run.code in (0, 1, 2), run.stderr
    assert "panicked" not in run.stderr


@pytest.mark.parametrize("name", ["a b.vtk", "a.png", "a.npy", "a.npz"])
def test_the_way_out_of_a_foreign_file_works_when_followed(tmp_path, name):
    """The command in the hint makes a file of the same voxels that is read."""
    import SimpleITK

    array = np.random.default_rng(3).integers(0, 200, (6, 7, 8)).astype(np.uint8)
    array = array[:1] if name.endswith(".png") else array
    path = tmp_path / name
    if name.endswith(".npy"):
        np.save(path, array)
    elif name.endswith(".npz"):
        np.savez(path, array)
    else:
        image = SimpleITK.GetImageFromArray(array[0] if name.endswith(".png") else array)
        image.SetSpacing((1.0, 2.0, 3.0)[: image.GetDimension()])
        SimpleITK.WriteImage(image, str(path))
    said = refused("info", path, says=["which is not read", "hint: convert it: "]).stderr
    command = said.split("hint: convert it: ")[1].splitlines()[0].split("; then")[0]
    subprocess.run(command.replace("python", sys.executable, 1), shell=True, check=True)
    made = shlex.split(command)[-1]
    # A NumPy array states no axes: the first one is the slowest.
    copy = tmp_path / "copy.nii.gz"
    reslice("resample", made, copy, *(("--spacing-in", "1") if ".np" in name else ()))
    assert np.array_equal(np.asarray(nib.load(copy).dataobj).T.squeeze(), array.squeeze())
