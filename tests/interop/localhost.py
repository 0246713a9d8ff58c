"""localhost.py - RFC 6761: names under localhost are loopback.  glibc would ask DNS."""
import socket


def resolve_localhost_names():
    plain = socket.getaddrinfo

    def getaddrinfo(host, *args, **kwargs):
        if isinstance(host, str) and host.endswith(".localhost"):
            host = "127.0.0.1"
        return plain(host, *args, **kwargs)

    socket.getaddrinfo = getaddrinfo
