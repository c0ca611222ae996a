"""The `live` command: a camera, a session, and a page, a button or a clock in front of it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue

from camera_nano.arguments import labels_of
from camera_nano.engines import load_editor, model_digest, verify
from camera_nano.headless import Presses, shoot
from camera_nano.looks import choose_aloud, load_looks
from camera_nano.machine import share_heaps
from camera_nano.paths import check_writable, pipeline_dir
from camera_nano.progress import print_json, say
from camera_nano.session import Session
from camera_nano.sources import open_watched


def run(args: argparse.Namespace) -> int:
    """Run it until it is ended; how many shots could not be saved.

    Raises:
        ValueError: a flag or a look makes no sense.
        ModelError, CameraLost, MissingDevice, OSError: what is missing, in one line.
    """
    host, labels = _host(args), labels_of(args)
    share_heaps()
    # a wrong name or a broken model is told before anything starts
    looks = choose_aloud(load_looks(pipeline_dir()), args.looks)
    if args.virtual_look is not None and args.virtual_look not in [look.name for look in looks]:
        raise ValueError(
            f"--virtual-look {args.virtual_look} is not one of the looks of this session: add it to --looks"
        )
    verify(pipeline_dir())
    check_writable(args.out)
    session = Session(
        open_watched(args.source, must_be_there=args.headless),
        lambda: load_editor(args.engine),
        args.out,
        looks=args.looks,
        n_steps=args.steps,
        seed=args.seed,
        with_dng=args.dng,
        model=f"{args.engine}:{model_digest(pipeline_dir())}",
        labels=labels,
    )
    say(f"camera: {session.source.name}")
    try:
        with _extras(args, session) as presses:
            _run_headless(args, session, presses) if args.headless else _serve(args, session, host)
    finally:
        n_lost = session.close()
    if n_lost:
        say(f"camera-nano: {args.out}: the disk is full, {n_lost} shots could not be saved")
    return n_lost


@contextmanager
def _extras(args: argparse.Namespace, session: Session) -> Iterator[Presses | None]:
    """The button and the virtual camera, where they are asked for; without a page, what the button takes."""
    presses: Presses | None = SimpleQueue() if args.headless and args.gpio_button is not None else None
    with ExitStack() as stack:
        if args.gpio_button is not None:
            from camera_nano.gpio import ShutterButton

            taken = presses.put if presses is not None else lambda shot: None
            button = ShutterButton(session, args.gpio_button, args.gpio_led, args.strength, taken=taken, say=say)
            stack.callback(button.close)
        if args.virtual_camera:
            from camera_nano.loopback import Loopback

            stack.enter_context(Loopback(session, args.virtual_camera, args.virtual_look))
        yield presses


def _run_headless(args: argparse.Namespace, session: Session, presses: Presses | None) -> None:
    n_shots = None if args.shots is None and presses is not None else args.shots or 1
    for shot in shoot(session, n_shots, args.every, args.strength, presses=presses, say=say):
        print_json(shot.as_dict())


def _serve(args: argparse.Namespace, session: Session, host: str) -> None:
    from camera_nano.web.server import serve

    serve(
        session,
        host=host,
        port=args.port,
        on_ready=lambda url: say(f"open {url}  (Ctrl-C ends)"),
        show_pairing=_show_pairing if args.lan else None,
        tls=(args.tls_cert, args.tls_key) if args.tls_cert else None,
    )


def _host(args: argparse.Namespace) -> str:
    """The address to listen on; the network is let in only where that was asked for in so many words."""
    if (args.tls_cert is None) != (args.tls_key is None):
        raise ValueError("--tls-cert and --tls-key belong together: give both, or neither")
    for path in filter(None, (args.tls_cert, args.tls_key)):
        path.open("rb").close()
    is_local = args.host in (None, "localhost") or args.host.startswith("127.") or args.host == "::1"
    if not args.lan and not is_local:
        raise ValueError(f"--host {args.host} would let the network in: add --lan, which makes devices pair first")
    return args.host or ("0.0.0.0" if args.lan else "127.0.0.1")


def _show_pairing(url: str) -> None:
    import segno

    say(f"pair a phone or laptop (this code works once): {url}")
    segno.make(url, error="l").terminal(sys.stderr, compact=True)
    sys.stderr.flush()
