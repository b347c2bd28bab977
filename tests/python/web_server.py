"""A web server that answers like an LLM, as others deploy it: Starlette under gunicorn, on TCP, TLS
or a Unix socket, with compressed answers for clients that ask for them.

    web_server.py FOLDER (tcp | tls | unix)

Prints its address when it listens, and ends when its standard input does. FOLDER gets the
certificate (cert.pem) and the socket.
"""

import datetime
import ipaddress
import json
import os
import pathlib
import signal
import sys
import threading
import zlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from gunicorn.app.base import BaseApplication
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

PIECES = ["Once", " upon", " a", " time", " there", " was", " a", " server", "."]
USAGE = {"prompt_tokens": 3, "completion_tokens": len(PIECES), "total_tokens": 12}


def frames():
    """The events of a streamed answer."""

    def event(choices, **more):
        value = {"id": "answer-1", "object": "chat.completion.chunk", "choices": choices, **more}
        return f"data: {json.dumps(value)}\n\n".encode()

    for piece in PIECES:
        yield event([{"index": 0, "delta": {"content": piece}, "finish_reason": None}])
    yield event([{"index": 0, "delta": {}, "finish_reason": "stop"}])
    yield event([], usage=USAGE)
    yield b"data: [DONE]\n\n"


def compressed(pieces, coding):
    """The pieces compressed, each so that it can be read as soon as it has come."""
    bits = {"gzip": 31, "deflate": 15}[coding]
    packer = zlib.compressobj(wbits=bits)
    for piece in pieces:
        yield packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()


async def chat(request: Request) -> Response:
    body = await request.json()
    if body.get("model") == "fails":
        error = {"message": "this server has had enough; " * 100}
        return JSONResponse({"error": error}, status_code=503)
    accepted = request.headers.get("accept-encoding", "")
    if body.get("stream"):
        coding = next((name for name in ("gzip", "deflate") if name in accepted), None)
        pieces = frames() if coding is None else compressed(frames(), coding)
        headers = {} if coding is None else {"content-encoding": coding}

        async def each():
            for piece in pieces:
                yield piece

        return StreamingResponse(each(), media_type="text/event-stream", headers=headers)
    message = {"role": "assistant", "content": "".join(PIECES)}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    # More than the middleware leaves as it is.
    padding = "x" * 4096
    return JSONResponse({"id": "answer-1", "choices": choices, "usage": USAGE, "padding": padding})


app = Starlette(
    routes=[
        Route("/v1/chat/completions", chat, methods=["POST"]),
    ],
    middleware=[Middleware(GZipMiddleware)],
)


def certificate(folder):
    """A self-signed certificate for 127.0.0.1 and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test's server")])
    now = datetime.datetime.now(datetime.timezone.utc)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return {"certfile": str(folder / "cert.pem"), "keyfile": str(folder / "key.pem")}


class Server(BaseApplication):
    def __init__(self, options):
        self.options = options
        super().__init__()

    def load_config(self):
        for name, value in self.options.items():
            self.cfg.set(name, value)

    def load(self):
        return app


def end_with_input():
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


def announce(kind):
    def when_ready(server):
        listener = server.LISTENERS[0]
        if kind == "unix":
            address = f"unix:{listener.cfg_addr}:/v1"
        else:
            host, port = listener.sock.getsockname()[:2]
            address = f"http{'s' if kind == 'tls' else ''}://{host}:{port}/v1"
        print(f"serving {address}", flush=True)
        threading.Thread(target=end_with_input, daemon=True).start()

    return when_ready


def main():
    folder, kind = pathlib.Path(sys.argv[1]), sys.argv[2]
    options = {
        "bind": f"unix:{folder / 'llm.sock'}" if kind == "unix" else "127.0.0.1:0",
        "worker_class": "asgi",
        "workers": 1,
        "loglevel": "warning",
        "when_ready": announce(kind),
    }
    if kind == "tls":
        options.update(certificate(folder))
    Server(options).run()


if __name__ == "__main__":
    main()
