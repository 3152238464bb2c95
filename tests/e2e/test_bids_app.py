"""The BIDS app of examples/workflows/bids on a made-up dataset: names, grids, sidecars, what is done is passed over, what was stopped continues."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import command
from scans import save, straight

APP = Path(__file__).resolve().parents[2] / "examples" / "workflows" / "bids" / "reslice_bids.py"


def app(*args, expect=0, reslice=command.RESLICE):
    run = subprocess.run(
        [sys.executable, APP, *map(str, args)], env=os.environ | {"RESLICE": str(reslice)}, capture_output=True, text=True
    )
    assert run.returncode == expect, f"exit {run.returncode}\n{run.stdout}\n{run.stderr}"
    return run


@pytest.fixture
def dataset(tmp_path):
    """Two subjects; the second has sessions, a segmentation with a description and a run."""
    root, rng = tmp_path / "raw", np.random.default_rng(1)
    scan = rng.integers(0, 1000, (23, 19, 11), dtype=np.int16)
    regions = np.zeros((23, 19, 11), np.uint8)
    regions[:9], regions[9:, :8] = 3, 17
    for name, array in [
        ("sub-01/anat/sub-01_T1w.nii.gz", scan),
        ("sub-02/ses-a/anat/sub-02_ses-a_run-1_T2w.nii.gz", scan),
        ("sub-02/ses-a/anat/sub-02_ses-a_desc-manual_dseg.nii.gz", regions),
        ("sub-02/ses-a/func/sub-02_ses-a_task-rest_bold.nii.gz", scan),
    ]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        save(root / name, array, straight())
    (root / "dataset_description.json").write_text('{"Name": "made up", "BIDSVersion": "1.10.0"}')
    return root


def sidecar_of(image):
    return json.loads(image.with_name(image.name.replace(".nii.gz", ".json")).read_text())


def test_all_subjects(dataset, tmp_path):
    out = tmp_path / "derivatives"
    app(dataset, out, "participant", "--spacing", 1.5, "--mem-mb", 128, "--n-cpus", 1)
    made = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    images = {
        "sub-01/anat/sub-01_res-1p5mm_T1w",
        "sub-02/ses-a/anat/sub-02_ses-a_run-1_res-1p5mm_T2w",
        "sub-02/ses-a/anat/sub-02_ses-a_res-1p5mm_desc-manual_dseg",
    }
    assert made == {f"{image}{end}" for image in images for end in (".nii.gz", ".json")} | {"dataset_description.json"}

    about = json.loads((out / "dataset_description.json").read_text())
    assert about["DatasetType"] == "derivative" and about["GeneratedBy"][0]["Name"] == "reslice"
    assert (out / about["DatasetLinks"]["raw"]).resolve() == dataset
    for image in (out / f"{name}.nii.gz" for name in images):
        loaded, sidecar = nib.load(image), sidecar_of(image)
        assert list(loaded.shape) == sidecar["Shape"]
        np.testing.assert_allclose(loaded.header.get_zooms(), 1.5)
        np.testing.assert_allclose(loaded.affine[:3], sidecar["Affine"], atol=1e-5)
        assert sidecar["GeneratedBy"][0]["Version"] == about["GeneratedBy"][0]["Version"]
        [source] = sidecar["Sources"]
        assert (dataset / source.removeprefix("bids:raw:")).is_file()
    labels = nib.load(out / "sub-02/ses-a/anat/sub-02_ses-a_res-1p5mm_desc-manual_dseg.nii.gz")
    assert set(np.unique(labels.dataobj)) <= {0, 3, 17}


def test_one_subject_and_a_missing_one(dataset, tmp_path):
    app(dataset, tmp_path / "a", "participant", "--participant-label", "01")
    app(dataset, tmp_path / "b", "participant", "--participant-label", "sub-01")
    assert [path.name for path in sorted((tmp_path / "a").glob("sub-*"))] == ["sub-01"]
    name = "sub-01/anat/sub-01_res-1mm_T1w.nii.gz"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    run = app(dataset, tmp_path / "c", "participant", "--participant-label", "07", expect=1)
    assert "sub-07" in run.stderr


def test_what_is_done_is_passed_over_and_what_lost_its_sidecar_is_made_again(dataset, tmp_path):
    out = tmp_path / "out"
    app(dataset, out, "participant")
    image = out / "sub-01/anat/sub-01_res-1mm_T1w.nii.gz"
    sidecar = image.with_name(image.name.replace(".nii.gz", ".json"))
    before, when = image.read_bytes(), image.stat().st_mtime_ns
    app(dataset, out, "participant")
    assert image.stat().st_mtime_ns == when
    sidecar.unlink()
    app(dataset, out, "participant")
    assert image.read_bytes() == before and sidecar.exists()


def test_a_stop_ends_the_app_and_it_continues(dataset, tmp_path):
    """A command that is stopped once, before its second image."""
    out, stopper = tmp_path / "out", tmp_path / "reslice-stopped"
    stopper.write_text(
        f'#!/bin/sh\n[ "$1" = resample ] || exec "{command.RESLICE}" "$@"\n'
        f'echo x >> "{tmp_path}/count"\n[ "$(wc -l < "{tmp_path}/count")" = 2 ] && exit 75\nexec "{command.RESLICE}" "$@"\n'
    )
    stopper.chmod(0o755)
    app(dataset, out, "participant", expect=75, reslice=stopper)
    assert len(list(out.rglob("*.nii.gz"))) == 1
    app(dataset, out, "participant", reslice=stopper)
    assert len(list(out.rglob("*.nii.gz"))) == 3


def test_a_damaged_image_fails_and_the_others_are_made(dataset, tmp_path):
    scan = dataset / "sub-01/anat/sub-01_T1w.nii.gz"
    scan.write_bytes(scan.read_bytes()[:500])
    out = tmp_path / "out"
    run = app(dataset, out, "participant", expect=1)
    assert "error: " in run.stderr and "sub-01_T1w" in run.stderr
    assert len(list(out.rglob("*.nii.gz"))) == 2
