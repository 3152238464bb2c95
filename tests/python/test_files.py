"""From file to file: grids, options, results, plans, answers."""

import json

import nibabel
import numpy as np
import pytest

import reslice

from conftest import SHAPE, oblique


def test_a_file_to_another_spacing(scan, tmp_path):
    done = reslice.resample(scan(), tmp_path / "out.nii.gz", spacing=(0.5, 1.0, 2.5), threads=2)
    image = nibabel.load(tmp_path / "out.nii.gz")
    assert image.shape == done.grid.shape == (round(29 * 0.9 / 0.5), round(23 * 1.1), 20)
    assert np.allclose(image.affine, done.grid.affine, atol=1e-5)
    assert np.allclose(done.grid.spacing, (0.5, 1.0, 2.5), atol=1e-6) and done.source_grid.shape == SHAPE
    assert done.dtype == image.get_data_dtype() == np.int16 and done.interpolation == "linear"
    assert done.peak_bytes >= done.held_bytes > 0 and not done.resumed and done.seconds > 0
    assert done.summary["target"]["shape"] == list(done.grid.shape)
    assert "52 x 25 x 20 voxels" in str(done) and "Grid(" in repr(done)


def test_a_report_of_a_run(scan, tmp_path):
    pages = {"report": tmp_path / "page.html", "report_json": tmp_path / "page.json", "preview": tmp_path / "planes.png"}
    reslice.resample(scan(), tmp_path / "out.nii.gz", spacing=1.5, **pages)
    page = pages["report"].read_text()
    assert "<script" in page and "--spacing=1.5" in page and len(page) < 3 << 20
    assert json.loads(pages["report_json"].read_text())["schema"] == 1
    assert pages["preview"].read_bytes().startswith(b"\x89PNG")
    with pytest.raises(reslice.OptionError):
        reslice.resample(scan(), tmp_path / "o2.nii.gz", spacing=1.5, report=tmp_path / "o2.nii.gz")
    assert not (tmp_path / "o2.nii.gz").exists()


def test_an_array_has_a_report_too(tmp_path):
    voxels = np.random.default_rng(1).integers(0, 900, (20, 22, 18)).astype(np.int16)
    reslice.resample(voxels, tmp_path / "out.nii.gz", affine=np.eye(4), spacing=1.5, report=tmp_path / "page.html")
    assert "<canvas" in (tmp_path / "page.html").read_text()


def test_the_same_call_again_is_content(scan, tmp_path):
    source = scan()
    reslice.resample(source, tmp_path / "out.nii.gz", spacing=2)
    before = (tmp_path / "out.nii.gz").read_bytes()
    assert reslice.resample(source, tmp_path / "out.nii.gz", spacing=2).resumed
    with pytest.raises(reslice.StorageError, match="another job"):
        reslice.resample(source, tmp_path / "out.nii.gz", spacing=3)
    assert (tmp_path / "out.nii.gz").read_bytes() == before
    assert not reslice.resample(source, tmp_path / "out.nii.gz", spacing=3, overwrite=True).resumed


def test_the_bytes_are_those_of_the_command(scan, tmp_path):
    from reslice import _reslice

    options = dict(isotropic=1.5, interpolation="bspline3", align="center", outside=-7, dtype=np.float32)
    reslice.resample(scan(), tmp_path / "a.nii", **options, memory="200MiB", threads=3)
    words = "--isotropic=1.5 --interp bspline3 --align center --outside=-7 --dtype f32 --quiet".split()
    assert _reslice.command(["resample", str(scan()), str(tmp_path / "b.nii"), *words]) == 0
    assert (tmp_path / "a.nii").read_bytes() == (tmp_path / "b.nii").read_bytes()


def test_plans_are_what_is_done(scan, tmp_path):
    plan = reslice.plan(scan(), tmp_path / "out.ome.zarr", scale=2, dtype="f32", chunk=16, pyramid=2)
    assert not (tmp_path / "out.ome.zarr").exists()
    assert plan.raw_bytes == 8 * 29 * 23 * 20 * 4 and "pyramid" in plan.passes and plan.projected_bytes > 0
    assert "58x46x40" in str(plan) and "<table>" in plan._repr_html_()
    done = reslice.resample(scan(), tmp_path / "out.ome.zarr", scale=2, dtype="f32", chunk=16, pyramid=2)
    assert done.grid == plan.grid and done.dtype == plan.dtype == np.float32
    info = reslice.info(tmp_path / "out.ome.zarr")
    assert [level.shape for level in info.levels] == [(58, 46, 40), (29, 23, 40), (15, 12, 20)]
    assert info.levels[0].chunk == (16, 16, 16) and "<table>" in info._repr_html_()
    assert bool(reslice.verify(tmp_path / "out.ome.zarr"))


@pytest.mark.parametrize("like", ["path", "nibabel", "grid", "pair", "sitk", "volume", "image"])
def test_grids_of_all_kinds(scan, tmp_path, like):
    affine = oblique((2, 2, 2), 0.0)
    reference = scan("ref.nii", (11, 13, 7), np.uint8, affine)
    SimpleITK = pytest.importorskip("SimpleITK")
    given = {
        "path": lambda: reference,
        "nibabel": lambda: nibabel.load(reference),
        "grid": lambda: reslice.Grid((11, 13, 7), affine),
        "pair": lambda: ((11, 13, 7), affine),
        "sitk": lambda: SimpleITK.ReadImage(str(reference)),
        "volume": lambda: reslice.open(reference),
        "image": lambda: reslice.Image(np.zeros((11, 13, 7), np.uint8), affine),
    }[like]()
    done = reslice.resample(scan(), tmp_path / "out.nii", like=given)
    expected = reslice.resample(scan(), tmp_path / "expected.nii", like=reference)
    assert done.grid.shape == (11, 13, 7) and np.allclose(done.grid.affine, affine, atol=1e-6)
    comparison = reslice.compare(tmp_path / "out.nii", tmp_path / "expected.nii")
    assert comparison and comparison.same_geometry and expected.grid.shape == done.grid.shape


