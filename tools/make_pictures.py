"""The README's pictures, from the product itself: a strip of looks, and a screenshot of the live page."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import sync_playwright

import camera_nano as cn
from camera_nano.sources.demo import DemoCamera
from camera_nano.values import Frame

TILE_WH = (640, 360)


def badly_exposed(camera: DemoCamera, n: int, over: bool) -> Frame:
    """Of the first n frames the brightest or the darkest on average."""
    frames = islice(camera.frames(), 0, n, 15)
    return max(frames, key=lambda frame: float(frame.pixels.mean()) * (1 if over else -1))


def strip(frame: Frame) -> Image.Image:
    """The frame and every look of it, side by side, each with its name."""
    made = [("as the camera saw it", frame.pixels)]
    made += [(alternative.look.name, alternative.image) for alternative in cn.enhance(frame.pixels)]
    picture = Image.new("RGB", (TILE_WH[0] * len(made), TILE_WH[1]))
    font = ImageFont.load_default(size=30)
    for i, (name, pixels) in enumerate(made):
        tile = Image.fromarray(np.asarray(pixels, np.uint8)).resize(TILE_WH, Image.Resampling.LANCZOS)
        ImageDraw.Draw(tile).text((20, 308), name, "white", font, stroke_width=2, stroke_fill="black")
        picture.paste(tile, (TILE_WH[0] * i, 0))
    return picture


def screenshot(out: Path, wh: tuple[int, int]) -> None:
    """The page of a live app on the demo camera, once every look has been drawn."""
    argv = [sys.executable, "-m", "camera_nano", "live", "--source", "demo", "--port", "0"]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as app, sync_playwright() as driver:
        try:
            url = ""
            while not url:
                line = app.stderr.readline() if app.stderr else ""
                if not line:
                    raise RuntimeError("the live app ended before it was ready")
                url = line.split()[1] if line.startswith("open http") else ""
            chromium = shutil.which("chromium") or shutil.which("chromium-browser")
            browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": wh[0], "height": wh[1]}, color_scheme="dark")
            page.goto(url)
            page.wait_for_selector("[data-look=dramatic][data-frame-id]", timeout=60_000)
            page.keyboard.press("3")
            page.wait_for_selector("#view[data-look=golden]")
            page.wait_for_timeout(1500)
            page.screenshot(path=out, type="jpeg", quality=88)
            browser.close()
        finally:
            app.terminate()


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("assets"))
    parser.add_argument("--frames", type=int, default=900, help="how far to look for badly exposed frames")
    args = parser.parse_args()
    rows = [strip(badly_exposed(DemoCamera(pace=False), args.frames, over)) for over in (False, True)]
    picture = Image.new("RGB", (rows[0].width, rows[0].height * len(rows)))
    for i, row in enumerate(rows):
        picture.paste(row, (0, row.height * i))
    picture.reduce(2).save(args.out / "looks.jpg", quality=90)
    screenshot(args.out / "live.jpg", (1440, 900))


if __name__ == "__main__":
    main()
