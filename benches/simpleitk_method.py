"""One ResampleImageFilter of SimpleITK, timed: the peer of benches/interpolators.py and benches/displacement.py.

    simpleitk_method.py INPUT METHOD SPACING THREADS [--crop X,Y,Z] [--transform FILE.tfm] [--field FILE.nii] [--dtype f32] [--out FILE]

METHOD by its name in reslice. The target has the source's origin and direction, as the usual script has them. `--crop` keeps that many
voxels of the middle. Prints one JSON line: seconds of reading, of Execute alone and, with `--out`, of writing, and voxels made.
"""

import argparse
import json
import time

import SimpleITK as sitk

METHODS = {
    "nearest": sitk.sitkNearestNeighbor,
    "linear": sitk.sitkLinear,
    "bspline3": sitk.sitkBSpline3,
    "sinc-lanczos": sitk.sitkLanczosWindowedSinc,
    "gaussian": sitk.sitkGaussian,
    "label": sitk.sitkLabelLinear,
    "label-gaussian": sitk.sitkLabelGaussian,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("method", choices=sorted(METHODS))
    parser.add_argument("spacing", type=float)
    parser.add_argument("threads", type=int)
    parser.add_argument("--crop")
    parser.add_argument("--transform")
    parser.add_argument("--field")
    parser.add_argument("--dtype", choices=["same", "f32"], default="same")
    parser.add_argument("--out")
    args = parser.parse_args()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(args.threads)
    start = time.perf_counter()
    image = sitk.ReadImage(args.source, sitk.sitkFloat32 if args.dtype == "f32" else sitk.sitkUnknown)
    seconds = {"read": time.perf_counter() - start}
    if args.crop:
        image = middle(image, [int(n) for n in args.crop.split(",")])
    resampler = filter_for(args, image)
    start = time.perf_counter()
    made = resampler.Execute(image)
    seconds["execute"] = time.perf_counter() - start
    if args.out:
        start = time.perf_counter()
        sitk.WriteImage(made, args.out)
        seconds["write"] = time.perf_counter() - start
    print(json.dumps({**seconds, "voxels": made.GetNumberOfPixels()}))


def filter_for(args, image):
    resampler = sitk.ResampleImageFilter()
    new = (args.spacing,) * 3
    resampler.SetOutputSpacing(new)
    resampler.SetSize([round(n * old / s) for n, old, s in zip(image.GetSize(), image.GetSpacing(), new)])
    resampler.SetOutputOrigin(image.GetOrigin())
    resampler.SetOutputDirection(image.GetDirection())
    resampler.SetInterpolator(METHODS[args.method])
    if args.transform:
        resampler.SetTransform(sitk.ReadTransform(args.transform))
    if args.field:
        resampler.SetTransform(sitk.DisplacementFieldTransform(sitk.ReadImage(args.field, sitk.sitkVectorFloat64)))
    return resampler


def middle(image, size):
    size = [min(n, want) for n, want in zip(image.GetSize(), size)]
    first = [(n - kept) // 2 for n, kept in zip(image.GetSize(), size)]
    return sitk.RegionOfInterest(image, size, first)


if __name__ == "__main__":
    main()