def test_progress_is_told_and_can_stop(scan, tmp_path):
    source = scan("big.nii", (200, 200, 100))
    told = []
    reslice.resample(source, tmp_path / "a.nii", spacing=0.6, progress=lambda done, total: told.append((done, total)))
    assert told and told[-1][0] == told[-1][1] > 0 and all(0 <= done <= total for done, total in told)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    with pytest.raises(reslice.StoppedError, match="stopped after"):
        reslice.resample(source, tmp_path / "b.nii.gz", spacing=0.3, progress=lambda done, total: False)
    assert not (tmp_path / "b.nii.gz").exists()

    def broken(done, total):
        raise RuntimeError("of the callback")

    with pytest.raises(RuntimeError, match="of the callback"):
        reslice.resample(source, tmp_path / "c.nii.gz", spacing=0.3, progress=broken)


def test_tqdm_and_lines(scan, tmp_path, capfd, monkeypatch):
    source = scan("big.nii", (120, 120, 60))
    reslice.resample(source, tmp_path / "a.nii", spacing=0.6, progress=True)
    assert "block" in capfd.readouterr().err
    monkeypatch.setitem(__import__("sys").modules, "tqdm.auto", None)
    reslice.resample(source, tmp_path / "b.nii", spacing=0.6, progress=True)
    assert "b.nii: 100 %" in capfd.readouterr().err


def test_warnings_are_warned_and_kept(tmp_path):
    labels = np.random.default_rng(0).choice([0, 1, 3, 17, 53], (6, 6, 6)).repeat(6, 0).repeat(6, 1).repeat(6, 2)
    nibabel.save(nibabel.Nifti1Image(labels.astype(np.uint8), np.eye(4)), tmp_path / "seg.nii.gz")
    with pytest.warns(reslice.ReslicingWarning, match="looks like labels"):
        done = reslice.resample(tmp_path / "seg.nii.gz", tmp_path / "out.nii.gz", spacing=0.7)
    assert any("interpolation='label'" in text for text in done.warnings)
    kept = reslice.resample(tmp_path / "seg.nii.gz", tmp_path / "kept.nii.gz", spacing=0.7, labels=True)
    assert kept.interpolation == "label" and not any("looks like" in text for text in kept.warnings)
    assert set(np.unique(nibabel.load(tmp_path / "kept.nii.gz").dataobj)) <= {0, 1, 3, 17, 53}


def test_compare_and_verify(scan, tmp_path):
    a, b = scan("a.nii"), tmp_path / "b.nii.gz"
    reslice.resample(a, b, dtype="f32")
    assert reslice.compare(a, b).different == 0
    reslice.resample(a, tmp_path / "c.nii", region=(slice(0, 29), (0, 23), (1, 20)))
    found = reslice.compare(a, tmp_path / "c.nii")
    assert not found and found.by == "place" and found.compared and not found.same_geometry
    assert reslice.compare(a, tmp_path / "c.nii", by="index").compared is None
    with pytest.raises(ValueError, match="expected"):
        reslice.compare(a, b, by="voxel")
    assert reslice.verify(b).ok
    b.write_bytes(b.read_bytes()[:-2000])
    broken = reslice.verify(b)
    assert not broken and broken.problems


def test_points_go_through_transforms(tmp_path):
    rng = np.random.default_rng(3)
    matrix = np.eye(4)
    matrix[:3] += rng.normal(0, 0.1, (3, 4))
    np.savetxt(tmp_path / "m.txt", matrix)
    points = rng.normal(0, 50, (100, 3))
    sent = reslice.transform_points(points, [tmp_path / "m.txt"])
    assert np.allclose(sent, points @ matrix[:3, :3].T + matrix[:3, 3], atol=1e-9)
    assert np.allclose(reslice.transform_points(sent, [tmp_path / "m.txt"], inverse=True), points, atol=1e-9)
    assert np.allclose(reslice.transform_points(sent, [(tmp_path / "m.txt", "inverse")]), points, atol=1e-9)
    flip = np.array([-1, -1, 1])
    assert np.allclose(reslice.transform_points(points * flip, [tmp_path / "m.txt"], lps=True), sent * flip)


def test_transforms_move_as_in_the_command(scan, tmp_path):
    matrix = np.eye(4)
    matrix[:3, 3] = (2.0, -1.0, 3.0)
    np.savetxt(tmp_path / "m.txt", matrix)
    there = reslice.resample(scan("a.nii"), tmp_path / "moved.nii", transforms=[tmp_path / "m.txt"])
    assert there.summary["transforms"] == [str(tmp_path / "m.txt")]
    back = reslice.resample(scan("a.nii"), tmp_path / "back.nii", transforms=[tmp_path / "m.txt", (tmp_path / "m.txt", "inverse")])
    assert reslice.compare(scan("a.nii"), tmp_path / "back.nii") and back.summary["mapping"] == "identity"
