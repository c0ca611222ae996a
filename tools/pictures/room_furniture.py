"""What stands and hangs in the demo camera's room, see `render_room.py`."""

from __future__ import annotations

from typing import Any

import cv2
import mitsuba as mi  # type: ignore[import-not-found]
import numpy as np
import skimage.data
from room_shapes import Node, ball, box, cushion, matte, place, rug, satin, superellipsoid, texture

PHOTOS: Any = skimage.data  # it has no types


def hangings() -> Node:
    """Framed photos on the brick wall."""
    out: Node = {}
    rows = (
        ("astronaut", PHOTOS.astronaut(), -1.2, 1.72, 0.42),
        ("coffee", PHOTOS.coffee(), -0.02, 1.8, 0.36),
        ("cat", PHOTOS.chelsea(), 1.18, 1.72, 0.36),
        ("rocket", PHOTOS.rocket(), 2.42, 1.78, 0.36),
    )
    for name, picture, x, z, half in rows:
        aspect = picture.shape[1] / picture.shape[0]
        w, h = half * min(aspect, 1.5) ** 0.5, half / min(aspect, 1.5) ** 0.5
        wall = mi.ScalarTransform4f().translate([x, 3.335, z]).rotate([1, 0, 0], 90).scale([w, h, 1])
        out[f"photo_{name}"] = {
            "type": "rectangle",
            "to_world": wall,
            "bsdf": {"type": "diffuse", "reflectance": texture(picture)},
        }
        out[f"mat_{name}"] = box((x, 3.36, z), (w + 0.07, 0.02, h + 0.07), matte((0.8, 0.79, 0.76)))
        out[f"edge_{name}"] = box((x, 3.37, z), (w + 0.1, 0.024, h + 0.1), satin((0.05, 0.035, 0.03), 0.2))
    return out


def seats() -> Node:
    """The sofa, its cushions, an armchair."""
    blue, rust, sand = matte((0.07, 0.13, 0.24)), matte((0.55, 0.2, 0.06)), matte((0.62, 0.52, 0.36))
    out: Node = {
        "base": cushion((0.1, 2.75, 0.22), (1.25, 0.5, 0.16), blue, 0.2),
        "backrest": cushion((0.1, 3.12, 0.6), (1.2, 0.16, 0.38), blue, 0.3),
    }
    for i, x in enumerate((-0.5, 0.1, 0.7)):
        out[f"seat{i}"] = cushion((x, 2.68, 0.45), (0.31, 0.45, 0.12), blue, 0.3)
    for i, x in enumerate((-1.2, 1.4)):
        out[f"arm{i}"] = cushion((x, 2.72, 0.4), (0.13, 0.5, 0.28), blue, 0.3)
    out["pillow0"] = cushion((-0.78, 2.82, 0.72), (0.24, 0.09, 0.22), rust, 0.55, 18)
    out["pillow1"] = cushion((0.92, 2.82, 0.72), (0.25, 0.09, 0.23), sand, 0.55, -15)
    out["pillow2"] = cushion((0.55, 2.72, 0.68), (0.2, 0.08, 0.18), matte((0.6, 0.55, 0.08)), 0.55, -8)
    leather = satin((0.32, 0.12, 0.05), 0.35)
    for name, at, half in (
        ("c0", (2.1, 1.5, 0.35), (0.38, 0.36, 0.16)),
        ("c1", (2.38, 1.6, 0.72), (0.13, 0.38, 0.42)),
        ("c2", (2.05, 1.16, 0.5), (0.36, 0.09, 0.2)),
        ("c3", (2.15, 1.9, 0.5), (0.36, 0.09, 0.2)),
    ):
        out[name] = cushion(at, half, leather, 0.35, 12)
    return out


