"""docs/coming-from.md, both sides: the Python of a section, then its `reslice` lines, in one folder; grids and values are held against each other."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import zarr

import command
from scans import save

PAGE = Path(__file__).resolve().parents[2] / "docs" / "coming-from.md"
ITK = (
    "#Insight Transform File V1.0\n#Transform 0\nTransform: AffineTransform_double_3_3\n"
    "Parameters: 0.995 -0.0998 0 0.0998 0.995 0 0 0 1 0.3 -0.2 0.1\nFixedParameters: 0 0 0\n"
)


def section(name):
    """Python and shell of a section; both must be there."""
    text = re.search(rf"^## {re.escape(name)}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)[1]
    python, shell = (re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL) for kind in ("python", "sh"))
    assert len(python) == 1 and len(shell) == 1, name
    return python[0], shell[0]


def both(name, folder):
    python, shell = section(name)
    env = os.environ | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    for argv in ([sys.executable, "-W", "ignore", "-c", python], ["sh", "-euc", shell]):
        run = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True)
        assert run.returncode == 0, f"{name}: {run.stdout}{run.stderr}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files that the page names: smooth noise, so that rounding is what is left."""
    folder, rng = tmp_path_factory.mktemp("both"), np.random.default_rng(6)

    def affine(step, origin=(-7, 8, 9.5)):
        return np.array(np.diag([*step, 1.0])) + np.array([[0, 0, 0, o] for o in (*origin, 0)])

    scan, reference = (rng.integers(0, 1000, shape, dtype=np.int16) for shape in ((29, 23, 20), (25, 20, 24)))
    save(folder / "scan.nii.gz", scan, affine((0.5, 0.75, 3)))
    save(folder / "reference.nii.gz", reference, affine((0.6, 0.8, 2.5)))
    regions = np.kron(rng.integers(0, 5, (6, 5, 4), dtype=np.uint8), np.ones((5, 5, 5), np.uint8))
    save(folder / "labels.nii.gz", regions * np.uint8(7), affine((1, 1, 1)))
    field = rng.normal(0, 0.2, (9, 8, 12, 1, 3)).astype(np.float32)
    warp = nib.Nifti1Image(field, affine((3, 3, 6), (-12, 4, 4)))
    warp.header.set_intent(1007)
    nib.save(warp, folder / "warp.nii.gz")
    (folder / "turn.tfm").write_text(ITK)
    (folder / "points.csv").write_text("x,y,z\n1,2,3\n")
    (folder / "bin").mkdir()
    (folder / "bin" / "reslice").symlink_to(Path(command.RESLICE).resolve())
    return folder


def held(folder, theirs, ours, within, source="scan.nii.gz", to_centres=False):
    """Same affine and size, or theirs as nibabel has it; values within `within` between the outermost centres of the source."""
    theirs, ours, source = (nib.load(folder / name) for name in (theirs, ours, source))
    np.testing.assert_allclose(theirs.affine, ours.affine, atol=1e-5)
    steps = [np.array(image.header.get_zooms(), float) for image in (source, ours)]
    centres = tuple(np.ceil((np.array(source.shape) - 1) * steps[0] / steps[1] - 1e-6).astype(int) + 1)
    assert theirs.shape == (centres if to_centres else ours.shape)
    shape = tuple(min(n) for n in zip(theirs.shape, ours.shape))
    to_source = np.linalg.inv(source.affine) @ ours.affine
    index = np.moveaxis(np.indices(shape), 0, -1) @ to_source[:3, :3].T + to_source[:3, 3]
    inside = np.all((index >= 0) & (index <= np.array(source.shape[:3]) - 1), axis=-1)
    assert inside.mean() > 0.3
    apart = np.abs(theirs.get_fdata()[tuple(slice(n) for n in shape)] - ours.get_fdata()[tuple(slice(n) for n in shape)])[inside]
    assert apart.max() <= within, (apart.max(), np.mean(apart > within))
    return apart


def test_simpleitk(folder):
    both("SimpleITK", folder)
    apart = held(folder, "sitk.nii.gz", "out.nii.gz", 1)
    subprocess.run([command.RESLICE, "resample", "scan.nii.gz", "rounded.nii.gz", "--spacing", "1", "-q"], cwd=folder, check=True)
    assert np.mean(apart > 0) < 0.1 < np.mean(held(folder, "sitk.nii.gz", "rounded.nii.gz", 1) > 0)


def test_nibabel_and_nilearn(folder):
    both("nibabel and nilearn", folder)
    held(folder, "nilearn-two.nii.gz", "two.nii.gz", 1, to_centres=True)
    held(folder, "nilearn-like.nii.gz", "like.nii.gz", 1)
    held(folder, "nilearn-labels.nii.gz", "labels-like.nii.gz", 0, source="labels.nii.gz")
    held(folder, "nibabel-one.nii.gz", "one.nii.gz", 1, to_centres=True)
    held(folder, "nibabel-like.nii.gz", "from-to.nii.gz", 1)
    held(folder, "nibabel-ras.nii.gz", "ras.nii.gz", 0)


def test_ants(folder):
    both("ANTs", folder)
    for theirs, ours, within in [("warped", "warped", 0.51), ("generic", "generic", 0), ("one", "spacing", 0.51)]:
        name = "ants-spacing" if ours == "spacing" else ours
        a, b = nib.load(folder / f"ants-{theirs}.nii.gz"), nib.load(folder / f"{name}.nii.gz")
        np.testing.assert_allclose(a.affine, b.affine, atol=1e-5)
        shape = tuple(slice(min(n)) for n in zip(a.shape, b.shape))
        apart = np.abs(a.get_fdata()[shape] - b.get_fdata()[shape])
        assert all(0 <= n - m <= 1 for n, m in zip(a.shape, b.shape)) and apart.max() <= within, (theirs, apart.max())


def test_dask_image_and_ngff_zarr(folder):
    both("dask-image, ngff-zarr, ome-zarr-py", folder)
    coarse, ours = np.load(folder / "dask.npy"), np.asarray(nib.load(folder / "coarse.nii.gz").dataobj).T
    assert coarse.shape == ours.shape and np.abs(coarse.astype(float) - ours).max() <= 1
    theirs, level = zarr.open(folder / "ngff.ome.zarr")["scale1/image"][...], zarr.open(folder / "out.ome.zarr/1")[...]
    assert theirs.shape == (20, 11, 14) and level.shape == (20, 12, 15)
    assert np.abs(theirs.astype(float) - level[:, :11, :14]).max() <= 1
