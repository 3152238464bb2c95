"""The examples for Snakemake, Nextflow and Slurm: run where the engine can be had, else their scripts by bash."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import command
from scans import save, straight

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = ROOT / "examples" / "workflows"
SHAPE, FINE = (23, 19, 11), (16, 24, 28)


@pytest.fixture
def folder(tmp_path):
    """Two scans and a label map, and `reslice` on the path."""
    rng = np.random.default_rng(2)
    for place in ("scans", "labels", "bin"):
        (tmp_path / place).mkdir()
    for name in ("a", "b.c"):
        save(tmp_path / "scans" / f"{name}.nii.gz", rng.integers(0, 1000, SHAPE, dtype=np.int16), straight())
    regions = np.zeros(SHAPE, np.uint8)
    regions[:9], regions[9:, :8] = 3, 17
    save(tmp_path / "labels" / "a.nii.gz", regions, straight())
    (tmp_path / "bin" / "reslice").symlink_to(Path(command.RESLICE).resolve())
    return tmp_path


def run(folder, *words, expect=0, **variables):
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    run = subprocess.run(
        [str(word) for word in words], cwd=folder, env=os.environ | {"PATH": path} | variables, capture_output=True, text=True
    )
    assert run.returncode == expect, f"exit {run.returncode}: {words}\n{run.stdout}\n{run.stderr}"
    return run


def check(image):
    image = nib.load(image)
    assert image.shape == FINE
    np.testing.assert_allclose(image.header.get_zooms(), 1)
    return image


def test_snakemake(folder):
    python = subprocess.run([ROOT / "tests/e2e/venv", WORKFLOWS], check=True, capture_output=True, text=True).stdout.strip()
    snakemake = Path(python).with_name("snakemake")
    words = (snakemake, "-s", WORKFLOWS / "snakemake/Snakefile", "--cores", "2", "--config", "spacing=1")
    run(folder, *words, HOME=str(folder))
    for name in ("a", "b.c"):
        check(folder / f"fine/{name}.nii.gz")
        assert "Mvoxel/s" in (folder / f"logs/{name}.log").read_text()
    assert set(np.unique(check(folder / "fine-labels/a.nii.gz").dataobj)) <= {0, 3, 17}
    again = run(folder, *words, HOME=str(folder))
    assert "Nothing to be done" in again.stderr


def test_the_array_of_slurm(folder):
    (folder / "list.txt").write_text("scans/a.nii.gz\nscans/b.c.nii.gz\n")
    script = (WORKFLOWS / "slurm/scans.sbatch", "list.txt", "fine", "--spacing", "1")
    for task in ("2", "1", "1"):
        run(folder, "bash", *script, SLURM_ARRAY_TASK_ID=task, SLURM_CPUS_PER_TASK="1")
    for name in ("a", "b.c"):
        check(folder / f"fine/{name}.nii.gz")
    missing = run(folder, "bash", *script, SLURM_ARRAY_TASK_ID="3", SLURM_CPUS_PER_TASK="1", expect=2)
    assert "list.txt has no line 3" in missing.stderr


def nextflow_script(section, **values):
    """The script of a section of the module, with Groovy's names filled in."""
    text = (WORKFLOWS / "nextflow/modules/reslice/resample/main.nf").read_text()
    body = text.split(f"\n    {section}:\n")[1].split('"""')[1]
    body = body.replace("\\\\\n", "\\\n")
    filled = re.sub(r"\$\{([\w.]+)\}", lambda name: values[name[1]], body)
    assert "${" not in filled
    return filled


def test_the_scripts_of_the_nextflow_module(folder):
    names = {"prefix": "out", "suffix": "nii.gz", "scan": "scans/a.nii.gz", "args": "--spacing 1", "like": ""}
    limits = {"task.cpus": "1", "memory": "--memory 128MiB"}
    run(folder, "bash", "-ueo", "pipefail", "-c", nextflow_script("script", **names, **limits))
    check(folder / "out.nii.gz")
    summary = json.loads((folder / "out.summary.json").read_text())
    assert summary["target"]["shape"] == list(FINE) and summary["threads"] == 1
    like = names | {"prefix": "onto", "like": "--like labels/a.nii.gz", "args": ""}
    run(folder, "bash", "-ueo", "pipefail", "-c", nextflow_script("script", **like, **limits))
    assert nib.load(folder / "onto.nii.gz").shape == SHAPE
    run(folder, "bash", "-ueo", "pipefail", "-c", nextflow_script("stub", prefix="stub", suffix="nii.gz"))
    assert (folder / "stub.nii.gz").exists() and (folder / "stub.summary.json").exists()
    version = run(folder, "bash", "-c", "reslice --version | sed 's/reslice //'").stdout
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", version)


@pytest.mark.skipif(not shutil.which("nextflow"), reason="Nextflow is not installed")
@pytest.mark.parametrize("how", [(), ("-stub",)])
def test_nextflow(folder, how):
    main = WORKFLOWS / "nextflow" / "main.nf"
    run(folder, "nextflow", "-q", "run", main, "--scans", "scans/*.nii.gz", "--spacing", "1", *how)
    assert len(list((folder / "resampled").glob("*.nii.gz"))) == 2
