"""A mean pyramid by tensorstore: each level written from the stored level above through the `downsample` driver.

A slab of chunks at a time: a level in one write takes as long and three times the memory.

    tensorstore_recipe.py STORE LEVELS THREADS

STORE holds level 0; levels 1, 2, ... of the same chunks and codec are added. Prints one JSON line of seconds.
"""

import json
import sys
import time

START = time.perf_counter()
import tensorstore as ts  # noqa: E402

IMPORTED = time.perf_counter()

store, levels, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
context = ts.Context({"data_copy_concurrency": {"limit": threads}})


def spec(level):
    return {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{store}/{level}/"}}


above = ts.open(spec(0), context=context, read=True).result()
metadata = above.spec().to_json()["metadata"]
for level in range(1, levels + 1):
    view = ts.downsample(above, [2] * above.rank, "mean")
    create = {**spec(level), "metadata": {**metadata, "shape": list(view.shape)}}
    target = ts.open(create, context=context, create=True).result()
    depth = target.chunk_layout.write_chunk.shape[0]
    for z in range(0, view.shape[0], depth):
        slab = slice(z, min(z + depth, view.shape[0]))
        target[slab].write(view[slab]).result()
    above = ts.open(spec(level), context=context, read=True).result()
DONE = time.perf_counter()

print(json.dumps({"import": IMPORTED - START, "job": DONE - IMPORTED}))
