"""A synthetic atlas of 64-bit labels, 5 and 5 000 of them, aligned and oblique: no label invented, none but the heaviest."""

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial import cKDTree

import command
import grids
import oblique
import scans
from test_parity import triple

SHAPE = (61, 53, 67)
GRIDS = ["aligned", "oblique"]
FACTORS = {"up": (0.61, 0.83, 0.77), "down": (1.37, 2.21, 1.73)}


def atlas(count, dtype, shape=SHAPE, seed=5):
    """Voxels of `count` random places' nearest neighbourhoods, by labels that no f64 tells apart."""
    rng = np.random.default_rng(seed)
    at = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
    _, nearest = cKDTree(rng.uniform(0, shape, (count, 3))).query(at)
    number = np.arange(count).astype(dtype)
    top = np.iinfo(dtype).max
    return np.where(number % 2, top - number, top // 3 - number).astype(dtype)[nearest]


@pytest.fixture(scope="module", params=[(5, "u8"), (5000, "u8"), (5000, "i8")], ids=["5", "5000", "5000 signed"])
def labels(request):
    count, dtype = request.param
    made = atlas(count, np.dtype(dtype).type)
    assert len(np.unique(made)) > 0.9 * count
    return made


def onto(folder, source, grid, factors):
    """The target of one test, with the options that ask for it."""
    if grid == "oblique":
        target = oblique.reference_file(folder / "like.nii", oblique.turned(source, factors))
        return target, ["--like", folder / "like.nii"]
    steps = [round(float(step * f), 3) for step, f in zip(source.step, factors)]
    return grids.resized(source, "edges", spacing=steps), ["--spacing", triple(steps), "--align", "edges"]


def resampled(resample, folder, samples, grid, interp, factors):
    scans.save(folder / "in.nii", samples, scans.tilted())
    source = grids.of(nib.load(folder / "in.nii"))
    target, options = onto(folder, source, grid, FACTORS[factors])
    resample(folder / "in.nii", folder / "out.nii", "--interp", interp, *options)
    ours = grids.raw(nib.load(folder / "out.nii"))
    assert ours.dtype == samples.dtype and ours.shape == target.shape
    return source, target, ours


@pytest.mark.parametrize("factors", FACTORS)
@pytest.mark.parametrize("interp", ["nearest", "label", "label-gaussian", "mode"])
@pytest.mark.parametrize("grid", GRIDS)
def test_no_label_is_invented(resample, tmp_path, labels, grid, interp, factors):
    *_, ours = resampled(resample, tmp_path, labels, grid, interp, factors)
    found = np.unique(ours)
    allowed = np.unique(labels)
    if grid == "oblique":
        allowed = np.append(allowed, labels.dtype.type(0))
    strange = np.setdiff1d(found, allowed)
    assert not strange.size, f"{strange.size} labels that the source has not: {strange[:3]}"
    assert len(found) > 0.7 * min(len(np.unique(labels)), ours.size / 20)


@pytest.mark.parametrize("factors", FACTORS)
@pytest.mark.parametrize("interp", sorted(oblique.LABELS))
@pytest.mark.parametrize("grid", GRIDS)
def test_the_heaviest_label_wins(resample, tmp_path, labels, grid, interp, factors):
    """Every voxel of each third plane that is not a tie, by the definition in numpy."""
    source, target, ours = resampled(resample, tmp_path, labels, grid, interp, factors)
    m = grids.mapping(source, target)
    compared = 0
    for k in range(0, target.shape[2], 3):
        slab = slice(k, k + 1)
        c = oblique.source_index(m, target.shape, slab)
        keep = ~oblique.ties(labels, m, labels.shape, target.shape, slab, interp)
        keep &= ((c > -0.5) & (c < np.array(labels.shape) - 0.5)).all(axis=-1)
        np.testing.assert_array_equal(ours.T[slab][keep], oblique.heaviest(labels, c[keep], interp))
        compared += int(keep.sum())
    assert compared > 0.15 * ours.size


@pytest.mark.parametrize("interp", sorted(oblique.LABELS))
def test_ties_go_to_the_lower_label(resample, tmp_path, interp):
    """Half-way between two labels, in either order, 2^63 apart in one bit."""
    low, high = 2**63, 2**63 + 1
    samples = np.array([low, high, low, high, high, low], np.uint64).reshape(6, 1, 1)
    nib.save(nib.Nifti1Image(samples, np.eye(4), dtype=samples.dtype), tmp_path / "in.nii")
    resample(tmp_path / "in.nii", tmp_path / "out.nii", "--spacing", "0.5,1,1", "--interp", interp)
    ours = grids.raw(nib.load(tmp_path / "out.nii")).ravel()
    # Two neighbours together outweigh the voxel between them by a Gaussian.
    assert interp != "label" or ours.tolist()[:11:2] == samples.ravel().tolist()
    assert ours.tolist()[1:10:2] == [low, low, low, high, low]


@pytest.fixture
def named(tmp_path):
    """A volume whose header says that it holds labels, and the same without that."""
    paths = [tmp_path / "labels.nii.gz", tmp_path / "numbers.nii.gz"]
    for path, intent in zip(paths, ["label", "none"]):
        image = nib.Nifti1Image((atlas(5, np.int16) % 4001).astype(np.int16), np.eye(4))
        image.header.set_intent(intent)
        nib.save(image, path)
    return paths


@pytest.mark.parametrize("interp", ["linear", "cubic", "bspline", "lanczos", "sinc-welch", "gaussian", "mean", "median"])
def test_labels_are_not_mixed(named, tmp_path, interp):
    says = ["holds labels", interp, "hint:", "--interp label"]
    command.refused("resample", named[0], tmp_path / "out.nii", "--spacing", "0.7", "--interp", interp, expect=2, says=says)
    command.resample(named[1], tmp_path / "out.nii", "--spacing", "0.7", "--interp", interp)


def test_auto_takes_what_suits_the_voxels(resample, named, tmp_path):
    noise = tmp_path / "noise.nii.gz"
    nib.save(nib.Nifti1Image(np.random.default_rng(7).integers(0, 4001, (20, 23, 29)).astype(np.int16), np.eye(4)), noise)
    for source, same_as in zip([*named, noise], ["label", "label", "linear"]):
        for interp in ["auto", same_as]:
            resample(source, tmp_path / f"{interp}.nii", "--spacing", "0.7", "--interp", interp, "--overwrite")
        assert command.digest(tmp_path / "auto.nii") == command.digest(tmp_path / f"{same_as}.nii")
