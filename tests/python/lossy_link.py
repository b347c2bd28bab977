"""A network that delays and loses packets, between a server and a client of this machine.

`lossy_link.py LLMETER DELAY_MS LOSE SERVER… -- CLIENT…` makes two network namespaces, each with a TUN device, and
carries packets from one to the other: each arrives DELAY_MS later, and of those that have data every LOSE-th gets lost
on its way, once. The server is `LLMETER simulate SERVER…` at 10.77.0.2:8000 in the one, the client `LLMETER CLIENT…` in
the other. Ends with the client's exit code. Which packets are lost depends on nothing but their order, unlike with
netem, which few kernels of containers have.

Says `not permitted: REASON` where namespaces or devices cannot be made.
"""

import ctypes
import fcntl
import heapq
import os
import select
import socket
import struct
import subprocess
import sys
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
LIBC = ctypes.CDLL(None, use_errno=True)


def call(function, *arguments):
    if function(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def namespace():
    """A new network namespace, and the device in it through which its packets come and go."""
    call(LIBC.unshare, CLONE_NEWNET)
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"net0", IFF_TUN | IFF_NO_PI))
    return os.open("/proc/self/ns/net", os.O_RDONLY), device


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


def has_data(packet):
    if len(packet) < 40 or packet[0] >> 4 != 4 or packet[9] != socket.IPPROTO_TCP:
        return False
    header = (packet[0] & 0xF) * 4
    return len(packet) > header + (packet[header + 12] >> 4) * 4


class Link:
    """Carries packets until the client is done."""

    def __init__(self, devices, delay, lose):
        self.devices, self.delay, self.lose = devices, delay, lose
        self.under_way, self.number = [], 0
        # Of each direction.
        self.with_data = [0, 0]

    def carry(self, client):
        while client.poll() is None:
            now = time.monotonic()
            wait = self.under_way[0][0] - now if self.under_way else 0.05
            ready, _, _ = select.select(self.devices, [], [], min(max(wait, 0), 0.05))
            now = time.monotonic()
            for device in ready:
                self.take(device, now)
            while self.under_way and self.under_way[0][0] <= now:
                _, _, device, packet = heapq.heappop(self.under_way)
                os.write(device, packet)

    def take(self, device, now):
        packet = os.read(device, 65536)
        direction = self.devices.index(device)
        if has_data(packet):
            self.with_data[direction] += 1
            if self.with_data[direction] % self.lose == 0:
                return
        self.number += 1
        other = self.devices[1 - direction]
        heapq.heappush(self.under_way, (now + self.delay, self.number, other, packet))


def main():
    llmeter, delay, lose, *rest = sys.argv[1:]
    server, client = rest[: rest.index("--")], rest[rest.index("--") + 1 :]
    namespaces, devices = [], []
    for host in (1, 2):
        try:
            inside, device = namespace()
            ip("address", "add", f"10.77.0.{host}/24", "dev", "net0")
            ip("link", "set", "net0", "up")
        except (OSError, subprocess.CalledProcessError) as reason:
            print(f"not permitted: {reason}")
            return 0
        namespaces.append(inside)
        devices.append(device)
    # The server's namespace is the one that was made last.
    address = ["--host", "10.77.0.2", "--port", "8000"]
    simulator = subprocess.Popen([llmeter, "simulate", *address, *server], stdout=subprocess.PIPE)
    simulator.stdout.readline()
    call(LIBC.setns, namespaces[0], CLONE_NEWNET)
    try:
        client = subprocess.Popen([llmeter, *client])
        Link(devices, float(delay) / 1000, int(lose)).carry(client)
        return client.returncode
    finally:
        simulator.kill()
        simulator.wait()


sys.exit(main())
