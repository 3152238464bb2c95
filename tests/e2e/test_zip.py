"""OME-Zarr in one file (.ozx, .zarr.zip): archives that other programs write are read as folders are, and they read ours."""

import io
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import time
import zipfile

import ngff_zarr
import numpy as np
import ome_zarr_models.v05
import pytest
import tensorstore as ts
import zarr
from ngff_zarr.rfc9_zip import read_ozx_version, write_store_to_zip

import servers
from command import RESLICE, digest, refused, reslice, resample
from faults.harness import strays
from scans import samples, save, straight, tilted

os.environ["NO_PROXY"] = "127.0.0.1"
MIB = 1 << 20
LAYOUTS = {"chunks": ("--chunk", "16", "--shard", "none"), "shards": ("--chunk", "16", "--shard", "32")}
GRID = ("--spacing", "0.8,1.1,2", "--interp", "cubic")


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    return save(tmp_path_factory.mktemp("scan") / "scan.nii", samples("i2", (71, 53, 37)), tilted())


@pytest.fixture(scope="module", params=LAYOUTS)
def folder(scan, request):
    """An image with levels and labels, in a folder."""
    path = scan.parent / f"{request.param}.zarr"
    resample(scan, path, "--pyramid", *LAYOUTS[request.param])
    labels = path / "labels"
    group = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"version": "0.5", "labels": ["cells"]}}}
    labels.mkdir()
    (labels / "zarr.json").write_text(json.dumps(group))
    resample(scan, labels / "cells.zarr", *LAYOUTS[request.param], "--interp", "nearest")
    (labels / "cells.zarr").rename(labels / "cells")
    return path


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def by_zipfile(folder, archive, method=zipfile.ZIP_STORED, below=""):
    with zipfile.ZipFile(archive, "w", method) as out:
        for name in files(folder):
            out.write(folder / name, below + name)


def by_zarr_python(folder, archive):
    """A copy key by key, with a document that is written twice, as it does when attributes change."""
    with zarr.storage.ZipStore(archive, mode="w") as store, pytest.warns(UserWarning, match="Duplicate name"):
        store._sync_open()
        store._zf.writestr("zarr.json", "{}")
        for name in files(folder):
            store._zf.writestr(name, (folder / name).read_bytes())


WRITERS = {
    "stored": by_zipfile,
    "in a folder": lambda folder, archive: by_zipfile(folder, archive, below="x.zarr/"),
    "zarr-python": by_zarr_python,
    "ngff-zarr": lambda folder, archive: write_store_to_zip(folder, archive),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_archives_are_read_as_folders_are(folder, tmp_path, writer):
    archive = tmp_path / "x.ozx"
    WRITERS[writer](folder, archive)
    told = [json.loads(reslice("info", path, "--json").stdout) for path in (folder, archive)]
    for name in ("grid", "stored", "levels", "zarr", "stored_bytes", "labels"):
        left, right = (json.dumps(info.get(name)).replace(str(at), "") for info, at in zip(told, (folder, archive)))
        assert left == right, name
    resample(folder, tmp_path / "a.zarr", *GRID)
    resample(archive, tmp_path / "b.zarr", *GRID)
    reslice("compare", tmp_path / "a.zarr", tmp_path / "b.zarr")
    for inner in ("0", "1", "labels/cells", "labels/cells/0"):
        resample(folder / inner, tmp_path / "a.nii", "--scale", "0.5", "--overwrite")
        resample(archive / inner, tmp_path / "b.nii", "--scale", "0.5", "--overwrite")
        assert (tmp_path / "a.nii").read_bytes() == (tmp_path / "b.nii").read_bytes(), inner
    resample(archive, tmp_path / "c.nii", "--level", "1")
    resample(folder / "1", tmp_path / "d.nii")
    assert (tmp_path / "c.nii").read_bytes() == (tmp_path / "d.nii").read_bytes()
    reslice("compare", folder, archive)
    reports = [json.loads(reslice("verify", path, "--json").stdout) for path in (folder, archive)]
    assert [report["chunks"] if "chunks" in report else report["arrays"] for report in reports][0]
    assert [array["present"] for array in reports[0]["arrays"]] == [array["present"] for array in reports[1]["arrays"]]


def test_deflated_archives(folder, tmp_path):
    archive = tmp_path / "x.zarr.zip"
    by_zipfile(folder, archive, zipfile.ZIP_DEFLATED)
    if folder.stem == "shards":
        refused("resample", archive, tmp_path / "b.nii", says=["deflated", "zip -0"])
        return
    resample(folder, tmp_path / "a.nii", *GRID)
    resample(archive, tmp_path / "b.nii", *GRID)
    assert (tmp_path / "a.nii").read_bytes() == (tmp_path / "b.nii").read_bytes()
    reslice("verify", archive)


def test_damage_is_found(folder, tmp_path):
    archive = tmp_path / "x.ozx"
    by_zipfile(folder, archive)
    with zipfile.ZipFile(archive) as zip:
        at = next(info.header_offset for info in zip.infolist() if info.filename.startswith("0/c/"))
    data = bytearray(archive.read_bytes())
    data[at + 200] ^= 4
    archive.write_bytes(data)
    assert reslice("verify", archive, expect=1).stdout
    data[-10:] = b"0123456789"
    archive.write_bytes(data)
    refused("info", archive, says="zip archive")
    archive.write_bytes(b"PK\x05\x06" + bytes(18))
    refused("info", archive, says="zip")
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("readme", "nothing")
    refused("resample", archive, tmp_path / "o.nii", says="no Zarr")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["x.ozx", "x.zarr.zip"])
