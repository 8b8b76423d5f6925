"""Connections to addresses of the public internet alone: no URL of a table reaches this machine or its network."""

import socket
import ssl
from http.client import HTTPConnection, HTTPSConnection
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult

_NAT64 = ip_network("64:ff9b::/96")
# Of IPv6, what Python takes for global: NAT64 of a network's own (RFC 8215), and IPv4 addresses as they are written in
# IPv6 no more, compatible (RFC 4291, 2.5.5.1) and translated (RFC 2765, 2.1).
_LOCAL = [ip_network(network) for network in ("64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96")]


class FetchError(Exception):
    """A URL that is not fetched, and why."""


def open_connection(url: SplitResult, timeout: float, *, allow_private: bool) -> HTTPConnection:
    """A connection to the host of an http or https URL, which is made at the first request.

    The name is resolved once, every address that it has is checked, and one of these very addresses is connected to,
    so that a name which resolves otherwise the next time gains nothing.

    Raises:
        FetchError: if the URL names no host or port.
    """
    try:
        host, port = url.hostname, url.port
    except ValueError as error:
        raise FetchError(f"no such port ({error})") from error
    if not host:
        raise FetchError("names no host")
    kind: type[_Secure] | type[_Plain] = _Secure if url.scheme == "https" else _Plain
    connection = kind(host, port, timeout=timeout)
    connection.allow_private = allow_private
    return connection


def is_public(address: str) -> bool:
    """Whether an IP address, and the IPv4 address that an IPv6 one may stand for, is one of the public internet."""
    ip = ip_address(address)
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped:
            return is_public(str(ip.ipv4_mapped))
        if ip in _NAT64:
            return is_public(str(IPv4Address(int(ip) & 0xFFFFFFFF)))
        if ip.sixtofour or ip.teredo or ip.is_site_local or any(ip in network for network in _LOCAL):
            return False
    return ip.is_global and not ip.is_multicast


class _Plain(HTTPConnection):
    allow_private = False

    def connect(self) -> None:
        self.sock = _connected(self.host, self.port, self.timeout, self.allow_private)


class _Secure(HTTPSConnection):
    allow_private = False

    def connect(self) -> None:
        plain = _connected(self.host, self.port, self.timeout, self.allow_private)
        self.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=self.host)


def _connected(host: str, port: int, timeout: float | None, allow_private: bool) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    private = [str(address[0]) for *_, address in found if not is_public(str(address[0]))]
    if private and not allow_private:
        raise FetchError(f"{host} is {private[0]}, no address of the public internet; --allow-private allows it")
    problem: OSError | None = None
    for family, kind, protocol, _, address in found:
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(timeout)
            connection.connect(address)
        except OSError as error:
            connection.close()
            problem = error
        else:
            return connection
    raise problem or OSError(f"{host} has no address")
