"""Values on any grid held against SimpleITK, oblique ones above all: what parity.py does for axis-aligned mappings.

The same rule: images built from f64 affines, on the snapped mapping, voxels left out that have an axis within 1e-6 of a
tie. Here ties are not whole planes: each voxel is judged by its own source index. For labels a tie is two labels
whose weights sum to within 2e-6 of each other.
"""

import math
from dataclasses import dataclass

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from nibabel.eulerangles import euler2mat

import grids
import parity

LABELS = {"label": sitk.sitkLabelLinear, "label-gaussian": sitk.sitkLabelGaussian}
METHODS = {**parity.KERNELS, **LABELS}
FAST = ["nearest", "linear"]
TURN = euler2mat(0.19, -0.09, 0.12)
# Of ITK's Gaussians, in source voxels: where they are cut.
REACH = {"gaussian": 4 * 0.8, "label-gaussian": 1.0}
LABEL_TIE = 2e-6
PLANES = 4


@dataclass
class Compared:
    """Voxels that were compared, those left out as ties, and what was found."""

    voxels: int = 0
    ties: int = 0
    worst: float = 0.0
    """Largest difference from the f64 value, of the largest source value; 0 for methods that copy voxels."""
    unequal: int = 0
    """Voxels that differ and may not: of copied ones any, of integers those whose f64 value is clear of a jump."""
    far: int = 0
    """Integers off by more than 1."""

    def hold(self):
        assert self.voxels and not self.unequal and not self.far, self
        assert self.worst <= 1e-5, self


def turned(source, factors, most=None, turn=TURN):
    """A grid rotated against `source` about its centre, of its extent, its steps multiplied by `factors`.

    With `most`, no axis has more voxels; what is left then lies over the first corner, faces and outside included.
    """
    shape = np.maximum(1, np.rint(np.array(source.shape) / factors)).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = turn @ source.affine[:3, :3] * factors
    middle = (np.array(source.shape) - 1) / 2
    if most:
        shape = np.minimum(shape, most)
        middle = np.minimum(middle, (shape * factors) * 0.4)
    centre = source.affine[:3, :3] @ middle + source.affine[:3, 3]
    affine[:3, 3] = centre - affine[:3, :3] @ ((shape - 1) / 2)
    return grids.Grid(tuple(int(n) for n in shape), affine, source.step * factors)


def reference_file(path, grid):
    """Writes an empty volume on `grid`; gives the grid as it stands in the file, where affines are f32."""
    image = nib.Nifti1Image(np.zeros(grid.shape, np.uint8), grid.affine)
    nib.save(image, path)
    return grids.of(nib.load(path))


def compare(samples, source, target, ours, interp):
    """Tallies `ours` (i, j, k) against SimpleITK's resampling of `samples` from `source` to `target`, truncated."""
    assert ours.shape == target.shape, f"{ours.shape} is not the grid's {target.shape}"
    assert not beyond_itk(interp, source.shape)
    m = grids.mapping(source, target)
    image, reference = parity.itk_image(samples, source.affine), parity.as_reference(target.shape, source.affine @ m)
    copied, whole = interp == "nearest" or interp in LABELS, ours.dtype.kind != "f"
    theirs = executed(image, reference, interp) if copied or whole else None
    exact = None if copied else executed(sitk.Cast(image, sitk.sitkFloat64), reference, interp)
    largest = float(np.abs(samples).max())
    near = (1e-5 if parity.is_spline(interp) else 1e-6) * largest

    found = Compared()
    for k in range(0, target.shape[2], PLANES):
        slab = slice(k, min(k + PLANES, target.shape[2]))
        keep = ~ties(samples, m, source.shape, target.shape, slab, interp)
        mine = ours.T[slab][keep]
        found.voxels += mine.size
        found.ties += keep.size - mine.size
        if copied:
            found.unequal += int((mine != theirs[slab][keep]).sum())
            continue
        real, mine = exact[slab][keep], mine.astype(np.float64)
        if not whole:
            assert not np.isnan(mine).any(), "NaN in the target"
            found.worst = max(found.worst, float(np.abs(mine - real).max(initial=0.0)) / largest)
            continue
        off = np.abs(mine - theirs[slab][keep])
        found.unequal += int((off[np.abs(real - np.rint(real)) > near] != 0).sum())
        found.far += int((off > 1).sum())
    return found


