"""Sending notices through Apprise: Slack, Teams, Matrix, Telegram, ..."""

import apprise

from kept.core.errors import Invalid, Unavailable
from kept.monitoring.wording import Message

_KINDS = {
    "info": apprise.NotifyType.INFO,
    "warning": apprise.NotifyType.WARNING,
    "critical": apprise.NotifyType.FAILURE,
    "resolved": apprise.NotifyType.SUCCESS,
}


def chat(url: str, message: Message, looks: str) -> None:
    """Writes a message to a chat, looking as grave as it is: `info`, `warning`, `critical` or `resolved`.

    `Unavailable` when it did not take it, `Invalid` when the URL is none of Apprise's.
    """
    to = apprise.Apprise()
    if not to.add(url):
        # The URL holds a secret: no error tells it.
        raise Invalid("a URL is none that Apprise knows", where="alert_chat", fix="See https://appriseit.com/services")
    if not to.notify(body=message.text, title=message.subject, notify_type=_KINDS[looks]):
        raise Unavailable("the chat did not take it", where=str(to[0].service_name))
