"""Requests that offer another protocol (`Upgrade: h2c`): nobody here takes that up, and they are read as if they did not.

Clients for Java make such an offer with the first request of a connection. The parser takes its head for the last of HTTP/1.1,
and gives neither its body nor what follows.
"""

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_OFFERS = {b"upgrade", b"http2-settings"}


class PassingOverOffers(HttpToolsProtocol):
    """A connection that reads the head of such a request twice, the second time without the offer.

    What is done at the end of a head, and of a message, is not to be done where `offers` says that it is read again.
    """

    offers = False

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        self._unset_keepalive_if_required()
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                if not self.offers:
                    # CONNECT: its head has been dealt with, and what follows is for nobody here.
                    return
                data = self._head_without_offer() + data[offer.args[0] :]
                self.offers = False
                self.parser = httptools.HttpRequestParser(self)
                # As for the first one: what comes behind a last request is no error of its own.
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
                continue
            except httptools.HttpParserError:
                self.send_400_response("Invalid HTTP request received.")
            return

    def makes_offer(self) -> bool:
        """Whether the head that has ended makes one, and is read again. To be asked at its end."""
        self.offers = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        return self.offers

    def _head_without_offer(self) -> bytes:
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            if name == b"connection":
                wishes = [wish for wish in value.split(b",") if wish.strip().lower() not in _OFFERS]
                lines.append(b"connection: " + b",".join(wishes))
            elif name not in _OFFERS:
                lines.append(name + b": " + value)
        return b"\r\n".join([*lines, b"", b""])
