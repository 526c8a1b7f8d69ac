"""A mail server of this machine, for tests: it speaks as much SMTP as is needed to take a mail, with STARTTLS."""

import socketserver
import ssl
import threading
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kept.core.clock import SystemClock
from kept.core.durations import duration


class MailServer:
    """Takes mails on a port of its own, and notes how each came."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.took: list[tuple[str, str, bool]] = []
        """Receiver, mail, and whether the way was sealed."""
        self.refuses = False
        self.certificate = certificate
        self._server = _Server(("127.0.0.1", 0), type("Bound", (_Talk,), {"post": self}))
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


class _Talk(socketserver.StreamRequestHandler):
    post: MailServer

    def handle(self) -> None:
        self.sealed, self.to = False, ""
        self._say("220 here")
        while line := self.rfile.readline().decode().strip():
            word = line.split()[0].upper()
            if word == "STARTTLS" and not self._seal():
                return
            if word == "RCPT":
                self.to = line.split("<")[1].split(">")[0]
                self._say("550 nobody here" if self.post.refuses else "250 ok")
            elif word == "DATA":
                self._take()
            elif word != "STARTTLS":
                self._say(self._answer(word))

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def _answer(self, word: str) -> str:
        if word == "EHLO":
            more = "STARTTLS" if self.post.certificate and not self.sealed else "HELP"
            return f"250-here\r\n250 {more}"
        return "221 bye" if word == "QUIT" else "250 ok"

    def _seal(self) -> bool:
        self._say("220 go on")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(str(self.post.certificate))
        try:
            self.connection = context.wrap_socket(self.connection, server_side=True)
        except OSError:
            return False
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.sealed = True
        return True

    def _take(self) -> None:
        self._say("354 go on")
        text = ""
        while (part := self.rfile.readline().decode()) != ".\r\n":
            text += part
        self.post.took.append((self.to, text, self.sealed))
        self._say("250 taken")

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


def make_certificate(folder: Path, name: str) -> Path:
    """A file with a key and a certificate that this key has signed, for a server of this name."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = SystemClock().now()
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - duration("1d"))
        .not_valid_after(now + duration("1d"))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file
