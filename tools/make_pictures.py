"""Pictures for people, from the product itself.

Without a command: the README's, a strip of looks and a screenshot of the live page. `sheet`: 24 varied photos of a
folder in every look. `seeds`: what different seeds make of the same photos.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

import camera_nano as cn
from camera_nano.engines import load_editor
from camera_nano.sources.demo import DemoCamera
from camera_nano.values import Editor, Frame, Pixels

TILE_WH = (640, 360)
README_LOOKS = ["natural", "hdr", "golden", "night"]
SHEET_PHOTOS = 24
SHEET_KIB = 900  # a sheet stays small enough to be kept with its figures
SEEDS = 4
_PICTURES = {".jpg", ".jpeg", ".png", ".webp"}
_MARGIN_PX = 16  # for a line of text
_NAME_LENGTH = 24
_WORKING_PX = 768  # longest side of a photo while it is edited

Cell = tuple[str, Pixels]  # what it is, and the picture


def badly_exposed(camera: DemoCamera, n: int, over: bool) -> Frame:
    """Of the first n frames the brightest or the darkest on average."""
    frames = islice(camera.frames(), 0, n, 15)
    return max(frames, key=lambda frame: float(frame.pixels.mean()) * (1 if over else -1))


def strip(frame: Frame) -> Image.Image:
    """The frame and some looks of it, side by side, each with its name."""
    made = [("as the camera saw it", frame.pixels)]
    made += [(alternative.look.name, alternative.image) for alternative in cn.enhance(frame.pixels, README_LOOKS)]
    picture = Image.new("RGB", (TILE_WH[0] * len(made), TILE_WH[1]))
    font = ImageFont.load_default(size=30)
    for i, (name, pixels) in enumerate(made):
        tile = Image.fromarray(np.asarray(pixels, np.uint8)).resize(TILE_WH, Image.Resampling.LANCZOS)
        ImageDraw.Draw(tile).text((20, 308), name, "white", font, stroke_width=2, stroke_fill="black")
        picture.paste(tile, (TILE_WH[0] * i, 0))
    return picture


def screenshot(out: Path, wh: tuple[int, int]) -> None:
    """The page of a live app on the demo camera, once every look has been drawn."""
    from playwright.sync_api import sync_playwright

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
            page.wait_for_selector("[data-look=night][data-frame-id]", timeout=60_000)
            page.keyboard.press("4")
            page.wait_for_selector("#view[data-look=golden]")
            page.wait_for_timeout(1500)
            page.screenshot(path=out, type="jpeg", quality=88)
            browser.close()
        finally:
            app.terminate()


def brightness(path: Path) -> float:
    """Mean code value of a picture, from a small decode of it."""
    with Image.open(path) as image:
        image.draft("L", (48, 48))
        return float(np.asarray(image.convert("L").resize((16, 16))).mean())


def varied(folder: Path, n: int = SHEET_PHOTOS) -> list[Path]:
    """n photos of the folder from dark to bright, and of each brightness the kind (parent folder) chosen least so far.

    The same files give the same choice: ties go by the checksum of the name.

    Raises:
        ValueError: there is no photo.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _PICTURES)
    if not paths:
        raise ValueError(f"{folder} holds no photo")
    by_light = sorted(paths, key=lambda path: (brightness(path), path.name))
    taken: Counter[Path] = Counter()
    chosen = []
    for some in np.array_split(np.arange(len(by_light)), min(n, len(by_light))):
        pick = min((by_light[i] for i in some), key=lambda path: (taken[path.parent], zlib.crc32(path.name.encode())))
        taken[pick.parent] += 1
        chosen.append(pick)
    return chosen


def in_every_look(pixels: Pixels, editor: Editor) -> list[Cell]:
    """The photo itself, then each look of it."""
    return [("original", pixels), *((made.look.name, made.image) for made in cn.enhance(pixels, editor=editor))]


def in_every_seed(pixels: Pixels, editor: Editor, look: str) -> list[Cell]:
    """The photo itself, then one look of it from each of `SEEDS` seeds."""
    made = [next(iter(cn.enhance(pixels, [look], seed=seed, editor=editor))).image for seed in range(SEEDS)]
    return [("original", pixels), *((f"{look}, seed {seed}", image) for seed, image in enumerate(made))]


