"""The grid rules of the command, written down a second time, in nibabel's and numpy's words.

Triples are in file order (i, j, k); affines are 4x4 in f64, RAS+ millimetres.
"""

from dataclasses import dataclass

import nibabel as nib
import numpy as np
from nibabel import orientations

AXES = np.arange(3)


@dataclass
class Grid:
    shape: tuple
    affine: np.ndarray
    step: np.ndarray

    @property
    def voxels(self):
        return int(np.prod(self.shape))


def of(image):
    """The grid of an open NIfTI image; the header's spacing where the affine agrees with it to 1e-6."""
    header = image.header
    affine = np.asarray(header.get_sform() if header["sform_code"] > 0 else header.get_qform(), np.float64)
    norms = np.linalg.norm(affine[:3, :3], axis=0)
    stated = np.abs(np.asarray(header["pixdim"][1:4], np.float64))
    step = np.where(np.abs(stated - norms) <= 1e-6 * norms, stated, norms)
    return Grid(tuple(int(n) for n in image.shape[:3]), affine, step)


def crop(grid, region):
    lo = np.array([r[0] for r in region])
    hi = np.array([r[1] for r in region])
    return Grid(tuple(int(n) for n in hi - lo), shifted(grid.affine, lo), grid.step)


def orient(grid, codes):
    """The same voxels with permuted and flipped axes, and the `ornt` transform that nibabel makes of it."""
    start = orientations.io_orientation(grid.affine)
    change = orientations.ornt_transform(start, orientations.axcodes2ornt(tuple(codes)))
    affine = grid.affine @ orientations.inv_ornt_aff(change, grid.shape)
    shape, step = [0] * 3, np.zeros(3)
    for old, (new, _) in enumerate(change.astype(int)):
        shape[new], step[new] = grid.shape[old], grid.step[old]
    return Grid(tuple(shape), affine, step)


def resized(grid, align="origin", spacing=None, size=None, scale=None, isotropic=None):
    """The target grid for one of the sizing options, `align` as the command has it."""
    n, old = np.array(grid.shape), grid.step
    if isotropic is not None:
        spacing = np.full(3, old.min() if isotropic is True else isotropic)
    if spacing is not None:
        new = np.broadcast_to(np.asarray(spacing, np.float64), 3)
        m = counts(n * old / new)
    elif scale is not None:
        factor = np.broadcast_to(np.asarray(scale, np.float64), 3)
        m, new = counts(n * factor), old / factor
    elif size is not None:
        m = np.broadcast_to(np.asarray(size), 3)
        new = n * old / m
    else:
        m, new = n, old
    norm = np.linalg.norm(grid.affine[:3, :3], axis=0)
    length = np.array(new, np.float64)
    if align == "edges" or size is not None:
        new, length = n * old / m, n * norm / m
    # An axis that keeps size and step keeps its column, bit by bit.
    length = np.where((m == n) & (np.abs(new - old) <= 1e-6 * old), norm, length)
    ratio = length / norm
    first = {"origin": 0.0 * ratio, "edges": (ratio - 1) / 2, "center": (n - 1) / 2 - (m - 1) / 2 * ratio}[align]
    affine = shifted(grid.affine, first)
    affine[:3, :3] *= ratio
    return Grid(tuple(int(v) for v in m), affine, np.array(new))


def counts(exact):
    """`round`, half to even, nothing settled before; at least 1."""
    return np.maximum(1, np.rint(exact)).astype(int)


def shifted(affine, index):
    """`affine` with its origin moved to `index`."""
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ index
    return moved


def mapping(source, target):
    """Target index to source index, after the snap rule."""
    m = np.linalg.inv(source.affine) @ target.affine
    extent = np.maximum(np.array(target.shape) - 1, 1)
    for row in range(3):
        for column in range(3):
            for value in (0.0, 1.0, -1.0):
                if abs(m[row, column] - value) * extent[column] < 1e-4:
                    m[row, column] = value
        if abs(m[row, 3] - np.rint(m[row, 3])) < 1e-4:
            m[row, 3] = np.rint(m[row, 3])
    return m


def axis_aligned(m):
    """Per target axis: the source axis, scale and offset of an axis-aligned mapping."""
    rows = np.abs(m[:3, :3]).argmax(axis=0)
    assert sorted(rows) == [0, 1, 2] and (m[:3, :3] != 0).sum() == 3, f"not axis-aligned:\n{m}"
    return [(int(rows[a]), m[rows[a], a], m[rows[a], 3]) for a in AXES]


def load(path):
    return nib.load(path)


def raw(image):
    """The stored samples, no slope applied, as nibabel reads them."""
    return np.asanyarray(image.dataobj.get_unscaled())
