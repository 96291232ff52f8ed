"""The way to a mail server: one conversation of SMTP (RFC 5321) for each notice, inside TLS unless told otherwise.

    220 <- EHLO, STARTTLS (RFC 3207), EHLO again -> AUTH (RFC 4954) -> MAIL, RCPT, DATA -> 250 -> QUIT

The order protects the password and the recipients: before TLS is up nothing goes but EHLO and STARTTLS, and bytes that
came in clear behind the server's 220 end the conversation, for they were not said inside TLS. Here and not by
twisted.mail, which asks DNS for this machine's name and takes the reactor when it is imported.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, DeferredQueue, succeed
from twisted.internet.protocol import Factory, connectionDone
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

from gateway.config.tables.alert_table import Server
from gateway.observe.clean_text import clean
from gateway.observe.redaction import REDACTED
from gateway.security.alerts.mail_message import message_of
from gateway.security.alerts.notice import NotDelivered, Notice
from gateway.security.alerts.tls_way import VerifiedServer, endpoint

PATIENCE: Final = 30.0
"""Seconds for one mail: servers greet late on purpose."""
PAUSE: Final = 600.0
"""Seconds from one mail to the next, in which events of the meantime are summed up."""
AT_ONCE: Final = 1_000
LONGEST_REPLY: Final = 100
"""Lines of one reply."""


@attrs.frozen
class Mailbox:
    """The server, and the ends of each mail."""

    server: Server
    sender: str
    recipients: tuple[str, ...]
    tls: VerifiedServer | None
    """None: in clear."""
    is_tls_first: bool = False
    """Whether TLS comes before the first byte, without STARTTLS (RFC 8314)."""
    user: str = ""
    password: str = attrs.field(default="", repr=False)


class SmtpClient(LineReceiver):
    """One connection to a mail server: commands, and their replies."""

    MAX_LENGTH = 2_000

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._replies: DeferredQueue[tuple[int, list[str]]] = DeferredQueue()

    def lineReceived(self, line: bytes) -> None:
        """A line of a reply; the last one has a blank after its code."""
        self._lines.append(line)
        if line[3:4] != b"-" or len(self._lines) > LONGEST_REPLY:
            lines, self._lines = self._lines, []
            code = int(line[:3]) if line[:3].isdigit() else 0
            self._replies.put((code, [clean(one[4:].decode("latin-1")) for one in lines]))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The server is gone: nothing is answered any more."""
        self._replies.put((0, ["the connection was closed"]))

    def send_line(self, line: bytes) -> None:
        """Send a line, or several that are joined."""
        self.sendLine(line)  # type: ignore[no-untyped-call]

    async def expect(self, code: int, step: str, secret: str = REDACTED) -> list[str]:
        """The lines of the next reply. Raises NotDelivered for another code, with its words but for the secret."""
        found, lines = await self._replies.get()
        if found != code:
            told = f"{found or ''} {' '.join(lines).replace(secret, REDACTED)[:200]}".strip()
            raise NotDelivered(f"the server's answer to {step}: {told}")
        return lines

    async def say(self, command: str, code: int, step: str = "") -> list[str]:
        """Send a command, and wait for its reply. Raises NotDelivered; ``step`` is shown in place of a long command."""
        self.send_line(command.encode("ascii"))
        return await self.expect(code, step or command)

    async def confide(self, words: str, secret: str, code: int, step: str) -> None:
        """Send a command that ends with a secret, and wait for its reply. Raises NotDelivered without the secret: a
        server that does not know the command may repeat it."""
        self.send_line(f"{words}{secret}".encode("ascii"))
        await self.expect(code, step, secret)

    def start_tls(self, tls: VerifiedServer) -> None:
        """Go on inside TLS. Raises NotDelivered where the server said more than it was asked."""
        left: bytes = self.clearLineBuffer()  # type: ignore[no-untyped-call]
        if left or self._replies.pending:
            raise NotDelivered("the server said more in clear than it was asked")
        transport: Any = self.transport
        transport.startTLS(tls)

    def own_name(self) -> str:
        """This end as an address literal (RFC 5321 section 4.1.3)."""
        transport: Any = self.transport
        host = str(transport.getHost().host)
        return f"[IPv6:{host}]" if ":" in host else f"[{host}]"


