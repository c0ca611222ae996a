"""Sessions of a live loop, without a server."""

import pytest

from camera_nano.live.session import Session


@pytest.fixture
def start_session(editor, tmp_path):
    """A function that starts a session; whatever was started is closed at the end."""
    sessions = []

    def _start(source, load=lambda: editor, **options):
        session = Session(source, load, tmp_path / "shots", **options)
        sessions.append(session)
        session.start()
        return session

    yield _start
    for session in sessions:
        session.close()