def sheet(paths: Sequence[Path], cells_of: Callable[[Pixels], list[Cell]], tile_wh: tuple[int, int]) -> Image.Image:
    """One row of cells for each photo, each fitted into a tile; names above the columns and on the first of a row."""
    width, height = tile_wh
    font = ImageFont.load_default(size=11)
    rows = []
    for path in paths:
        with Image.open(path) as photo:
            upright = ImageOps.exif_transpose(photo).convert("RGB")
        upright.thumbnail((_WORKING_PX, _WORKING_PX))
        rows.append(cells_of(np.asarray(upright)))
        print(f"\r{len(rows)} of {len(paths)} photos", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    picture = Image.new("RGB", (width * len(rows[0]), _MARGIN_PX + height * len(rows)))
    draw = ImageDraw.Draw(picture)
    for column, (name, _) in enumerate(rows[0]):
        draw.text((width * column + 3, 2), name, "white", font)
    for row, (path, cells) in enumerate(zip(paths, rows, strict=True)):
        top = _MARGIN_PX + height * row
        for column, (_, pixels) in enumerate(cells):
            tile = ImageOps.contain(Image.fromarray(np.asarray(pixels, np.uint8)), (width - 2, height - 2))
            picture.paste(tile, (width * column + (width - tile.width) // 2, top + (height - tile.height) // 2))
        name = f"{path.parent.name}/{path.stem}"[:_NAME_LENGTH]
        draw.text((3, top + height - 16), name, "white", font, stroke_width=1, stroke_fill="black")
    return picture


def save_small(picture: Image.Image, out: Path, limit_bytes: int = SHEET_KIB * 1024) -> None:
    """JPEG at quality 80, scaled down by tenths until it fits the limit."""
    for tenths in range(10, 0, -1):
        encoded = io.BytesIO()
        size_wh = (picture.width * tenths // 10, picture.height * tenths // 10)
        scaled = picture if tenths == 10 else picture.resize(size_wh, Image.Resampling.LANCZOS)
        scaled.save(encoded, "jpeg", quality=80, optimize=True)
        if encoded.tell() <= limit_bytes:
            break
    out.write_bytes(encoded.getvalue())
    print(f"{out}: {encoded.tell() / 1024:.0f} KiB, {size_wh[0]} x {size_wh[1]}", file=sys.stderr)


def readme_pictures(out: Path, n_frames: int) -> None:
    """looks.jpg and live.jpg."""
    rows = [strip(badly_exposed(DemoCamera(pace=False), n_frames, over)) for over in (False, True)]
    picture = Image.new("RGB", (rows[0].width, rows[0].height * len(rows)))
    for i, row in enumerate(rows):
        picture.paste(row, (0, row.height * i))
    picture.reduce(2).save(out / "looks.jpg", quality=90)
    screenshot(out / "live.jpg", (1440, 900))


def main() -> None:
    """Draw."""
    plain = argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("assets"), help="folder of the README's pictures")
    parser.add_argument("--frames", type=int, default=900, help="how far to look for badly exposed frames")
    commands = parser.add_subparsers(dest="command")
    looks = commands.add_parser("sheet", help="varied photos in every look", formatter_class=plain)
    looks.add_argument("--photos", type=Path, required=True, metavar="DIR")
    looks.add_argument("--count", type=int, default=SHEET_PHOTOS)
    seeds = commands.add_parser("seeds", help="photos in one look, seed by seed", formatter_class=plain)
    seeds.add_argument("photos", type=Path, nargs="+", metavar="PHOTO")
    seeds.add_argument("--look", default="natural")
    for command, width in ((looks, 150), (seeds, 300)):
        command.add_argument("--out", type=Path, required=True, metavar="FILE.jpg")
        command.add_argument("--tile", type=int, default=width, help="width of a tile in pixels")
        command.add_argument("--pipeline", type=Path, help="other weights")
    args = parser.parse_args()
    if args.command is None:
        readme_pictures(args.out, args.frames)
        return
    editor = load_editor(pipeline=args.pipeline)
    tile_wh = (args.tile, args.tile * 3 // 4)
    if args.command == "sheet":
        picture = sheet(varied(args.photos, args.count), lambda pixels: in_every_look(pixels, editor), tile_wh)
    else:
        picture = sheet(args.photos, lambda pixels: in_every_seed(pixels, editor, args.look), tile_wh)
    save_small(picture, args.out)


if __name__ == "__main__":
    main()
