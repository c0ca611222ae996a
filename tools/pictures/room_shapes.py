"""Shapes and surfaces of the demo camera's room, see `render_room.py`."""

from __future__ import annotations

from typing import Any

import cv2
import mitsuba as mi  # type: ignore[import-not-found]
import numpy as np

mi.set_variant("llvm_ad_rgb")

Node = dict[str, Any]


def place(*, at: Any, size: Any = (1, 1, 1), turn: float = 0, axis: Any = (0, 0, 1)) -> Any:
    """A transform: scale by half extents, turn by degrees, move."""
    return mi.ScalarTransform4f().translate(at).rotate(axis, turn).scale(size)


def matte(rgb: Any) -> Node:
    """Paint: linear RGB reflectance, both sides."""
    return {"type": "twosided", "b": {"type": "diffuse", "reflectance": {"type": "rgb", "value": list(rgb)}}}


def satin(rgb: Any, roughness: float = 0.25) -> Node:
    """Lacquer: linear RGB under a soft gloss."""
    return {
        "type": "principled",
        "base_color": {"type": "rgb", "value": list(rgb)},
        "roughness": roughness,
        "specular": 0.5,
    }


def texture(picture: Any, repeat: tuple[float, float] = (1, 1)) -> Node:
    """uint8 sRGB picture (H, W, 3) -> a bitmap node."""
    bitmap = mi.Bitmap(np.ascontiguousarray(picture[::-1]))  # row 0 of a map is at v = 0, the bottom
    scale = mi.ScalarTransform4f().scale([repeat[0], repeat[1], 1])
    return {"type": "bitmap", "bitmap": bitmap, "to_uv": scale}


def box(at: Any, half: Any, bsdf: Node, turn: float = 0) -> Node:
    """A cuboid by its centre and half extents, metres."""
    return {"type": "cube", "to_world": place(at=at, size=half, turn=turn), "bsdf": bsdf}


def ball(at: Any, radius: float, bsdf: Node) -> Node:
    """A sphere by its centre and radius, metres."""
    return {"type": "sphere", "center": list(at), "radius": radius, "bsdf": bsdf}


def cushion(at: Any, half: Any, bsdf: Node, power: float = 0.35, turn: float = 0) -> Any:
    """A superellipsoid: a box with soft edges."""
    return superellipsoid(place(at=at, turn=turn), half, bsdf, power)


def _soft(t: Any, power: float) -> Any:
    """Signed power."""
    return np.sign(t) * np.abs(t) ** power


def superellipsoid(to_world: Any, half: Any, bsdf: Node, power: float) -> Any:
    """A mesh of |x/a|^(2/p) + |y/b|^(2/p) + |z/c|^(2/p) = 1 (Barr 1981)."""
    u, v = np.meshgrid(np.linspace(-np.pi, np.pi, 65), np.linspace(-np.pi / 2, np.pi / 2, 33))
    ring = _soft(np.cos(v), power)
    unit = np.stack([ring * _soft(np.cos(u), power), ring * _soft(np.sin(u), power), _soft(np.sin(v), power)], -1)
    points = (unit * half).reshape(-1, 3)
    corner = (np.arange(32)[:, None] * 65 + np.arange(64)).ravel()
    quads = np.concatenate(
        [np.stack([corner, corner + 1, corner + 66], 1), np.stack([corner, corner + 66, corner + 65], 1)]
    )
    world = np.asarray(to_world.matrix, np.float64).reshape(4, 4)
    points = points @ world[:3, :3].T + world[:3, 3]
    props = mi.Properties()
    props["bsdf"] = mi.load_dict(bsdf)
    mesh = mi.Mesh("cushion", len(points), len(quads), has_vertex_normals=True, props=props)
    params = mi.traverse(mesh)
    params["vertex_positions"] = points.astype(np.float32).ravel()
    params["faces"] = quads.astype(np.uint32).ravel()
    params.update()
    mesh.recompute_vertex_normals()
    return mesh


def planks(rng: np.random.Generator) -> Any:
    """A wooden floor, (2048, 2048, 3) uint8."""
    n = 2048
    floor = np.zeros((n, n, 3), np.float32)
    for i in range(16):
        edges = np.sort(rng.choice(np.arange(100, n, 50), 3, replace=False))
        for lo, hi in zip([0, *edges], [*edges, n], strict=True):
            grain = cv2.resize(
                rng.normal(0, 1, (48, 4)).astype(np.float32),
                (hi - lo, n // 16),
                interpolation=cv2.INTER_CUBIC,
            )
            fine = cv2.GaussianBlur(rng.normal(0, 1, (n // 16, hi - lo)).astype(np.float32), (0, 0), 9, sigmaY=0.7)
            tone = np.array([168, 118, 74]) * rng.uniform(0.75, 1.12)
            plank = tone * (1 + 0.05 * grain + 0.5 * fine)[..., None]
            plank[:2], plank[:, :2] = plank[:2] * 0.35, plank[:, :2] * 0.35
            floor[i * n // 16 : (i + 1) * n // 16, lo:hi] = plank
    return np.clip(floor, 0, 255).astype(np.uint8)


def rug() -> Any:
    """A patterned rug, (1024, 1024, 3) uint8."""
    y, x = np.mgrid[-1:1:1024j, -1:1:1024j]
    ring = np.maximum(np.abs(x), np.abs(y))
    diamonds = ((np.abs((x * 6) % 2 - 1) + np.abs((y * 6) % 2 - 1)) * 2.5).astype(int) % 3
    colours = np.array([[128, 32, 36], [210, 184, 140], [28, 44, 82]], np.uint8)
    out = colours[diamonds]
    out[ring > 0.82] = colours[2]
    out[(ring > 0.87) & (ring < 0.9)] = colours[1]
    weave = 1 + 0.12 * np.sin(np.arange(1024) * 2.1)[:, None] * np.sin(np.arange(1024) * 2.1)[None]
    return np.clip(out * weave[..., None], 0, 255).astype(np.uint8)


def tinted(grey: Any, low: Any, high: Any) -> Any:
    """A grey texture (H, W) uint8 between two sRGB colours."""
    t = (grey.astype(np.float32) / 255)[..., None]
    return np.clip(np.array(low) * (1 - t) + np.array(high) * t, 0, 255).astype(np.uint8)
