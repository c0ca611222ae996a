"""Draws the web app's icons of the page's one: `python tools/pictures/make_icons.py`."""

from __future__ import annotations

from pathlib import Path

import pyvips

WEB = Path(__file__).parents[2] / "camera_nano" / "web"
_CORNERS = ' rx="15"'
_SIDE_PX = (
    64  # of the drawing; all but its ground lies within the 80 % across that no mask cuts (W3C, Web App Manifest)
)


def main() -> None:
    """Write them where the manifest has them."""
    drawing = (WEB / "static" / "icon.svg").read_text(encoding="utf-8")
    if _CORNERS not in drawing:
        raise SystemExit("the drawing has other corners now: say here which")
    for name, side_px in (("icon-192", 192), ("icon-512", 512), ("icon-maskable-512", 512)):
        svg = drawing.replace(_CORNERS, "") if "maskable" in name else drawing
        picture = pyvips.Image.svgload_buffer(svg.encode(), scale=side_px / _SIDE_PX)
        picture.pngsave(str(WEB / "pwa" / f"{name}.png"), compression=9, keep="none")


if __name__ == "__main__":
    main()
