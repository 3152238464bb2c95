"""The usual out-of-core script: dask-image's affine_transform, linear, from one Zarr array to another, two workers.

    dask_image_recipe.py SOURCE TARGET STEP_Z,STEP_Y,STEP_X WORKERS

Steps are those of the target in source voxels; the first voxel keeps its place. Prints one JSON line of seconds.
"""

import json
import sys
import time

START = time.perf_counter()
import dask  # noqa: E402
import dask.array as da  # noqa: E402
import numpy as np  # noqa: E402
import zarr  # noqa: E402
from dask_image.ndinterp import affine_transform  # noqa: E402

from volume import CHUNK, create  # noqa: E402

IMPORTED = time.perf_counter()

source, target, steps, workers = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
steps = np.array([float(step) for step in steps.split(",")])
zarr.config.set({"threading.max_workers": workers})
image = da.from_zarr(source)
shape = tuple(round(n / step) for n, step in zip(image.shape, steps))
# A matrix, although it is diagonal: with a vector of factors dask-image shifts every chunk by the same offset.
resampled = affine_transform(image, np.diag(steps), order=1, output_shape=shape, output_chunks=(CHUNK,) * 3)
with dask.config.set(scheduler="threads", num_workers=workers):
    resampled.to_zarr(create(target, shape))
DONE = time.perf_counter()

print(json.dumps({"import": IMPORTED - START, "job": DONE - IMPORTED}))
