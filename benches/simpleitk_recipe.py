"""The usual SimpleITK script: to new spacing, same origin and direction, linear, compressed where the name says so.

    simpleitk_recipe.py INPUT OUTPUT SPACING

INPUT is an image, or a folder with one DICOM series.

Prints one JSON line: seconds for the import, and for each step of the job without it.
"""

import sys
import time

START = time.perf_counter()
import json  # noqa: E402
import os  # noqa: E402

import SimpleITK as sitk  # noqa: E402

IMPORTED = time.perf_counter()

source, target, step = sys.argv[1], sys.argv[2], float(sys.argv[3])
if os.path.isdir(source):
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(source))
    image = reader.Execute()
else:
    image = sitk.ReadImage(source)
READ = time.perf_counter()

new = (step, step, step)
size = [round(n * old / s) for n, old, s in zip(image.GetSize(), image.GetSpacing(), new)]
resampler = sitk.ResampleImageFilter()
resampler.SetOutputSpacing(new)
resampler.SetSize(size)
resampler.SetOutputOrigin(image.GetOrigin())
resampler.SetOutputDirection(image.GetDirection())
resampler.SetInterpolator(sitk.sitkLinear)
resampler.SetDefaultPixelValue(0)
resampled = resampler.Execute(image)
RESAMPLED = time.perf_counter()

sitk.WriteImage(resampled, target, useCompression=target.endswith(".gz"))
WRITTEN = time.perf_counter()

print(
    json.dumps(
        {
            "import": IMPORTED - START,
            "read": READ - IMPORTED,
            "resample": RESAMPLED - READ,
            "write": WRITTEN - RESAMPLED,
            "job": WRITTEN - IMPORTED,
            "spacing": [image.GetSpacing(), resampled.GetSpacing()],
        }
    )
)
