"""The command `python -m gateway.demo`: see a plain phone call through the gateway, with nothing but this machine.

Lives here: options, the ways out, exit statuses. Not here: the play. Every child is ended before this process ends,
however it ends: normally, on Ctrl-C or SIGTERM, or because something went wrong.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from signal import SIGHUP, signal

from attrs import evolve
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.posixbase import PosixReactorBase
from twisted.internet.task import react
from twisted.logger import globalLogBeginner, textFileLogObserver

from gateway.config.load import load
from gateway.config.model import ConfigurationError
from gateway.demo.admin_client import NoRecord
from gateway.demo.agent.invites import NotAnswered
from gateway.demo.agent.user_agent import Reactor, Unanswered
from gateway.demo.free_ports import explanation, unusable
from gateway.demo.lan import NotOurs, lan_host, written_for
from gateway.demo.phone import NotRegistered
from gateway.demo.play import Demonstration
from gateway.demo.printout import guide, report
from gateway.demo.processes import ChildEnded
from gateway.demo.roles import Scene, Unsuitable, set_scene
from gateway.transport.flow import Address

_FAILURES = (ChildEnded, NoRecord, NotAnswered, NotRegistered, TimeoutError, Unanswered)


def main(reactor: PosixReactorBase, *arguments: str) -> Deferred[None]:
    """Play; the Deferred fails with SystemExit, which holds the exit status."""
    signal(SIGHUP, lambda number, frame: reactor.callFromThread(reactor.stop))  # a closed terminal ends it all too
    return ensureDeferred(_demonstrate(Reactor.of(reactor), _options(arguments)))


def _options(arguments: tuple[str, ...]) -> Namespace:
    parser = ArgumentParser(prog="python -m gateway.demo", description="A call through the gateway, on loopback.")
    parser.add_argument("--config", type=Path, default=Path("deploy/demo.toml"), help="the gateway's configuration")
    parser.add_argument(
        "--host", help="an address or name of this machine: phones of its network reach the gateway there"
    )
    parser.add_argument("--phone", type=Address.parse, default=Address("127.0.0.11", 5070), metavar="ADDRESS:PORT")
    parser.add_argument("--certificate", type=Path, default=Path("certs/provider.pem"), help="the provider's")
    parser.add_argument("--private-key", type=Path, default=Path("certs/provider.key"), help="the provider's")
    parser.add_argument("--once", action="store_true", help="exit after the call: 0 when it was encrypted and heard")
    parser.add_argument(
        "--call-back-after",
        type=float,
        metavar="SECONDS",
        help="let the provider call each phone, so long after it registers",
    )
    return parser.parse_args(arguments)


async def _demonstrate(reactor: Reactor, options: Namespace) -> None:
    scene = _scene(options)
    problems = unusable(scene.needed_ports())
    if problems:
        raise SystemExit(_say(explanation(problems)))
    _begin_log(scene.logs / "phone.log")
    demonstration = Demonstration(reactor, scene, _show)
    reactor.core.addSystemEventTrigger("before", "shutdown", demonstration.end)
    try:
        outcome = await demonstration.play()
    except _FAILURES as failure:
        raise SystemExit(_say(f"{str(failure) or type(failure).__name__}\nThe logs are in {scene.logs}.")) from failure
    _show(f"\n{report(outcome)}\n")
    if options.once:
        raise SystemExit(0 if outcome.is_good else 1)
    _show(f"{guide(scene, outcome.record.id)}\n\nCtrl-C ends it all.")
    raise SystemExit(_say(str(await demonstration.broken)))


def _scene(options: Namespace) -> Scene:
    try:
        configuration = load(options.config)
        lan = None if options.host is None else lan_host(options.host, options.certificate.absolute().parent)
        if lan is not None:
            configuration = load(written_for(options.config, lan))
        scene = set_scene(configuration, options.phone, options.certificate.absolute(), options.private_key.absolute())
    except (ConfigurationError, NotOurs, Unsuitable) as error:
        raise SystemExit(_say(str(error))) from error
    return evolve(scene, lan=lan, call_back_after=options.call_back_after)


def _say(problem: str) -> int:
    """Print the problem; returns the exit status that goes with it."""
    print(problem, file=sys.stderr, flush=True)
    return 1


def _show(text: str) -> None:
    print(text, flush=True)


def _begin_log(path: Path) -> None:
    """This process is also the phone: its layers log to a file, not between the lines of the report."""
    path.parent.mkdir(parents=True, exist_ok=True)
    observer = textFileLogObserver(path.open("w", encoding="utf-8"))
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)


if __name__ == "__main__":
    react(main, sys.argv[1:])