def beyond_itk(interp, shape):
    """Whether a B-spline's taps leave an axis a second time after they were mirrored, where ITK reads outside its buffer."""
    return parity.is_spline(interp) and min((n for n in shape if n > 1), default=9) <= (3 if interp == "bspline5" else 2)


def executed(image, reference, interp):
    """SimpleITK's samples, in k, j, i order."""
    reference.SetInterpolator(METHODS[interp])
    reference.SetDefaultPixelValue(0)
    return sitk.GetArrayFromImage(reference.Execute(image))


def source_index(m, shape, slab):
    """Continuous source index of each target voxel of the planes `slab`: shape (k, j, i, 3), last axis i, j, k."""
    k, j, i = np.ogrid[slab, : shape[1], : shape[0]]
    return np.stack([m[a, 0] * i + m[a, 1] * j + m[a, 2] * k + m[a, 3] for a in range(3)], axis=-1)


def ties(samples, m, source_shape, target_shape, slab, interp):
    """Which voxels rounding decides: indices near a half or a border, ends of a cut Gaussian on a face, equal labels."""
    c = source_index(m, target_shape, slab)
    tie = near_whole(c + 0.5) if interp == "nearest" else near(c, -0.5) | near(c, np.array(source_shape) - 0.5)
    if interp in REACH:
        tie |= near_whole(c + 0.5 - REACH[interp]) | near_whole(c + 0.5 + REACH[interp])
    tie = tie.any(axis=-1)
    if interp in LABELS:
        weighed = ~tie & ((c > -0.5) & (c < np.array(source_shape) - 0.5)).all(axis=-1)
        tie[weighed] = gaps(samples, c[weighed], interp) <= LABEL_TIE
    return tie


def near(c, at):
    return np.abs(c - at) <= parity.TIE


def near_whole(c):
    return near(c, np.rint(c))


def gaps(samples, c, interp, batch=8192):
    """How far the heaviest label's share is above the second's at the source indices `c`, (n, 3) in i, j, k order."""
    return np.concatenate([_best(*label_weights(samples, part, interp))[1] for part in _parts(c, batch)])


def heaviest(samples, c, interp, batch=8192):
    """The label whose weights sum highest at each source index; ties are left to chance."""
    return np.concatenate([_best(*label_weights(samples, part, interp))[0] for part in _parts(c, batch)])


def label_weights(samples, c, interp):
    """Labels and weights around each index, (n, taps); edge voxels repeat for the linear weights."""
    axes = [_linear(c[:, a]) if interp == "label" else _gaussian(c[:, a], samples.shape[a]) for a in range(3)]
    at = [np.clip(index, 0, n - 1) for (index, _), n in zip(axes, samples.shape)]
    labels = samples[at[0][:, :, None, None], at[1][:, None, :, None], at[2][:, None, None, :]]
    (_, x), (_, y), (_, z) = axes
    weights = x[:, :, None, None] * y[:, None, :, None] * z[:, None, None, :]
    return labels.reshape(len(c), -1), weights.reshape(len(c), -1)


def _linear(c):
    first = np.floor(c)
    return first[:, None].astype(int) + [0, 1], np.stack([first + 1 - c, c - first], axis=1)


def _gaussian(c, n):
    """Integrals over the voxels within 1 sigma = 1 voxel, none outside the source."""
    erf = np.vectorize(math.erf)
    first, last = np.floor(c - 0.5)[:, None], np.ceil(c + 1.5)[:, None] - 1
    index = first + [0, 1, 2]
    edge = (index - 0.5 - c[:, None]) / np.sqrt(2)
    weights = erf(edge + 1 / np.sqrt(2)) - erf(edge)
    return index.astype(int), np.where((index <= last) & (index >= 0) & (index < n), weights, 0.0)


def _best(labels, weights):
    """Per row the heaviest label, and its share of all weights less that of the next label."""
    sums = np.einsum("nst,nt->ns", labels[:, :, None] == labels[:, None, :], weights) / weights.sum(axis=1)[:, None]
    first = sums.argmax(axis=1)[:, None]
    best = np.take_along_axis(labels, first, axis=1)
    top = np.take_along_axis(sums, first, axis=1)[:, 0]
    return best[:, 0], top - np.where(labels == best, 0.0, sums).max(axis=1)


def _parts(c, batch):
    return [c[at : at + batch] for at in range(0, max(len(c), 1), batch)]
