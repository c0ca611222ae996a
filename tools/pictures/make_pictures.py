"""Pictures for people, from the product itself.

Without a command: the README's, looks of real scenes and a screenshot of the live page. `sheet`: 24 varied photos of a
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
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

import camera_nano as cn
from camera_nano.color import luminance, srgb_codes, to_8_bit
from camera_nano.engines import load_editor
from camera_nano.seams import Editor
from camera_nano.values import Pixels

TILE_WH = (640, 360)
README_SCENES = (("astc_arboretum.exr", -3.2), ("astc_canarywharf.exr", 1.4))  # CC0, and EV beside their mean
README_LOOKS = ["natural", "hdr", "golden", "night"]
SHEET_PHOTOS = 24
SHEET_KIB = 900  # a sheet stays small enough to be kept with its figures
SEEDS = 4
_PICTURES = {".jpg", ".jpeg", ".png", ".webp"}
_MARGIN_PX = 16  # for a line of text
_NAME_LENGTH = 24
_WORKING_PX = 768  # longest side of a photo while it is edited

Cell = tuple[str, Pixels]  # what it is, and the picture


class Merging(NamedTuple):
    """A scene whose light is captured several times from a shaking hand."""

    what: str
    file: str  # CC0
    key_ev: float  # of the first capture, beside the scene's mean for middle grey
    iso: float
    evs: tuple[float, ...]  # of all captures beside the first
    middle_yx: tuple[float, float]  # of the crop, 0..1


MERGED = (
    Merging("little light", "astc_eveningroad.exr", -1.5, 6400, (0.0,) * 8, (0.55, 0.62)),
    Merging("backlight", "astc_bellparkpier.exr", 0.5, 100, (0.0, -2.0, -4.0), (0.5, 0.45)),
)


def captured(scene: Path, ev: float) -> Pixels:
    """What a camera makes of scene light, an EXR, `ev` above its mean for middle grey: 16:9 out of the middle."""
    sys.path.append(str(Path(__file__).parents[1] / "training"))
    from make_data import read_panorama  # needs OpenEXR, which nothing else here does

    light = read_panorama(scene)
    rows = light.shape[1] * 9 // 16
    light = light[(len(light) - rows) // 2 :][:rows]
    key = np.exp(np.log(luminance(light) + 1e-5).mean())
    return srgb_codes(light * 2**ev * 0.18 / key)


def strip(pixels: Pixels) -> Image.Image:
    """A capture and some looks of it, side by side, each with its name."""
    made = [("as the camera saw it", pixels)]
    made += [(one.look.name, one.image) for one in cn.enhance(pixels, README_LOOKS, assume="captured")]
    picture = Image.new("RGB", (TILE_WH[0] * len(made), TILE_WH[1]))
    font = ImageFont.load_default(size=30)
    for i, (name, pixels) in enumerate(made):
        tile = Image.fromarray(np.asarray(pixels, np.uint8)).resize(TILE_WH, Image.Resampling.LANCZOS)
        ImageDraw.Draw(tile).text((20, 308), name, "white", font, stroke_width=2, stroke_fill="black")
        picture.paste(tile, (TILE_WH[0] * i, 0))
    return picture


def merged_row(case: Merging, scenes: Path) -> list[Cell]:
    """A look of one capture beside that of several from a shaking hand: crops at full size."""
    sys.path.append(str(Path(__file__).parents[1] / "judging"))
    from merge import Scene, shaken, taken  # the simulation of what is judged
    from scenes import normalise_key, read_panorama

    from camera_nano.merge import expose, merge

    light = normalise_key(read_panorama(scenes / case.file)) * np.float32(2**case.key_ev)
    scene, rng = Scene(case.what, light, np.zeros(light.shape[:2], np.float32)), np.random.default_rng(3)
    lights = [light, *(shaken(scene, rng) for _ in case.evs[1:])]
    captures = [taken(light, rng, case.iso, ev) for light, ev in zip(lights, case.evs, strict=True)]
    top, left = (
        int((n - size) * share) for n, size, share in zip(light.shape, TILE_WH[::-1], case.middle_yx, strict=False)
    )
    cells = []
    for name, pixels in (
        ("one frame", captures[0].pixels),
        (f"{len(captures)} merged", expose(merge(captures)).pixels),
    ):
        [made] = cn.enhance(np.asarray(pixels), ["natural"], assume="captured")
        cells.append((f"{case.what}, {name}", to_8_bit(made.image)[top : top + TILE_WH[1], left : left + TILE_WH[0]]))
    return cells


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
            page.click("#tour-done")
            page.keyboard.press("4")
            page.wait_for_selector("#view[data-look=golden]")
            page.wait_for_timeout(1500)
            page.wait_for_selector(".tile.stale", state="detached")  # on a busy machine
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


def merged_picture(scenes: Path) -> Image.Image:
    """What merging gains, a scene a row: one frame and the merge, each in the look `natural`."""
    rows = [merged_row(case, scenes) for case in MERGED]
    picture = Image.new("RGB", (TILE_WH[0] * 2, TILE_WH[1] * len(rows)))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=22)
    for i, row in enumerate(rows):
        for j, (name, pixels) in enumerate(row):
            picture.paste(Image.fromarray(np.asarray(pixels, np.uint8)), (TILE_WH[0] * j, TILE_WH[1] * i))
            draw.text(
                (TILE_WH[0] * j + 10, TILE_WH[1] * i + 8), name, "white", font, stroke_width=2, stroke_fill="black"
            )
    return picture


def readme_pictures(out: Path, scenes: Path) -> None:
    """looks.jpg, merge.jpg and live.jpg."""
    rows = [strip(captured(scenes / name, ev)) for name, ev in README_SCENES]
    picture = Image.new("RGB", (rows[0].width, rows[0].height * len(rows)))
    for i, row in enumerate(rows):
        picture.paste(row, (0, row.height * i))
    picture.reduce(2).save(out / "looks.jpg", quality=90)
    merged_picture(scenes).save(out / "merge.jpg", quality=90)
    screenshot(out / "live.jpg", (1440, 900))


def main() -> None:
    """Draw."""
    plain = argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("assets"), help="folder of the README's pictures")
    parser.add_argument("--scenes", type=Path, help="folder of the photographs of scene light in the README's pictures")
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
        if args.scenes is None:
            parser.error("give --scenes, or a command")
        readme_pictures(args.out, args.scenes)
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
