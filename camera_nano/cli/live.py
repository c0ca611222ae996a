"""The `live` command: a session on a camera, shot from a page, by a button or by a clock."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import SimpleQueue

from camera_nano.atomic import check_writable
from camera_nano.cli.parser import labels_of
from camera_nano.console import is_json, print_json, say
from camera_nano.engines import load_editor, model_id, verify
from camera_nano.errors import CameraNanoError, ExitCode
from camera_nano.live import Presses, Session, shoot
from camera_nano.looks import choose_aloud, load_looks
from camera_nano.machine import share_heaps
from camera_nano.merge import kernel
from camera_nano.paths import data_dir, pipeline_dir
from camera_nano.sources import open_watched
from camera_nano.stop import on_signals


def live(args: argparse.Namespace) -> ExitCode:
    """Run the session until somebody ends it, or --shots are taken.

    Raises:
        ValueError: a flag or a look makes no sense.
        CameraNanoError, OSError: the model, the camera, a device, the port or the folder cannot be used.
    """
    host, labels = _host(args), labels_of(args)
    share_heaps()
    # a wrong name or a broken model fails here, before anything starts
    looks = choose_aloud(load_looks(pipeline_dir()), args.looks)
    if args.virtual_look is not None and args.virtual_look not in [look.name for look in looks]:
        raise ValueError(
            f"--virtual-look {args.virtual_look} is not one of the looks of this session: add it to --looks"
        )
    verify(pipeline_dir())
    check_writable(args.out)
    if args.phone_app is not None and not (args.phone_app / "files.json").is_file():
        raise ValueError(
            f"--phone-app {args.phone_app} holds no app: bash tools/install/pwa.sh {args.phone_app} makes it"
        )
    session = Session(
        open_watched(args.source, must_be_there=args.headless),
        lambda: load_editor(args.engine),
        args.out,
        looks=args.looks,
        n_steps=args.steps,
        seed=args.seed,
        with_dng=args.dng,
        model=model_id(args.engine, pipeline_dir()),
        labels=labels,
        night=args.night == "auto",
        bracket=_brackets(args),
        words=data_dir() / "looks.txt",
    )
    say(f"camera: {session.source.name}", "camera", source=session.source.name)
    try:
        with _devices(args, session) as presses:
            _shoot(args, session, presses) if args.headless else _serve(args, session, host)
    finally:
        # shots are being saved: only Ctrl-C gives them up
        with on_signals(lambda *_: None, [signal.SIGTERM, signal.SIGHUP]):
            n_lost = session.close()
    if not n_lost:
        return ExitCode.OK
    lost = f"{args.out}: the disk is full, {n_lost} shots could not be saved"
    say(f"camera-nano: {lost}", "error", "error", exit_code=ExitCode.NO_SPACE, shots_lost=n_lost)
    return ExitCode.NO_SPACE


def _brackets(args: argparse.Namespace) -> bool:
    """Whether views may show what darker frames hold: only the compiled loops are quick enough for that."""
    if args.bracket == "auto" and kernel() is None:
        missing = "the compiled loops of the merge, which are not there"
        raise CameraNanoError(f"--bracket auto needs {missing}: `camera-nano doctor` says how to get them")
    return args.bracket != "off" and kernel() is not None


@contextmanager
def _devices(args: argparse.Namespace, session: Session) -> Iterator[Presses | None]:
    """The button and the virtual camera, if the flags ask for them; yields the queue of a headless button's shots."""
    presses: Presses | None = SimpleQueue() if args.headless and args.gpio_button is not None else None
    with ExitStack() as stack:
        if args.gpio_button is not None:
            from camera_nano.live.button import ShutterButton

            taken = presses.put if presses is not None else lambda shot: None
            button = ShutterButton(session, args.gpio_button, args.gpio_led, args.strength, taken=taken, say=say)
            stack.callback(button.close)
        if args.virtual_camera:
            from camera_nano.live.loopback import Loopback

            stack.enter_context(Loopback(session, args.virtual_camera, args.virtual_look))
        yield presses


def _shoot(args: argparse.Namespace, session: Session, presses: Presses | None) -> None:
    n_shots = None if args.shots is None and presses is not None else args.shots or 1
    for shot in shoot(session, n_shots, args.every, args.strength, presses=presses, say=say):
        print_json(shot.as_dict())
        if args.log_json:
            say(f"shot: {shot.original}", "shot", **shot.as_dict())


def _serve(args: argparse.Namespace, session: Session, host: str) -> None:
    from camera_nano.web.server import serve

    # behind a proxy on this device everybody seems to be on this device
    pairs_local = bool(args.pair_local or args.allow_host or args.root_path)
    serve(
        session,
        host=host,
        port=args.port,
        on_ready=lambda url: _say_ready(url, args.phone_app),
        show_pairing=_show_pairing if args.lan or pairs_local else None,
        allow_hosts=args.allow_host,
        root_path=args.root_path,
        pairs_local=pairs_local,
        tls=(args.tls_cert, args.tls_key) if args.tls_cert else None,
        phone_app=args.phone_app,
    )


def _say_ready(url: str, phone_app: Path | None) -> None:
    say(f"open {url}  (Ctrl-C ends)", "ready", url=url)
    if phone_app is not None:
        say(f"the app that runs on a phone by itself: {url}phone/", "phone_app", url=f"{url}phone/")


def _host(args: argparse.Namespace) -> str:
    """The address to listen on: only with --lan is it one that other devices can reach."""
    if (args.tls_cert is None) != (args.tls_key is None):
        raise ValueError("--tls-cert and --tls-key belong together: give both, or neither")
    for path in filter(None, (args.tls_cert, args.tls_key)):
        path.open("rb").close()  # raises where it cannot be read
    is_local = args.host in (None, "localhost") or args.host.startswith("127.") or args.host == "::1"
    if not args.lan and not is_local:
        raise ValueError(f"--host {args.host} would let other devices in: add --lan, which makes them pair first")
    return args.host or ("0.0.0.0" if args.lan else "127.0.0.1")


def _show_pairing(url: str) -> None:
    import segno

    say(f"pair a phone or laptop (this code works once): {url}", "pairing", url=url)
    if is_json():
        return
    segno.make(url, error="l").terminal(sys.stderr, compact=True)
    sys.stderr.flush()
