"""Values held against SimpleITK: images built from f64 affines, on the snapped mapping.

Left out are voxels that have an axis within 1e-6 of a tie: half-way between two voxels for nearest, the border for every
kernel. Nearest must be equal; floats differ by at most 1e-5 of the largest source value; integers are equal wherever
the f64 value is farther from where the rounding jumps than 1e-6 of that (B-splines 1e-5), and off by at most 1 elsewhere.
Also left out are indices whose 4 sigma end on a voxel's face for the Gaussian, where rounding decides over a tap. B-splines are not
compared on axes of 2 voxels, where ITK reads outside its buffer.
"""

import numpy as np
import SimpleITK as sitk

import grids

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
KERNELS = {
    "nearest": sitk.sitkNearestNeighbor,
    "linear": sitk.sitkLinear,
    "bspline2": sitk.sitkBSpline2,
    "bspline3": sitk.sitkBSpline3,
    "bspline4": sitk.sitkBSpline4,
    "bspline5": sitk.sitkBSpline5,
    "sinc-hamming": sitk.sitkHammingWindowedSinc,
    "sinc-cosine": sitk.sitkCosineWindowedSinc,
    "sinc-welch": sitk.sitkWelchWindowedSinc,
    "sinc-lanczos": sitk.sitkLanczosWindowedSinc,
    "sinc-blackman": sitk.sitkBlackmanWindowedSinc,
    "gaussian": sitk.sitkGaussian,
}
TIE = 1e-6
# Of SimpleITK's Gaussian, in source voxels: where it is cut.
GAUSSIAN_REACH = 4 * 0.8


def check(samples, source, target, ours, interp, rounding="truncate"):
    """Holds `ours` (i, j, k) against SimpleITK's resampling of `samples` from `source` to `target`."""
    m = grids.mapping(source, target)
    assert ours.shape == target.shape, f"{ours.shape} is not the grid's {target.shape}"
    image = itk_image(samples, source.affine)
    reference = as_reference(target.shape, source.affine @ m)
    keep = kept(m, source.shape, target.shape, interp)
    largest = float(np.abs(samples).max())
    near = (1e-5 if is_spline(interp) else 1e-6) * largest
    assert not is_spline(interp) or 2 not in source.shape

    if interp == "nearest":
        theirs = resampled(image, reference, interp)
        differ, total = count_differing(ours, theirs, keep)
        assert total and not differ, f"{differ} of {total} voxels are not the nearest voxel's"
        return
    exact = resampled(sitk.Cast(image, sitk.sitkFloat64), reference, interp)
    if ours.dtype.kind == "f":
        check_floats(ours, exact, keep, 1e-5 * largest)
    elif rounding == "truncate":
        check_integers(ours, exact, resampled(image, reference, interp), keep, near, 0.0)
    else:
        check_integers(ours, exact, None, keep, near, 0.5)


def check_floats(ours, exact, keep, allowed):
    worst = 0.0
    for a, b in slabs(ours, exact, keep):
        assert not np.isnan(a).any(), "NaN in the target"
        worst = max(worst, float(np.abs(a.astype(np.float64) - b).max(initial=0.0)))
    assert worst <= allowed, f"differs by {worst}, allowed {allowed}"


def check_integers(ours, exact, theirs, keep, allowed, jump):
    """`jump` is the fraction at which the rounding goes to the next integer: 0 truncated, 0.5 to nearest."""
    wrong = far = total = 0
    theirs = exact if theirs is None else theirs
    holds = np.iinfo(ours.dtype)
    for a, b, c in slabs(ours, exact, keep, theirs):
        wanted = np.clip(np.floor(b + 0.5), holds.min, holds.max) if jump else c
        off = np.abs(a.astype(np.float64) - wanted)
        clear = np.abs(b - jump - np.rint(b - jump)) > allowed
        wrong += int((off[clear] != 0).sum())
        far += int((off > 1).sum())
        total += off.size
    assert total and not wrong and not far, f"{wrong} of {total} voxels differ, {far} by more than 1"


def count_differing(ours, theirs, keep):
    differ = total = 0
    for a, b in slabs(ours, theirs, keep):
        differ += int((a != b).sum())
        total += a.size
    return differ, total


def slabs(ours, theirs, keep, third=None):
    """Pairs (or triples) of kept voxels, a few planes at a time; everything in k, j, i order."""
    ours = ours.T
    ki, kj, kk = keep
    for at in range(0, ours.shape[0], 16):
        k = np.flatnonzero(kk[at : at + 16]) + at
        if k.size:
            pick = [a[k[0] : k[-1] + 1][np.ix_(k - k[0], kj.nonzero()[0], ki.nonzero()[0])]
                    for a in (ours, theirs, third) if a is not None]
            yield tuple(pick)


def kept(m, source_shape, target_shape, interp):
    """Per target axis, which indices are not within 1e-6 of a tie."""
    keep = []
    for axis, (source_axis, scale, offset) in enumerate(grids.axis_aligned(m)):
        c = scale * np.arange(target_shape[axis]) + offset
        if interp == "nearest":
            tie = np.abs(c + 0.5 - np.rint(c + 0.5)) <= TIE
        else:
            tie = (np.abs(c + 0.5) <= TIE) | (np.abs(c + 0.5 - source_shape[source_axis]) <= TIE)
        if interp == "gaussian":
            for end in (c + 0.5 - GAUSSIAN_REACH, c + 0.5 + GAUSSIAN_REACH):
                tie |= np.abs(end - np.rint(end)) <= TIE
        keep.append(~tie)
    return keep


def is_spline(interp):
    return interp.startswith("bspline")


def itk_image(samples, affine):
    """A SimpleITK image of samples in i, j, k order."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(samples.T))
    _place(image, affine)
    return image


def as_reference(shape, affine):
    """An empty SimpleITK filter that resamples to this grid."""
    step = np.linalg.norm(affine[:3, :3], axis=0)
    lps = RAS_TO_LPS @ affine
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize([int(n) for n in shape])
    resampler.SetOutputSpacing(step.tolist())
    resampler.SetOutputOrigin(lps[:3, 3].tolist())
    resampler.SetOutputDirection((lps[:3, :3] / step).ravel().tolist())
    return resampler


def resampled(image, resampler, interp):
    """The resampled samples, in k, j, i order."""
    resampler.SetInterpolator(KERNELS[interp])
    resampler.SetDefaultPixelValue(0)
    return sitk.GetArrayFromImage(resampler.Execute(image))


def _place(image, affine):
    step = np.linalg.norm(affine[:3, :3], axis=0)
    lps = RAS_TO_LPS @ affine
    image.SetSpacing(step.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / step).ravel().tolist())
