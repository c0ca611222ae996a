"""The one handler of signals: it is called, and gone again afterwards."""

import signal
import threading

import pytest

from camera_nano.stop import Stop, on_signals

NUMBERS = (signal.SIGINT, signal.SIGTERM)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_sets_a_flag_and_the_earlier_handler_comes_back(number):
    stop, before = Stop(), signal.getsignal(number)
    with on_signals(lambda *_: stop.set()):
        signal.raise_signal(number)
        assert stop.wait(0)
        signal.signal(number, signal.SIG_IGN)  # as a library might
    assert signal.getsignal(number) is before


def test_without_a_handler_a_librarys_is_taken_away_even_after_an_error():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(OSError), on_signals(None):
        assert signal.getsignal(signal.SIGTERM) is before
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise OSError
    assert signal.getsignal(signal.SIGTERM) is before


def test_another_thread_leaves_handlers_alone():
    before, seen = [signal.getsignal(number) for number in NUMBERS], []

    def work():
        with on_signals(print):
            seen.extend(signal.getsignal(number) for number in NUMBERS)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert seen == before
