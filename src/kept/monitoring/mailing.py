"""Sending notices as mails, by the mail server that the settings name."""

import smtplib
import socket
import ssl
from email.message import EmailMessage
from email.utils import format_datetime

from kept.core.clock import Clock
from kept.core.errors import Invalid, Unavailable
from kept.monitoring.wording import Message
from kept.settings.settings import Settings


def mail(settings: Settings, clock: Clock, address: str, message: Message, name: str) -> None:
    """Hands a message to the mail server, which has taken it when this returns.

    Args:
        settings: the server, how the way to it is sealed, and the login. Its certificate is verified.
        clock: for the mail's date.
        address: to whom.
        message: what.
        name: the mail's own id: one that comes twice can be told.

    Raises:
        Invalid: no server is set, or the address is none.
        Unavailable: the server is away, or refuses it.
    """
    if not settings.smtp_host:
        raise Invalid("no mail server is set", where="smtp_host", fix="Set smtp_host, or empty alert_email")
    sender = settings.smtp_from or f"kept@{socket.gethostname()}"
    letter = EmailMessage()
    try:
        letter["Subject"] = message.subject
        letter["From"] = sender
        letter["To"] = address
        letter["Date"] = format_datetime(clock.now())
        letter["Message-ID"] = f"<{name}@kept>"
    except ValueError as error:
        raise Invalid(f"a mail cannot be addressed so ({error})", where=address, fix="Mend alert_email") from error
    letter.set_content(message.text)
    try:
        with _connected(settings) as server:
            if settings.smtp_user:
                server.login(settings.smtp_user, settings.smtp_password)
            server.send_message(letter)
    except (smtplib.SMTPException, OSError) as error:
        said = f"the mail server did not take it ({type(error).__name__}: {error})"
        raise Unavailable(said, where=f"{settings.smtp_host}:{settings.smtp_port}") from error


def _connected(settings: Settings) -> smtplib.SMTP:
    where, seconds = (settings.smtp_host, settings.smtp_port), settings.alert_timeout_seconds
    if settings.smtp_security == "tls":
        return smtplib.SMTP_SSL(*where, timeout=seconds, context=ssl.create_default_context())
    server = smtplib.SMTP(*where, timeout=seconds)
    if settings.smtp_security == "starttls":
        try:
            server.starttls(context=ssl.create_default_context())
        except BaseException:
            server.close()
            raise
    return server