def test_what_is_written_is_what_a_folder_holds(scan, tmp_path, layout, name):
    how = ("--pyramid", *LAYOUTS[layout], *GRID)
    folder, archive = tmp_path / "x.zarr", tmp_path / name
    resample(scan, folder, *how)
    resample(scan, archive, *how)
    with zipfile.ZipFile(archive) as zip:
        assert zip.testzip() is None
        names = zip.namelist()
        assert sorted(names) == files(folder)
        assert all(zip.read(name) == (folder / name).read_bytes() for name in names)
        assert {info.compress_type for info in zip.infolist()} == {zipfile.ZIP_STORED}
        assert {info.extract_version for info in zip.infolist()} == {45}
        documents = [name for name in names if name.endswith("zarr.json")]
        assert names[: len(documents)] == documents == sorted(documents, key=lambda name: (name.count("/"), name))
        ome = json.loads(zip.comment)["ome"]
        assert ome == {"version": "0.5", "zipFile": {"centralDirectory": {"jsonFirst": True}}}
    assert archive.read_bytes().count(b"PK\x06\x06") == 1
    assert subprocess.run(["unzip", "-tq", archive], stdout=subprocess.DEVNULL).returncode == 0 if shutil.which("unzip") else True
    reslice("compare", folder, archive)
    reslice("verify", archive)


def test_others_read_what_is_written(scan, tmp_path):
    folder, archive = tmp_path / "x.zarr", tmp_path / "x.ozx"
    resample(scan, folder, "--pyramid", *LAYOUTS["shards"])
    resample(scan, archive, "--pyramid", *LAYOUTS["shards"])
    right = zarr.open_group(folder, mode="r")
    with zarr.storage.ZipStore(archive, mode="r") as store:
        group = zarr.open_group(store, mode="r")
        ome_zarr_models.v05.Image.from_zarr(group)
        for level in ("0", "1"):
            np.testing.assert_array_equal(group[level][...], right[level][...])
    kvstore = {"driver": "zip", "base": {"driver": "file", "path": str(archive)}, "path": "0/"}
    opened = ts.open({"driver": "zarr3", "kvstore": kvstore}, read=True).result()
    np.testing.assert_array_equal(opened.read().result(), right["0"][...])
    assert read_ozx_version(archive) == "0.5"
    image = ngff_zarr.from_ngff_zarr(str(archive)).images[0]
    np.testing.assert_array_equal(np.asarray(image.data), right["0"][...])


