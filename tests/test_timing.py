import pytest

from camera_nano.timing import Pace


def test_looks_are_refreshed_at_most_so_often():
    pace = Pace(most_per_s=10)
    assert pace.rest_s(0.03, 30) == pytest.approx(0.07)
    assert pace.rest_s(0.2, 30) == 0 and not pace.is_held_back


def test_looks_slow_down_before_frames_do_and_come_back():
    pace = Pace(most_per_s=10)
    for _ in range(10):
        pace.rest_s(0.03, 30)
    falling = [pace.rest_s(0.03, 18) for _ in range(40)]
    assert falling == sorted(falling) and falling[-1] == pytest.approx(0.97)  # never slower than once a second
    assert pace.is_held_back
    rising = [pace.rest_s(0.03, 29) for _ in range(80)]
    assert rising == sorted(rising, reverse=True) and rising[-1] == pytest.approx(0.07)
    assert not pace.is_held_back


def test_a_slower_camera_mode_is_learned_not_fought():
    pace = Pace()
    pace.rest_s(0.03, 60)
    for _ in range(1500):
        pace.rest_s(0.03, 24)
    assert not pace.is_held_back