class MailReceiver:
    """Notices by electronic mail: at most one in ten minutes."""

    at_once = AT_ONCE
    pause = PAUSE
    patience = PATIENCE

    def __init__(self, mailbox: Mailbox, reactor: Any, wall: Callable[[], float]) -> None:
        self._mailbox = mailbox
        self._wall = wall
        tls = mailbox.tls if mailbox.is_tls_first else None
        self._endpoint = endpoint(reactor, mailbox.server, tls)

    def send(self, notice: Notice) -> Deferred[str]:
        """Send a mail; gives the server's words when it took it. Fails with NotDelivered."""
        return Deferred.fromCoroutine(self._sent(notice))

    def stop(self) -> Deferred[None]:
        """Nothing is kept open."""
        return succeed(None)

    async def _sent(self, notice: Notice) -> str:
        box = self._mailbox
        client: SmtpClient = await self._endpoint.connect(Factory.forProtocol(SmtpClient))
        transport: Any = client.transport
        try:
            await client.expect(220, "its greeting")
            await self._proved(client)
            taken = await _handed_over(client, box, message_of(notice, box.sender, box.recipients, self._wall()))
        except BaseException:
            transport.abortConnection()
            if box.tls is not None and box.tls.problem:
                raise NotDelivered(box.tls.problem) from None
            raise
        client.send_line(b"QUIT")
        transport.loseConnection()
        return taken

    async def _proved(self, client: SmtpClient) -> None:
        """Be inside TLS, and logged in."""
        box, name = self._mailbox, client.own_name()
        offered = await client.say(f"EHLO {name}", 250)
        if box.tls is not None and not box.is_tls_first:
            if "STARTTLS" not in {line.upper() for line in offered}:
                raise NotDelivered("the server offers no STARTTLS, and nothing is told in clear")
            await client.say("STARTTLS", 220)
            client.start_tls(box.tls)
            offered = await client.say(f"EHLO {name}", 250)
        if box.user:
            await _log_in(client, box, offered)


async def _log_in(client: SmtpClient, box: Mailbox, offered: list[str]) -> None:
    ways = {way for line in offered if line.upper().startswith("AUTH ") for way in line.upper().split()[1:]}
    if "PLAIN" in ways:
        await client.confide("AUTH PLAIN ", _encoded(f"\0{box.user}\0{box.password}"), 235, "AUTH PLAIN")
    elif "LOGIN" in ways:
        await client.say("AUTH LOGIN", 334)
        await client.say(_encoded(box.user), 334, "the user")
        await client.confide("", _encoded(box.password), 235, "the password")
    else:
        raise NotDelivered("the server offers neither AUTH PLAIN nor AUTH LOGIN")


async def _handed_over(client: SmtpClient, box: Mailbox, message: bytes) -> str:
    """The server's words when it has taken the message."""
    await client.say(f"MAIL FROM:<{box.sender}>", 250)
    refused = [reason for recipient in box.recipients if (reason := await _refusal(client, recipient))]
    if len(refused) == len(box.recipients):
        raise NotDelivered(refused[0])
    await client.say("DATA", 354)
    lines = message.removesuffix(b"\r\n").split(b"\r\n")
    client.send_line(b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines))
    words = await client.say(".", 250, "the message")
    return "; ".join((f"250 {' '.join(words)}"[:200], *refused))


async def _refusal(client: SmtpClient, recipient: str) -> str:
    """Why the server takes no mail for one recipient; empty where it does. The others get theirs."""
    try:
        await client.say(f"RCPT TO:<{recipient}>", 250)
    except NotDelivered as error:
        return str(error)
    return ""


def _encoded(text: str) -> str:
    return b64encode(text.encode()).decode("ascii")
