"""Brackets and bursts among the photos of a folder: which are found, and all that only looks like them."""

from dataclasses import replace

import numpy as np
import pytest

from camera_nano.batch.groups import Shot, find_groups
from camera_nano.color import srgb_codes
from camera_nano.files import Taken

CAMERA = Taken(
    at_s=1000.0, is_exact=True, time_s=1 / 60, f_number=8, iso=100, bias_ev=0, camera="Maker X", size_wh=(600, 400)
)
AROUND = (0, -2, 2)


def scene(seed, shift=0):
    """Smooth random light over four stops, as a small picture of linear light."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(-6, -1, (6, 8, 3)).mean(2, keepdims=True) + rng.normal(0, 0.1, (6, 8, 3))
    fine = np.kron(coarse, np.ones((8, 8, 1)))
    return np.roll(2**fine, shift, 1)[:43]


def photographed(light, ev):
    return srgb_codes(light * 2.0**ev)


class Folder:
    """Photos as a test makes them, with what each shows."""

    def __init__(self):
        self.shots, self.pictures, self.now_s, self.number = [], {}, 1000.0, 1

    def shoot(self, evs, of=1, step_s=0.4, *, name="IMG_{:04}.jpg", shows=None, **taken):
        """Photos of the scene `of`, exposed by `evs` beside the usual; `shows` is how they are exposed in truth."""
        for ev, seen in zip(evs, shows or evs, strict=True):
            made = replace(CAMERA, at_s=self.now_s, time_s=2.0**ev / 60, bias_ev=ev)
            place = f"photos/{name.format(self.number)}"
            self.shots.append(Shot(place, replace(made, **taken)))
            self.pictures[place] = photographed(scene(of), seen)
            self.now_s += step_s
            self.number += 1
        return self

    def wait(self, seconds):
        self.now_s += seconds
        return self

    def groups(self):
        return find_groups(self.shots, self.pictures.__getitem__)

    def sure(self):
        return [tuple(place.split("/")[-1] for place in group.places) for group in self.groups() if not group.doubt]

    def doubts(self):
        return [group.told for group in self.groups() if group.doubt]


@pytest.mark.parametrize("evs", [AROUND, (-2, 0, 2), (0, -1, 1), (0, -0.7, 0.7, -1.3, 1.3), (0, -3, 3), (0, 2, 4)])
@pytest.mark.parametrize("is_told", [True, False])
@pytest.mark.parametrize("is_exact", [True, False])
def test_a_bracket_is_found(evs, is_told, is_exact):
    found = Folder().shoot(evs, is_bracket=is_told, is_exact=is_exact)
    assert found.sure() == [tuple(f"IMG_{n:04}.jpg" for n in range(1, len(evs) + 1))] and not found.doubts()
    assert found.groups()[0].kind == "bracket"


def test_two_brackets_in_a_row_are_two_and_other_photos_stay_single():
    folder = Folder().shoot([0], of=3).wait(1).shoot(AROUND).shoot(AROUND).wait(1).shoot(AROUND, of=2).shoot([0], of=4)
    first, second, third = folder.sure()
    assert (first[0], second[0], third[0]) == ("IMG_0001.jpg", "IMG_0004.jpg", "IMG_0008.jpg") or (
        (first[0], second[0], third[0]) == ("IMG_0002.jpg", "IMG_0005.jpg", "IMG_0008.jpg")
    )


def test_brackets_one_after_the_other_are_told_apart():
    folder = Folder()
    for number in range(40):
        folder.shoot(AROUND, of=number, is_bracket=True)
    assert folder.sure() == [tuple(f"IMG_{n + k:04}.jpg" for k in range(3)) for n in range(1, 121, 3)]


def test_a_pair_is_a_bracket_only_where_the_camera_says_so():
    assert Folder().shoot([0, -2], is_bracket=True).sure()
    folder = Folder().shoot([0, -2])
    assert not folder.sure() and not folder.doubts()


def panorama(folder):
    for number in range(8):
        folder.shoot([0.3 * number], of=number, bias_ev=0.0, step_s=1)


def panorama_of_one_exposure(folder):
    for number in range(8):
        folder.shoot([0], of=number, iso=1600)


def portraits(folder):
    folder.shoot([0, 0.2, -0.1, 0.1] * 3, bias_ev=0.0, step_s=1.5)


def timelapse(folder):
    folder.shoot(np.linspace(0, 3, 100), bias_ev=0.0, step_s=1, iso=1600)


def long_timelapse_at_night(folder):
    folder.shoot([0] * 100, iso=3200, step_s=0.4)


def focus_stack(folder):
    folder.shoot([0] * 12, step_s=0.2, iso=100)


def focus_stack_in_the_dark(folder):
    for number in range(12):
        folder.shoot([0], step_s=0.2, iso=1600, distance_m=0.3 + number / 100)


def burst_by_day(folder):
    folder.shoot([0] * 6, step_s=0.1)


def one_of_each_scene(folder):
    for number, ev in enumerate((0, -2, 2) * 5):
        folder.shoot([ev], of=number, step_s=5)


def pauses(folder):
    folder.shoot(AROUND, step_s=4)


def clock_set_between(folder):
    folder.shoot([0]).wait(3600).shoot([-2]).wait(3600).shoot([2])


def two_cameras(folder):
    for ev, camera in zip(AROUND, ("A", "B", "C"), strict=True):
        folder.shoot([ev], camera=camera)


def two_sizes(folder):
    for ev, width in zip(AROUND, (600, 600, 400), strict=True):
        folder.shoot([ev], size_wh=(width, 400))


def turned(folder):
    for ev, orientation in zip(AROUND, (1, 6, 1), strict=True):
        folder.shoot([ev], orientation=orientation)


def zoomed(folder):
    for ev, focal_mm in zip(AROUND, (24, 35, 50), strict=True):
        folder.shoot([ev], focal_mm=focal_mm)


def no_camera(folder):
    folder.shoot(AROUND, camera="")


def no_exposure(folder):
    folder.shoot(AROUND, time_s=None)


def no_time(folder):
    folder.shoot(AROUND, at_s=None)


def folders(folder):
    for ev, where in zip(AROUND, "abc", strict=True):
        folder.shoot([ev], name=where + "/IMG_{:04}.jpg")


SINGLE = [panorama, panorama_of_one_exposure, portraits, timelapse, long_timelapse_at_night, focus_stack]
SINGLE += [focus_stack_in_the_dark, burst_by_day, one_of_each_scene, pauses, clock_set_between, two_cameras, two_sizes]
SINGLE += [turned, zoomed, no_camera, no_exposure, no_time, folders]


@pytest.mark.parametrize("take", SINGLE, ids=lambda take: take.__name__)
def test_what_is_no_bracket_stays_single_without_a_word(take):
    folder = Folder()
    take(folder)
    assert not folder.sure() and not folder.doubts()


def broken_off(folder):
    folder.shoot(AROUND, is_bracket=True).shoot(AROUND[:2], is_bracket=True).shoot(AROUND, is_bracket=True)
    return "broken off after 2 of 3", 2


def one_deleted(folder):
    folder.shoot([0, -2], is_bracket=True)
    folder.number += 1
    folder.shoot([2], is_bracket=True)
    return "numbers do not follow", 0


def middle_missing(folder):
    folder.shoot([-3, 3], is_bracket=True)
    return "a photo between them is missing", 0


def by_hand(folder):
    folder.shoot(AROUND, bias_ev=0.0)
    return "does not say that it bracketed", 0


def another_scene(folder):
    folder.shoot([0, -2], is_bracket=True).shoot([2], of=2, is_bracket=True)
    return "are not alike", 0


def lies(folder):
    folder.shoot(AROUND, is_bracket=True, shows=(0, 0, 0))
    return "differ by", 0


def blank(folder):
    folder.shoot(AROUND, is_bracket=True)
    folder.pictures = {place: np.full_like(picture, 99) for place, picture in folder.pictures.items()}
    return "are not alike", 0


def gone(folder):
    folder.shoot(AROUND, is_bracket=True)

    def small(place):
        raise ValueError(f"{place} is damaged")

    folder.groups = lambda: find_groups(folder.shots, small)
    return "cannot be read", 0


@pytest.mark.parametrize("take", [broken_off, one_deleted, middle_missing, by_hand, another_scene, lies, blank, gone])
def test_a_group_in_doubt_stays_single_and_is_told(take):
    folder = Folder()
    why, n_sure = take(folder)
    [told] = folder.doubts()
    assert why in told and "each stays single" in told and "camera-nano merge IMG_" in told
    assert len(folder.sure()) == n_sure


def test_a_bracket_may_be_long_and_hand_held():
    folder = Folder().shoot(AROUND, time_s=None)
    folder.shots = [
        replace(shot, taken=replace(shot.taken, time_s=4 * 2.0**ev, at_s=1000 + 20 * k))
        for k, (shot, ev) in enumerate(zip(folder.shots, AROUND, strict=True))
    ]
    assert not folder.sure()  # 20 s apart, 16 s at most of them exposed
    folder.shots = [replace(s, taken=replace(s.taken, at_s=1000 + 5.5 * k)) for k, s in enumerate(folder.shots)]
    folder.pictures = {p: np.roll(x, k, (0, 1)) for k, (p, x) in enumerate(folder.pictures.items())}
    assert folder.sure()


def test_copies_count_once():
    folder = Folder().shoot(AROUND, is_bracket=True)
    for shot in list(folder.shots):
        copy = replace(shot, place=shot.place.replace(".jpg", " (1).jpg"))
        folder.shots.append(copy)
        folder.pictures[copy.place] = folder.pictures[shot.place]
    assert folder.sure() == [("IMG_0001.jpg", "IMG_0002.jpg", "IMG_0003.jpg")]


def test_of_raw_files_and_their_jpegs_the_raw_ones_are_merged():
    folder = Folder().shoot(AROUND, name="IMG_{:04}.JPG")
    folder.now_s, folder.number = 1000.0, 1
    folder.shoot(AROUND, name="IMG_{:04}.NEF")
    assert folder.sure() == [("IMG_0001.NEF", "IMG_0002.NEF", "IMG_0003.NEF")]
    folder.pictures |= {place: np.zeros_like(x) for place, x in folder.pictures.items() if place.endswith("NEF")}
    assert folder.sure() == [("IMG_0001.JPG", "IMG_0002.JPG", "IMG_0003.JPG")]


def test_a_burst_in_the_dark_is_found_and_one_that_moves_is_not():
    folder = Folder().shoot([0] * 8, iso=3200, step_s=0.2)
    assert [group.kind for group in folder.groups()] == ["burst"] and len(folder.groups()[0].places) == 8
    folder = Folder()
    for number in range(8):
        folder.shoot([0], of=number, iso=3200, step_s=0.2)
    assert not folder.groups()


@pytest.mark.parametrize("seed", range(40))
def test_what_is_sure_is_of_one_scene_whatever_was_shot(seed):
    """Random walks through scenes, exposures and pauses, flags among them that lie."""
    rng = np.random.default_rng(seed)
    folder, shows, now = Folder(), {}, 0
    for _ in range(60):
        now += rng.random() < 0.3
        ev, place = float(rng.choice([-2, -1, 0, 1, 2])), f"photos/IMG_{folder.number:04}.jpg"
        flags = {"is_bracket": bool(rng.random() < 0.7), "bias_ev": float(rng.choice([ev, 0]))}
        folder.shoot([ev], of=1000 * seed + now, step_s=float(rng.choice([0.2, 1, 4])), **flags)
        shows[place] = now
    for group in folder.groups():
        assert group.doubt or len({shows[place] for place in group.places}) == 1
