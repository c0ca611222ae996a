import numpy as np

from camera_nano.light.temporal import newest_share, smooth
from camera_nano.values import GRID_HWD, Condition, EditField


def constant(value):
    return EditField(np.full((*GRID_HWD, 4), value, np.float32))


def seen(value):
    return Condition(np.full((64, 64, 3), value, np.float32))


def test_a_still_scene_is_smoothed_and_a_cut_is_not():
    assert newest_share(seen(0.5), seen(0.5)) < 0.5
    assert newest_share(seen(0.1), seen(0.9)) == 1
    assert newest_share(seen(0.5), seen(0.5)) < newest_share(seen(0.5), seen(0.55)) < 1


def test_noise_of_a_steady_scene_shrinks(rng):
    raw = [constant(v) for v in rng.normal(0, 0.1, 200).clip(-1, 1)]
    held, kept = [raw[0]], []
    for field in raw:
        held = smooth(held, [field], 0.35)
        kept.append(held[0].grid[0, 0, 0, 0])
    assert np.std(kept[20:]) < 0.6 * np.std([f.grid[0, 0, 0, 0] for f in raw])


def test_a_step_settles():
    held = [constant(0.0)]
    for _ in range(8):
        held = smooth(held, [constant(1.0)], 0.35)
    assert held[0].grid.min() > 0.95
