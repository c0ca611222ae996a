"""A Pi's raw stream: the sensor's own values, as `values.Raw`.

Formats are those of the V4L2 documentation ("Bayer formats", "10-bit Bayer formats packed" and its 12-bit sibling), by
the names that picamera2 gives them. Of a Pi 5, whose own is compressed (PISP_COMP1), others are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from camera_nano.values import Raw

U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]

_FORMAT = re.compile(r"S(RGGB|BGGR|GRBG|GBRG)(8|10|12|14|16)(_CSI2P)?")
_PACKED = {
    10: (4, 5),
    12: (2, 3),
}  # pixels, and the bytes they are packed in: their high bytes, then the low bits of all
_KNOWN_BITS = 16  # of what metadata say in the sensor's units


def raw_stream(sensor_format: str, size_wh: tuple[int, int]) -> dict[str, Any]:
    """The raw stream to ask picamera2 for: in the sensor's own format, or in 16 bits where that is compressed."""
    order = re.search("[RGB]{4}", sensor_format)
    own: dict[str, Any] = {"size": size_wh}
    return own | {"format": f"S{order[0]}16"} if order and "COMP" in sensor_format else own


def is_read(pixel_format: str) -> bool:
    """Whether `raw_of` understands a format."""
    found = _FORMAT.fullmatch(pixel_format)
    return found is not None and (found[3] is None or int(found[2]) in _PACKED)


def raw_of(rows: U8, pixel_format: str, size_wh: tuple[int, int], metadata: Mapping[str, Any]) -> Raw:
    """Rows (H, stride) of bytes, and what the request says of itself -> the sensor's values.

    Black levels are told for R, Gr, Gb and B, in units of 16 bits; the colour correction matrix is of linear light that
    was balanced by the colour gains (libcamera, control_ids_core).

    Raises:
        LookupError: a format that is not understood, or metadata that lack what colours are made with.
    """
    found = _FORMAT.fullmatch(pixel_format)
    if found is None or not is_read(pixel_format):
        raise LookupError(f"raw values in {pixel_format} are not understood")
    missing = {"SensorBlackLevels", "ColourGains", "ColourCorrectionMatrix"} - metadata.keys()
    if missing:
        raise LookupError(f"the camera does not tell the {', '.join(sorted(missing))} of its raw values")
    order, bits = found[1], int(found[2])
    red, green_red, green_blue, blue = (level / 2 ** (_KNOWN_BITS - bits) for level in metadata["SensorBlackLevels"])
    # the first green of a row of reds is Gr
    greens = (green_red, green_blue) if order in ("RGGB", "GRBG") else (green_blue, green_red)
    black = tuple({"R": red, "B": blue}.get(colour, greens[place // 2]) for place, colour in enumerate(order))
    gain = float(metadata.get("DigitalGain", 1.0))
    by_red, by_blue = metadata["ColourGains"]
    return Raw(
        _unpacked(rows, bits, size_wh, is_packed=found[3] is not None),
        order,
        black,
        2.0**bits - 1,
        (gain * by_red, gain, gain * by_blue),
        np.asarray(metadata["ColourCorrectionMatrix"], np.float32).reshape(3, 3),
    )


def _unpacked(rows: U8, bits: int, size_wh: tuple[int, int], *, is_packed: bool) -> U16:
    width, height = size_wh
    if not is_packed:
        values = rows if bits == 8 else np.ascontiguousarray(rows).view("<u2")
        return np.array(values[:height, :width], np.uint16)
    n_pixels, n_bytes = _PACKED[bits]
    n_groups = -(-width // n_pixels)
    groups = rows[:height, : n_groups * n_bytes].reshape(height, n_groups, n_bytes)
    n_low = bits - 8
    low = groups[..., n_pixels:] >> (n_low * np.arange(n_pixels, dtype=np.uint8)) & ((1 << n_low) - 1)
    values = groups[..., :n_pixels].astype(np.uint16) << n_low | low
    return np.ascontiguousarray(values.reshape(height, -1)[:, :width])
