"""The command's manners: what goes to stdout, JSON that parses, exit codes, signals."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from command import RESLICE, digest, leftovers, refused, summary_of


@pytest.fixture
def scan(tmp_path):
    """A small oblique-free scan with a ramp in it."""
    ramp = np.add.outer(np.add.outer(np.arange(37) * 3, np.arange(41) * 5), np.arange(29) * 7).astype(np.int16)
    nib.save(nib.Nifti1Image(ramp, np.diag([1.0, 1.5, 2.0, 1.0])), tmp_path / "scan.nii.gz")
    return tmp_path / "scan.nii.gz"


def test_recipe_prints_both_grids(reslice, scan, tmp_path):
    run = reslice("resample", scan, tmp_path / "out.nii.gz", "--spacing", "0.8")
    assert run.stdout == ""
    for size in ("37", "41", "29", "46", "77", "72"):
        assert size in run.stderr, run.stderr


def test_info(reslice, scan):
    assert "37" in reslice("info", scan).stdout
    facts = json.loads(reslice("info", scan, "--json").stdout)
    assert isinstance(facts, dict)


def test_info_of_a_store(reslice, resample, scan, tmp_path):
    resample(scan, tmp_path / "out.zarr")
    json.loads(reslice("info", tmp_path / "out.zarr", "--json").stdout)


def test_compare(reslice, resample, scan, tmp_path):
    resample(scan, tmp_path / "copy.zarr")
    same = reslice("compare", scan, tmp_path / "copy.zarr", "--json")
    assert isinstance(json.loads(same.stdout), dict)

    image = nib.load(scan)
    changed = np.asanyarray(image.dataobj).copy()
    changed[3, 4, 5] += 2
    nib.save(nib.Nifti1Image(changed, image.affine), tmp_path / "changed.nii")
    differs = reslice("compare", scan, tmp_path / "changed.nii", "--json", expect=1)
    assert isinstance(json.loads(differs.stdout), dict)
    reslice("compare", scan, tmp_path / "changed.nii", "--tolerance", "2")
    reslice("compare", scan, tmp_path / "changed.nii", "--tolerance", "1.5", expect=1)

    resample(scan, tmp_path / "smaller.nii", "--scale", "0.5")
    reslice("compare", scan, tmp_path / "smaller.nii", expect=(1, 2))
    reslice("compare", scan, tmp_path / "nowhere.nii", expect=2)


def test_dry_run_writes_nothing(reslice, scan, tmp_path):
    out = tmp_path / "out.nii.gz"
    plan = json.loads(reslice("resample", scan, out, "--spacing", "0.8", "--dry-run=json").stdout)
    assert isinstance(plan, dict)
    assert reslice("resample", scan, out, "--spacing", "0.8", "--dry-run").stdout.strip()
    assert not out.exists() and not leftovers(out)


def test_summary(resample, scan, tmp_path):
    resample(scan, tmp_path / "out.nii.gz", "--spacing", "0.8", "--summary", tmp_path / "summary.json")
    summary = summary_of(tmp_path / "summary.json")
    assert summary["source"]["shape"] == [37, 41, 29]
    assert summary["target"]["shape"] == [46, 77, 72]
    assert summary["mapping"] == "axis_aligned"
    assert 0 < summary["peak_bytes"] <= summary["memory_bytes"]
    assert summary["missing_chunks"] == 0 and summary["version"]


def test_summary_names_the_way_out_of_outside_voxels(reslice, scan, tmp_path):
    run = reslice("resample", scan, tmp_path / "out.nii", "--spacing", "0.3")
    note = [line for line in run.stderr.splitlines() if line.startswith("note: the last ")]
    assert len(note) == 1 and "beyond the source and are 0, as in SimpleITK; --outside edge fills them" in note[0], run.stderr
    assert "--align edges" not in run.stderr


def test_progress_as_json_lines(reslice, scan, tmp_path):
    run = reslice("resample", scan, tmp_path / "out.nii", "--scale", "2", "--progress", "json")
    events = [json.loads(line) for line in run.stderr.splitlines()]
    assert {"begin", "note", "progress", "end"} <= {event["event"] for event in events}, run.stderr
    last = [event for event in events if event["event"] == "progress"][-1]
    assert (last["pass_number"], last["passes"]) == (1, 1) and last["resident_bytes"] > 0


def test_errors_and_warnings_among_json_lines(reslice, scan, tmp_path):
    run = reslice("resample", scan, tmp_path / "out.nii", "--memory", "1MiB", "--progress", "json", expect=2)
    [error] = [json.loads(line) for line in run.stderr.splitlines()]
    assert error["event"] == "error" and "too small" in error["text"] and "--memory" in error["hint"]
    run = reslice("resample", scan, tmp_path / "out.nii", "--scale", "0.3", "--progress", "json", "--summary", "-")
    events = [json.loads(line) for line in run.stderr.splitlines()]
    warned = [event["text"] for event in events if event["event"] == "warning"]
    assert any("aliases" in text for text in warned) and warned == json.loads(run.stdout)["warnings"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions(reslice, shell):
    assert "resample" in reslice("completions", shell).stdout


def test_man_and_help(reslice):
    assert ".TH" in reslice("man").stdout
    assert "resample" in reslice("--help").stdout
    assert "reslice" in reslice("--version").stdout


def test_demo(reslice, tmp_path):
    reslice("demo", tmp_path / "demo")
    made = [p for p in (tmp_path / "demo").rglob("*") if ".nii" in p.name]
    assert made
    for path in made:
        nib.load(path)


@pytest.mark.parametrize(
    "options",
    [
        ["--spacing", "0"],
        ["--spacing", "-1"],
        ["--spacing", "nan"],
        ["--spacing", "1,2"],
        ["--size", "0"],
        ["--scale", "0"],
        ["--spacing", "1", "--size", "5"],
        ["--orient", "RAL"],
        ["--orient", "XYZ"],
        ["--region", "0:0,0:5,0:5"],
        ["--region", "0:38,0:41,0:29"],
        ["--region", "5:2,0:41,0:29"],
        ["--interp", "magic"],
        ["--interp", "nearest", "--antialias", "--spacing", "3"],
        ["--memory", "lots"],
        ["--threads", "0"],
        ["--align", "left"],
        ["--nonsense"],
    ],
    ids=" ".join,
)
def test_usage_errors(scan, tmp_path, options):
    refused("resample", scan, tmp_path / "out.nii", *options, expect=2)
    assert not (tmp_path / "out.nii").exists() and not leftovers(tmp_path / "out.nii")


def test_no_arguments(reslice):
    reslice(expect=2)
    reslice("resample", expect=2)


def test_existing_target(scan, tmp_path):
    for name in ("out.nii", "out.nii.gz", "out.hdr", "out.img"):
        (tmp_path / name).write_bytes(b"precious")
    (tmp_path / "out.zarr").mkdir()
    (tmp_path / "out.zarr" / "precious").write_bytes(b"")
    for name in ("out.nii", "out.nii.gz", "out.hdr", "out.zarr"):
        run = refused("resample", scan, tmp_path / name, expect=2, says="exists")
        assert "hint: " in run.stderr and "--overwrite" in run.stderr
    assert {(tmp_path / n).read_bytes() for n in ("out.nii", "out.nii.gz", "out.hdr", "out.img")} == {b"precious"}
    assert (tmp_path / "out.zarr" / "precious").exists()


def test_target_is_the_source(scan):
    before = digest(scan)
    refused("resample", scan, scan)
    assert digest(scan) == before


def test_overwriting_the_source_reads_it_first(resample, scan):
    before = np.asanyarray(nib.load(scan).dataobj)
    resample(scan, scan, "--orient", "LAS", "--in-place")
    np.testing.assert_array_equal(np.asanyarray(nib.load(scan).dataobj), before[::-1])


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_signals_stop_the_run(data, tmp_path, sent):
    out = tmp_path / "out.nii.gz"
    argv = [RESLICE, "resample", data / "mr_head_512.nii.gz", out, "--spacing", "0.3", "--threads", "1"]
    run = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 20
    while not Path(f"{out}.reslice").exists() and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    assert run.poll() is None, "the run ended before it could be stopped"
    start = time.monotonic()
    os.kill(run.pid, sent)
    _, stderr = run.communicate(timeout=30)
    assert run.returncode == 75, stderr
    assert time.monotonic() - start < 10
    assert not out.exists()


def test_killed_run_leaves_no_target(data, resample, tmp_path):
    source, out = data / "mr_head_512.nii.gz", tmp_path / "out.zarr"
    argv = [RESLICE, "resample", source, out, "--spacing", "0.25", "--threads", "1"]
    for delay in (0.05, 0.3, 0.7):
        run = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        run.kill()
        run.wait()
        assert not out.exists()
        assert leftovers(out) in ([], ["out.zarr.reslice"])
    # What a killed run left does not stand in the way of the next one.
    resample(source, out, "--spacing", "0.5")