def test_the_same_bytes_for_any_budget_threads_and_ranks(scan, tmp_path):
    right = tmp_path / "right.ozx"
    resample(scan, right, *LAYOUTS["shards"], *GRID)
    for n, how in enumerate([("--memory", "48MiB"), ("--threads", "1"), ("--memory", "1GiB", "--threads", "3")]):
        archive = tmp_path / f"{n}.ozx"
        resample(scan, archive, *LAYOUTS["shards"], *GRID, *how)
        assert archive.read_bytes() == right.read_bytes(), how
    archive = tmp_path / "ranks.ozx"
    for rank in (2, 0, 1):
        reslice("resample", scan, archive, *LAYOUTS["shards"], *GRID, "--rank", f"{rank}/3")
        assert archive.exists() == (rank == 1)
    assert archive.read_bytes() == right.read_bytes()
    again = reslice("resample", scan, archive, *LAYOUTS["shards"], *GRID, "--rank", "1/3")
    assert again.code == 0 and archive.read_bytes() == right.read_bytes()
    # In place of what is there, and of itself.
    refused("resample", scan, archive, *LAYOUTS["shards"], *GRID, says="already exists")
    resample(scan, archive, *LAYOUTS["shards"], "--overwrite")
    resample(archive, archive, *LAYOUTS["shards"], *GRID, "--in-place", "--overwrite")
    reslice("compare", archive, right)


@pytest.mark.parametrize("kill", [signal.SIGTERM, signal.SIGKILL], ids=lambda kill: kill.name)
def test_killed_runs_go_on(tmp_path, kill):
    dice = random.Random(7)
    scan = save(tmp_path / "scan.nii", samples("u2", (160, 170, 180)), straight())
    how = ("--chunk", "32", "--shard", "64", "--codec", "none", "--scale", "1.3")
    right, archive = tmp_path / "right.ozx", tmp_path / "x.ozx"
    start = time.monotonic()
    resample(scan, right, *how)
    whole = time.monotonic() - start
    for _ in range(20):
        run = subprocess.Popen(
            [RESLICE, "resample", scan, archive, *how, "--resume"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        # Also while the archive is packed, at the end.
        time.sleep(dice.choice([dice.random(), 0.8 + 0.2 * dice.random()]) * whole)
        run.send_signal(kill)
        # It may have had its name already.
        if run.wait(timeout=60) == 0 or archive.exists():
            break
    reslice("resample", scan, archive, *how, "--resume")
    assert digest(archive) == digest(right)
    assert not strays(archive)


def test_refusals(scan, tmp_path):
    refused("resample", scan, tmp_path / "x.ozx", "--ome", "0.4", says="0.5")
    refused("resample", scan, "s3://bucket/x.ozx", says="only .zarr is written to a URL")
    resample(scan, tmp_path / "x.ozx")
    refused("pyramid", tmp_path / "x.ozx", says="zip archive")
    refused("resample", scan, tmp_path / "x.ozx" / "labels.zarr", says="")
    assert not list(tmp_path.glob("*.reslice"))


@pytest.mark.parametrize("ranges", [True, False])
def test_over_http(folder, tmp_path, ranges):
    web = tmp_path / "web"
    web.mkdir()
    by_zipfile(folder, web / "x.ozx")
    shutil.copytree(folder, web / "folder.ozx")
    with servers.files(web, ranges=ranges) as server:
        if not ranges:
            refused("info", f"{server.url}/x.ozx", says="requests for a part of a file")
            return
        info = json.loads(reslice("info", f"{server.url}/x.ozx/labels/cells", "--json").stdout)
        assert info["grid"]["shape"] == [71, 53, 37]
        for inner in ("", "/1", "/labels/cells"):
            resample(f"{folder}{inner}", tmp_path / "a.nii", *GRID, "--overwrite")
            resample(f"{server.url}/x.ozx{inner}", tmp_path / "b.nii", *GRID, "--overwrite")
            assert (tmp_path / "a.nii").read_bytes() == (tmp_path / "b.nii").read_bytes()
        reslice("verify", f"{server.url}/x.ozx")
        reslice("compare", folder, f"{server.url}/x.ozx")
        # A folder by the name of an archive is one.
        reslice("compare", folder, f"{server.url}/folder.ozx")
        refused("info", f"{server.url}/none.ozx", says="none.ozx")


def test_within_the_budget(tmp_path):
    """Chunks that are inflated, and shards; the directory of many entries is counted."""
    scan = save(tmp_path / "scan.nii", samples("u2", (256, 256, 220)), straight())
    for name, how in (("chunks", ("--chunk", "64", "--shard", "none")), ("shards", ("--chunk", "64", "--shard", "256"))):
        folder, archive = tmp_path / f"{name}.zarr", tmp_path / f"{name}.ozx"
        resample(scan, folder, *how, "--codec", "none")
        packed = resample(scan, archive, *how, "--codec", "none", "--memory", "64MiB")
        assert packed.peak_bytes <= 64 * MIB, packed.peak_mib
        if name == "chunks":
            by_zipfile(folder, archive, zipfile.ZIP_DEFLATED)
        back = tmp_path / f"{name}.nii"
        run = resample(archive, back, "--memory", "64MiB", "--scale", "0.5")
        assert run.peak_bytes <= 64 * MIB, run.peak_mib
        resample(folder, tmp_path / "right.nii", "--scale", "0.5", "--overwrite")
        assert back.read_bytes() == (tmp_path / "right.nii").read_bytes()


def many_entries(folder, archive, count):
    """An archive with as many entries more, made faster than by zipfile."""
    by_zipfile(folder, archive)
    data = archive.read_bytes()
    end = data.rindex(b"PK\x05\x06")
    entries, size, at = struct.unpack("<xxHII", data[end + 8 : end + 20])
    record = struct.Struct("<4sHHHHHHIIIHHHHHII")
    more = io.BytesIO()
    for n in range(count):
        name = b"9/c/%08d" % n
        more.write(record.pack(b"PK\x01\x02", 20, 20, 0, 0, 0, 33, 0, 0, 0, len(name), 0, 0, 0, 0, 0, 0) + name)
    directory = data[at : at + size] + more.getvalue()
    large = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, *[entries + count] * 2, len(directory), at)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, at + len(directory), 1)
    last = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    archive.write_bytes(data[:at] + directory + large + locator + last)