def table() -> Node:
    """A low table with fruit, cups, a colour chart and a glass ball; the rug under it."""
    oak = satin((0.32, 0.19, 0.09), 0.25)
    out: Node = {
        "rug": {
            "type": "rectangle",
            "to_world": place(at=(0.1, 1.75, 0.012), size=(1.6, 1.0, 1)),
            "bsdf": {"type": "diffuse", "reflectance": texture(rug(), (1, 1))},
        },
        "top": box((0.1, 1.75, 0.42), (0.6, 0.34, 0.025), oak),
    }
    for i, (x, y) in enumerate(((-0.44, 1.47), (0.64, 1.47), (-0.44, 2.03), (0.64, 2.03))):
        out[f"leg{i}"] = box((x, y, 0.2), (0.025, 0.025, 0.2), oak)
    for i, (x, y, z) in enumerate(((0, 1.7, 0.56), (0.11, 1.74, 0.56), (0.04, 1.81, 0.56), (0.05, 1.74, 0.64))):
        out[f"fruit{i}"] = ball((x, y, z), 0.058, satin(((0.85, 0.32, 0.02), (0.65, 0.05, 0.03))[i % 2], 0.35))
    out["bowl"] = cushion((0.05, 1.75, 0.475), (0.19, 0.19, 0.035), satin((0.75, 0.75, 0.72), 0.15), 0.8)
    out["ball"] = ball((0.42, 1.62, 0.545), 0.1, {"type": "dielectric"})
    steel = {"type": "roughconductor", "material": "Ag", "alpha": 0.04}
    out["steel"] = ball((-0.32, 1.62, 0.535), 0.09, steel)
    tilt = mi.ScalarTransform4f().translate([-0.12, 1.98, 0.58]).rotate([1, 0, 0], 75).scale([0.17, 0.13, 1])
    out["chart"] = {
        "type": "rectangle",
        "to_world": tilt,
        "bsdf": {"type": "twosided", "b": {"type": "diffuse", "reflectance": texture(colour_chart())}},
    }
    return out


def colour_chart() -> Any:
    """Twelve patches on black, (340, 440, 3) uint8 sRGB."""
    patches = np.array(
        [
            [115, 82, 68],
            [194, 150, 130],
            [98, 122, 157],
            [214, 126, 44],
            [70, 148, 73],
            [175, 54, 60],
            [231, 199, 31],
            [187, 86, 149],
            [8, 133, 161],
            [243, 243, 242],
            [122, 122, 121],
            [52, 52, 52],
        ]
    )
    chart = np.full((340, 440, 3), 20, np.uint8)
    for i, colour in enumerate(patches):
        r, c = divmod(i, 4)
        chart[20 + r * 105 : 110 + r * 105, 20 + c * 105 : 110 + c * 105] = colour
    return chart


def shelves(rng: np.random.Generator) -> Node:
    """A bookcase on the right wall, and another in the dark corner beside the door."""
    walnut = satin((0.16, 0.085, 0.045), 0.3)
    out: Node = {}
    for s, (y0, y1) in enumerate(((0.55, 3.0), (-2.4, -1.05))):
        for k in range(6):
            out[f"board{s}{k}"] = box((3.42, (y0 + y1) / 2, 0.15 + 0.4 * k), (0.17, (y1 - y0) / 2, 0.018), walnut)
        for k, y in enumerate((y0, (y0 + y1) / 2, y1)):
            out[f"side{s}{k}"] = box((3.42, y, 1.15), (0.17, 0.018, 1.02), walnut)
        for k in range(5):
            y = y0 + 0.03
            while y < y1 - 0.08:
                thick, tall = rng.uniform(0.012, 0.03), rng.uniform(0.11, 0.17)
                hue = cv2.cvtColor(
                    np.array([[[rng.uniform(0, 360), rng.uniform(0.2, 0.85), rng.uniform(0.1, 0.7)]]], np.float32),
                    cv2.COLOR_HSV2RGB,
                )[0, 0]
                if rng.random() < 0.9:
                    book = box(
                        (3.44, y + thick, 0.17 + 0.4 * k + tall),
                        (0.11, thick - 0.001, tall),
                        satin(hue**1.5, 0.4),
                    )
                    out[f"book{s}{k}_{int(y * 1000)}".replace("-", "m")] = book
                y += 2 * thick
    return out


def plant(rng: np.random.Generator, at: tuple[float, float], scale: float) -> Node:
    """A pot of long leaves."""
    x, y = at
    pot = matte((0.5, 0.22, 0.13))
    out: Node = {f"pot{x}".replace(".", "_"): cushion((x, y, 0.22), (0.2 * scale, 0.2 * scale, 0.22), pot, 0.6)}
    for i in range(34):
        turn, lean, size = rng.uniform(0, 360), rng.uniform(10, 62), rng.uniform(0.28, 0.5) * scale
        up = mi.ScalarTransform4f().translate([x, y, 0.4]).rotate([0, 0, 1], turn).rotate([0, 1, 0], lean)
        leaf = up.translate([0, 0, size])
        green = np.array([0.05, 0.19, 0.04]) * rng.uniform(0.6, 1.5)
        out[f"leaf{x}{i}".replace(".", "_")] = superellipsoid(
            leaf, (0.008, 0.06 * scale, size), satin(green, 0.35), 1.0
        )
    return out
