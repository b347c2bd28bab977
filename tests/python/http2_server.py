#!/usr/bin/env python3
"""Answers chat completions with Hypercorn, which speaks HTTP/2 without TLS and with it.

    http2_server.py plain REQUESTS
    http2_server.py tls REQUESTS CERTIFICATE PROTOCOL...

Takes a free port of 127.0.0.1, prints "serving URL" once it listens, and ends when its standard input
does. The request after REQUESTS others on a connection is met with a goodbye. With TLS it makes a
certificate, writes it to CERTIFICATE, and agrees to the given protocols ("h2", "http/1.1"). Answers
have five words; their id names the version of HTTP and the client's port.
"""

import asyncio
import datetime
import ipaddress
import json
import socket
import sys
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypercorn.asyncio import serve
from hypercorn.config import Config

WORDS = ["five", " words", " in", " five", " frames"]


async def application(scope, receive, send):
    if scope["type"] != "http":
        return
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    request = json.loads(body)
    if request["model"] == "unknown":
        await answer(send, 404, "application/json", [{"error": {"message": "no such model"}}])
        return
    name = f"{scope['http_version']}-{scope['client'][1]}"

    def chunk(delta, finish=None):
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {"id": name, "object": "chat.completion.chunk", "choices": [choice]}

    frames = [chunk({"content": word}) for word in WORDS] + [chunk({}, "stop")]
    events = [f"data: {json.dumps(frame)}\n\n" for frame in frames] + ["data: [DONE]\n\n"]
    await answer(send, 200, "text/event-stream", events)


async def answer(send, status, media_type, pieces):
    headers = [(b"content-type", media_type.encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for piece in pieces:
        text = piece if isinstance(piece, str) else json.dumps(piece)
        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
        await asyncio.sleep(0.005)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def make_certificate(folder, copy):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    paths = [f"{folder}/certificate.pem", f"{folder}/key.pem", copy]
    for path, content in zip(paths, [certificate.public_bytes(pem), private] * 2):
        with open(path, "wb") as file:
            file.write(content)
    return paths[0], paths[1]


def main():
    scheme, requests, *rest = sys.argv[1:]
    listener = socket.create_server(("127.0.0.1", 0))
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.keep_alive_max_requests = int(requests)
    config.keep_alive_timeout = 0.5
    config.errorlog = None
    with tempfile.TemporaryDirectory() as folder:
        url = "http"
        if scheme == "tls":
            url = "https"
            certificate, *config.alpn_protocols = rest
            config.certfile, config.keyfile = make_certificate(folder, certificate)
        print(f"serving {url}://127.0.0.1:{listener.getsockname()[1]}/v1", flush=True)

        async def run():
            ended = asyncio.to_thread(sys.stdin.read)
            await serve(application, config, shutdown_trigger=lambda: ended)

        asyncio.run(run())


if __name__ == "__main__":
    main()