def test_a_million_entries(scan, tmp_path):
    folder, archive = tmp_path / "x.zarr", tmp_path / "x.ozx"
    resample(scan, folder, *LAYOUTS["chunks"])
    many_entries(folder, archive, 1_000_000)
    refused("resample", archive, tmp_path / "b.nii", "--memory", "128MiB", says=["1000", "--memory"])
    run = resample(archive, tmp_path / "b.nii", "--memory", "384MiB")
    assert run.peak_bytes <= 384 * MIB, run.peak_mib
    resample(folder, tmp_path / "a.nii")
    assert (tmp_path / "a.nii").read_bytes() == (tmp_path / "b.nii").read_bytes()


def test_mutations(tmp_path):
    """Damaged archives: an error or the right voxels; RESLICE_ZIP_MUTATIONS for more of them."""
    dice, count = random.Random(3), int(os.environ.get("RESLICE_ZIP_MUTATIONS", 60))
    scan = save(tmp_path / "scan.nii", samples("u1", (20, 18, 16)), straight())
    folder = tmp_path / "x.zarr"
    resample(scan, folder, "--chunk", "8", "--shard", "16", "--codec", "none")
    archive, target = tmp_path / "x.ozx", tmp_path / "o.nii"
    outcomes = {}
    for n in range(count):
        by_zipfile(folder, archive, dice.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
        data = bytearray(archive.read_bytes())
        start = data.rindex(b"PK\x05\x06")
        directory = struct.unpack("<I", data[start + 16 : start + 20])[0]
        for _ in range(dice.randint(1, 3)):
            kind = dice.randrange(5)
            at = dice.randrange(directory if kind < 3 else 0, len(data))
            if kind == 0:
                del data[at:]
            elif kind in (1, 3):
                data[at] ^= 1 << dice.randrange(8)
            else:
                number = dice.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF, len(data), directory])
                data[at : at + 4] = struct.pack("<I", number)
            if not data:
                break
        archive.write_bytes(data)
        run = reslice(
            "resample", archive, target, "--overwrite", "--memory", "64MiB", expect=(0, 1, 2), timeout=20
        )
        assert run.peak_bytes <= 64 * MIB, (n, run.peak_mib)
        outcomes[run.code] = outcomes.get(run.code, 0) + 1
    print(outcomes)
    assert sum(outcomes.values()) == count
