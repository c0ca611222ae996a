import pytest

from camera_nano.live.timing import Throttle


def test_looks_are_refreshed_at_most_so_often():
    throttle = Throttle(most_per_s=10)
    assert throttle.rest_s(0.03, 30) == pytest.approx(0.07)
    assert throttle.rest_s(0.2, 30) == 0 and not throttle.is_held_back


def test_looks_slow_down_before_frames_do_and_come_back():
    throttle = Throttle(most_per_s=10)
    for _ in range(10):
        throttle.rest_s(0.03, 30)
    falling = [throttle.rest_s(0.03, 18) for _ in range(40)]
    assert falling == sorted(falling) and falling[-1] == pytest.approx(0.97)  # never slower than once a second
    assert throttle.is_held_back
    rising = [throttle.rest_s(0.03, 29) for _ in range(80)]
    assert rising == sorted(rising, reverse=True) and rising[-1] == pytest.approx(0.07)
    assert not throttle.is_held_back


def test_a_slower_camera_mode_is_learned_not_fought():
    throttle = Throttle()
    throttle.rest_s(0.03, 60)
    for _ in range(1500):
        throttle.rest_s(0.03, 24)
    assert not throttle.is_held_back
