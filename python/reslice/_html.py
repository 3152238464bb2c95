"""What notebooks show: tables, and a slice through the middle."""

from __future__ import annotations

import base64
import html
import struct
import zlib
from typing import TYPE_CHECKING, Any, Callable, Mapping, Optional, Sequence, Tuple

import numpy as np

from ._grid import Grid, number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._answers import Plan
    from ._image import Image
    from ._volume import Volume

#: Pixels along the longer side of a picture.
_SIDE = 256
#: Voxels of a plane that are read for a picture.
_MOST_VOXELS = 1 << 22


def grid_table(
    grids: Mapping[str, Grid], rows: Optional[Mapping[str, str]] = None, warnings: Sequence[str] = ()
) -> str:
    """Grids side by side, and lines of text."""
    names = list(grids)
    lines = [_row("th", ["", *names])] if len(names) > 1 else []
    facts: Tuple[Tuple[str, Callable[[Grid], str]], ...] = (
        ("voxels", lambda grid: " &times; ".join(map(str, grid.shape))),
        ("step", lambda grid: " &times; ".join(map(number, grid.spacing)) + " " + html.escape(grid.unit)),
        ("first at", lambda grid: ", ".join(map(number, grid.origin))),
        ("axes", lambda grid: "".join(grid.axcodes)),
    )
    for title, told in facts:
        lines.append(_row("td", [f"<b>{title}</b>", *(told(grids[name]) for name in names)]))
    for title, text in (rows or {}).items():
        cell = f'<td colspan="{len(names)}">{html.escape(text)}</td>'
        lines.append(f"<tr><td><b>{html.escape(title)}</b></td>{cell}</tr>")
    told_warnings = "".join(f"<div>&#9888; {html.escape(text)}</div>" for text in warnings)
    return f"<table>{''.join(lines)}</table>{told_warnings}"


def _row(cell: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{cell}>{text}</{cell}>" for text in cells) + "</tr>"


def image_html(image: Image) -> str:
    """The grid of an image and its middle plane."""
    plane = image.data[:, :, image.data.shape[2] // 2]
    while plane.ndim > 2:
        plane = plane[..., 0]
    return _beside(grid_table({"grid": image.grid}, {"samples": str(image.dtype)}), picture(plane))


def volume_html(volume: Volume) -> str:
    """The grid of a volume and its middle plane, or the middle of that where it is large."""
    rows = {"samples": str(volume.dtype), "source": f"{volume.source}, {volume.format}"}
    if not volume.is_at_hand:
        rows["picture"] = "none yet: the stream is unpacked when the volume is first sliced"
        return grid_table({"grid": volume.grid}, rows, volume.warnings)
    nx, ny, nz = volume.grid.shape
    side = int(_MOST_VOXELS**0.5)
    x, y = (slice(max(0, (n - side) // 2), min(n, (n + side) // 2)) for n in (nx, ny))
    plane = volume[(x, y, nz // 2, *(0,) * (volume.ndim - 3))]
    return _beside(grid_table({"grid": volume.grid}, rows, volume.warnings), picture(plane))


def plan_html(plan: Plan) -> str:
    """Both grids, and the text of the plan."""
    table = grid_table({"source": plan.source_grid, "target": plan.grid}, None, plan.warnings)
    return f"{table}<pre>{html.escape(plan.text)}</pre>"


def _beside(table: str, image: str) -> str:
    return f'<div style="display:flex;gap:1em;align-items:flex-start">{table}{image}</div>'


def picture(plane: NDArray[Any]) -> str:
    """A plane (x, y) as an image with y upwards, between its 1st and 99th percentile."""
    step = max(1, -(-max(plane.shape) // _SIDE))
    plane = np.asarray(plane[::step, ::step], dtype=np.float64)
    finite = plane[np.isfinite(plane)]
    low, high = np.percentile(finite, (1, 99)) if finite.size else (0.0, 1.0)
    if not high > low:
        low, high = (float(finite.min()), float(finite.max()) + 1e-12) if finite.size else (0.0, 1.0)
    scaled = np.nan_to_num((plane - low) / (high - low), nan=0.0).clip(0, 1) * 255
    encoded = base64.b64encode(png(scaled.astype(np.uint8).T[::-1])).decode()
    return f'<img alt="the plane in the middle" src="data:image/png;base64,{encoded}"/>'


def png(gray: NDArray[np.uint8]) -> bytes:
    """Rows of 8-bit grey as PNG (ISO/IEC 15948)."""
    height, width = gray.shape

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in gray)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
