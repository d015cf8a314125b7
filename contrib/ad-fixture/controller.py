#!/usr/bin/python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Runs Samba in a network of its own and carries connections to it.  For ad.sh.

    controller.py DC-FOLDER ADDRESS LDAP-PORT LDAPS-PORT KDC-PORT

Samba's ports (389, 636, 88) cannot be chosen and belong to root.  So this process opens the chosen ports on 127.0.0.1 first, then leaves for a
new network namespace (in a user namespace of its own when it is not root), where those ports are free and its own.  The sockets opened before
stay in the old network: each connection to them is carried to Samba's loopback address in the new one.

ADDRESS "-" means that.  With an address such as 127.66.2.1 there is no namespace: Samba listens there, which needs root; for a
container that forbids namespaces.  Ends, and Samba with it, on SIGTERM.
"""
import asyncio
import ctypes
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


def listen(port):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    sock.listen(128)
    sock.setblocking(False)
    return sock


def leave_network():
    uid, gid = os.getuid(), os.getgid()
    if LIBC.unshare(CLONE_NEWNET | (CLONE_NEWUSER if uid else 0)) != 0:
        raise OSError(ctypes.get_errno(), "this machine allows no namespaces; as root, give --address 127.66.2.1")
    if uid:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(sock, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


def carry_to(address, port):
    async def carry(reader, writer):
        try:
            inner_reader, inner_writer = await asyncio.open_connection(address, port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))
    return carry


async def wait_listening(address, port):
    while True:
        try:
            (await asyncio.open_connection(address, port))[1].close()
            return
        except OSError:
            await asyncio.sleep(0.02)


async def main():
    folder, address, *ports = sys.argv[1:]
    sockets = [listen(int(port)) for port in ports]
    if address == "-":
        leave_network()
        address = "127.0.0.1"
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    with open(os.path.join(folder, "samba.out"), "wb") as out:
        samba = subprocess.Popen(["/usr/sbin/samba", "-i", "-M", "single", "-s", os.path.join(folder, "etc", "smb.conf")],
                                 stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                 preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
    died = loop.run_in_executor(None, samba.wait)
    over = [died, asyncio.ensure_future(ended.wait())]

    async def serve():
        # whoever comes sooner waits: nobody shall see one of the three answer and another one refuse
        for inner in (389, 636, 88):
            await wait_listening(address, inner)
        for sock, inner in zip(sockets, (389, 636, 88)):
            await asyncio.start_server(carry_to(address, inner), sock=sock)
        await asyncio.Event().wait()

    await asyncio.wait([*over, asyncio.ensure_future(serve())], return_when=asyncio.FIRST_COMPLETED)
    if samba.poll() is not None:
        sys.stderr.write(f"samba ended with {samba.returncode}; see {folder}/samba.out\n")
        os._exit(1)
    samba.kill()
    samba.wait()
    os._exit(0)


asyncio.run(main())
