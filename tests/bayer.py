"""A sensor behind colour filters, and what a camera makes of its values: for tests, of light that is known."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from camera_nano.color import srgb_oetf
from camera_nano.values import F32, Pixels, Raw

GAINS = (1.8, 1.0, 1.4)
MATRIX = np.array([[1.75, -0.55, -0.2], [-0.35, 1.6, -0.25], [-0.05, -0.65, 1.7]], np.float32)
BLACK = 4096  # in units of 16 bits, as libcamera tells it
ORDERS = ("RGGB", "BGGR", "GRBG", "GBRG")
METADATA = {
    "SensorBlackLevels": (BLACK,) * 4,
    "ColourGains": (GAINS[0], GAINS[2]),
    "ColourCorrectionMatrix": tuple(MATRIX.ravel().tolist()),
}


def kind(pixel_format: str) -> tuple[str, int]:
    """The order of the colours and the bits of a raw format of picamera2."""
    return pixel_format[1:5], int(pixel_format[5:].split("_")[0])


def shading(hw: tuple[int, int]) -> F32:
    """What a lens leaves of the light, (h, w, 3): less in the corners, and of red least."""
    y, x = (np.linspace(-1, 1, side) ** 2 for side in hw)
    far = (y[:, None] + x)[..., None] / 2
    return (1 / (1 + far * (0.8, 0.5, 0.6))).astype(np.float32)


def sensed(
    light: F32, rng: np.random.Generator, order: str = "RGGB", bits: int = 10, electrons: float = 400
) -> npt.NDArray[np.uint16]:
    """Values (H, W) of light (H, W, 3), 1 = white: shaded, filtered, with shot and read noise, clipped."""
    filtered = np.maximum(light @ np.linalg.inv(MATRIX).T, 0) / GAINS * shading(light.shape[:2])
    mosaic = np.empty(light.shape[:2])
    for place, colour in enumerate(order):
        y, x = divmod(place, 2)
        mosaic[y::2, x::2] = filtered[y::2, x::2, "RGB".index(colour)]
    noisy = mosaic + rng.standard_normal(mosaic.shape) * np.sqrt(mosaic / electrons + (2.5 / electrons) ** 2)
    white, black = 2**bits - 1, BLACK / 2 ** (16 - bits)
    return np.rint(np.clip(black + noisy * (white - black), 0, white)).astype(np.uint16)


def raw(mosaic: npt.NDArray[np.uint16], order: str = "RGGB", bits: int = 10) -> Raw:
    """The values with what has to be known of them."""
    return Raw(mosaic, order, (BLACK / 2 ** (16 - bits),) * 4, 2.0**bits - 1, GAINS, MATRIX)


def tones(light: Any) -> Any:
    """The camera's own curve: more contrast than sRGB."""
    code = srgb_oetf(light)
    return code + 0.4 * (code * code * (3 - 2 * code) - code)


def finished(mosaic: npt.NDArray[np.uint16], order: str = "RGGB", bits: int = 10) -> Pixels:
    """The camera's own picture of 8 bits: demosaiced, its shading mended, balanced, drawn."""
    black = BLACK / 2 ** (16 - bits)
    light = (mosaic.astype(np.float32) - black) / (2**bits - 1 - black)
    codes = np.rint(np.clip(light / 2 + 0.25, 0, 1) * 65535).astype(np.uint16)  # noise goes below black
    full = cv2.demosaicing(codes, getattr(cv2, f"COLOR_Bayer{order}2RGB")).astype(np.float32) / 65535
    balanced = np.clip((full - 0.25) * 2 * GAINS / shading(mosaic.shape), 0, 1)
    return np.rint(255 * tones(np.clip(balanced @ MATRIX.T, 0, 1))).astype(np.uint8)


def packed(mosaic: npt.NDArray[np.uint16], pixel_format: str, pad: int = 0) -> npt.NDArray[np.uint8]:
    """Rows of bytes as V4L2 has them ("10-bit Bayer formats (packed)"), with `pad` bytes more."""
    if "CSI2P" not in pixel_format:
        rows = mosaic.astype(np.uint8) if pixel_format.endswith("8") else mosaic.astype("<u2").view(np.uint8)
    else:
        n, low = (4, 2) if "10" in pixel_format else (2, 4)
        groups = np.pad(mosaic, ((0, 0), (0, -mosaic.shape[1] % n))).reshape(len(mosaic), -1, n)
        last = sum((groups[..., i] & (2**low - 1)) << (low * i) for i in range(n))
        rows = np.concatenate([groups >> low, last[..., None]], 2).reshape(len(mosaic), -1).astype(np.uint8)
    return np.pad(rows, ((0, 0), (0, pad)), constant_values=77)
