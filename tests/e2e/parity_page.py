"""Writes the tables of docs/parity.md: every method beside the peers that have it, on every scan.

    $(tests/e2e/venv) tests/e2e/parity_page.py [--scans NAME,...]

RESLICE and RESLICE_DATA as for tests/e2e/run. Accuracy only: the machine may be busy.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "benches")]
os.environ.setdefault("RESLICE", str(HERE.parents[1] / "target" / "release" / "reslice"))

import nibabel as nib  # noqa: E402
import numpy as np  # noqa: E402
import scipy  # noqa: E402
import SimpleITK as sitk  # noqa: E402
from nibabel.processing import resample_from_to  # noqa: E402
from scipy import ndimage  # noqa: E402

import grids  # noqa: E402
import oblique  # noqa: E402
import scans  # noqa: E402
import test_spm  # noqa: E402
from command import resample  # noqa: E402
from performance import replaced  # noqa: E402
from tables import markdown  # noqa: E402
from test_parity import SCANS, spacing, triple, volumes  # noqa: E402
from test_parity_oblique import FACTORS, MIDDLES, MOST, crop_around  # noqa: E402

PAGE = HERE.parents[1] / "docs" / "parity.md"
GRIDS = [(kind, way) for kind in ("aligned", "oblique") for way in FACTORS]
ORDERS = ["nearest", "linear", "bspline2", "bspline3", "bspline4", "bspline5"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("RESLICE_DATA", HERE.parents[2] / "shared" / "data"), type=Path)
    parser.add_argument("--scans", default=",".join(SCANS))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reslice-parity-") as folder:
        folder = Path(folder)
        peers = f"SimpleITK {sitk.__version__}, scipy {scipy.__version__}, nibabel {nib.__version__}."
        written("peers", peers)
        written("simpleitk", simpleitk_table(args.data, args.scans.split(","), folder))
        written("scipy", scipy_table(folder))
        written("nibabel", nibabel_table(folder))
    print(f"wrote docs/{PAGE.name}")


def written(name, text):
    print(text, file=sys.stderr)
    PAGE.write_text(replaced(PAGE.read_text(), name, text))


def simpleitk_table(data, names, folder):
    heads = ["`--interp`", *(f"{kind}, {way}" for kind, way in GRIDS), "thousand voxels", "integers wrong", "ties left out"]
    rows = []
    for interp in oblique.METHODS:
        total, worsts = oblique.Compared(), []
        for kind, way in GRIDS:
            one = oblique.Compared()
            for name in names:
                for found in scan_compared(data / f"{name}.nii.gz", name, folder, interp, kind, way):
                    add(one, found)
            worsts.append("equal" if copies(interp) and not one.unequal else figure(one.worst))
            add(total, one)
        rows.append([f"`{interp}`", *worsts, f"{total.voxels / 1e3:.0f}", total.unequal + total.far, total.ties])
        print(rows[-1], file=sys.stderr)
    return markdown(heads, rows)


def figure(number):
    return f"{number:.0e}" if number else "0"


def copies(interp):
    return interp == "nearest" or interp in oblique.LABELS


def add(total, found):
    total.voxels += found.voxels
    total.ties += found.ties
    total.unequal += found.unequal
    total.far += found.far
    total.worst = max(total.worst, found.worst)


def scan_compared(path, name, folder, interp, kind, way):
    """One tally per volume and type of one scan on one grid."""
    image = grids.load(path)
    is_float = image.get_data_dtype().kind == "f"
    if interp in oblique.LABELS and is_float:
        return
    source, samples, options = grids.of(image), grids.raw(image), []
    if interp not in oblique.FAST:
        region = crop_around(image.shape, MIDDLES[name], FACTORS[way])
        source, samples = grids.crop(source, region), samples[tuple(slice(lo, hi) for lo, hi in region)]
        options = ["--region", ",".join(f"{lo}:{hi}" for lo, hi in region)]
    target, asked = onto(folder, source, kind, FACTORS[way])
    for dtype in ["same"] if copies(interp) or is_float else ["same", "f32"]:
        given = [*options, *asked, "--interp", interp, "--dtype", dtype, "--raw"]
        given += [] if is_float or dtype == "f32" else ["--rounding", "truncate"]
        resample(path, folder / "out.nii", *given, "--overwrite")
        for before, after in zip(volumes(samples), volumes(grids.raw(nib.load(folder / "out.nii"))), strict=True):
            yield oblique.compare(before, source, target, after, interp)


def onto(folder, source, kind, factors):
    """A target grid with the options that ask for it."""
    if kind == "oblique":
        most = MOST if source.voxels > 1e6 else None
        target = oblique.reference_file(folder / "like.nii", oblique.turned(source, factors, most))
        return target, ["--like", folder / "like.nii"]
    steps = spacing(source, factors)
    if source.voxels > 1e7:
        steps = [2 * s for s in steps]
    return grids.resized(source, spacing=steps), ["--spacing", triple(steps)]


def scipy_table(folder):
    """Noise in f64, up to half a voxel beyond the outermost centres, where B-splines mirror."""
    rows = []
    for order, interp in enumerate(ORDERS):
        row = [f"`{interp}`"]
        for shape in [(23, 19, 29), (3, 5, 7), (2, 31, 7)]:
            worst = voxels = 0
            for kind in ("aligned", "oblique"):
                off = off_scipy(folder, shape, kind, order, interp)
                worst, voxels = max(worst, float(off.max())), voxels + off.size
            row.append(f"{figure(worst)} ({voxels})")
        rows.append(row)
    return markdown(["`--interp`", "23x19x29", "3x5x7", "2x31x7"], rows)


def off_scipy(folder, shape, kind, order, interp):
    """Differences of the largest source value, at every target voxel inside."""
    samples = scans.samples("f8", shape)
    scans.save(folder / "in.nii", samples, scans.tilted())
    source = grids.of(nib.load(folder / "in.nii"))
    target, options = onto(folder, source, kind, FACTORS["up"])
    resample(folder / "in.nii", folder / "out.nii", *options, "--interp", interp, "--overwrite")
    m, planes = grids.mapping(source, target), slice(0, target.shape[2])
    c = oblique.source_index(m, target.shape, planes)
    theirs = ndimage.map_coordinates(samples, c.T, order=order, mode="nearest" if order < 2 else "mirror")
    keep = ~oblique.ties(samples, m, shape, target.shape, planes, interp)
    keep &= ((c > -0.5) & (c < np.array(shape) - 0.5)).all(axis=-1)
    off = np.abs(grids.raw(nib.load(folder / "out.nii")) - theirs)[keep.T]
    return off / np.abs(samples).max()


def nibabel_table(folder):
    """What SPM12 made, and nibabel's own resampling of the same volume."""
    image, functional = test_spm.moved(), nib.load(test_spm.DATA / "functional.nii")
    like = nib.Nifti1Image(functional.dataobj[..., 0], functional.affine)
    rows = []
    for name, grid in [("resampled_anat_moved.nii", like), ("reoriented_anat_moved.nii", test_spm.straight(image))]:
        ours = test_spm.onto(resample, folder, image, grid, "--overwrite")
        rows.append(row_of(f"SPM12: `{name}`, linear", image, ours, nib.load(test_spm.DATA / name)))
    for order, interp in enumerate(ORDERS):
        ours = test_spm.onto(resample, folder, image, like, "--interp", interp, "--overwrite")
        theirs = resample_from_to(image, like, order=order, mode="mirror")
        rows.append(row_of(f"`resample_from_to`, order {order}: `{interp}`", image, ours, theirs))
    return markdown(["peer", "voxels", "largest difference of max\\|source\\|"], rows)


def row_of(name, image, ours, theirs):
    inside = test_spm.between_centres(image, theirs)
    off = np.abs(ours.get_fdata() - np.asarray(theirs.dataobj))[inside]
    return [name, int(inside.sum()), figure(off.max() / np.abs(image.get_fdata()).max())]


if __name__ == "__main__":
    main()
