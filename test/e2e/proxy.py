"""A TCP proxy before a server, which makes the way to it slow, narrow, cut off,
or one where packets are lost."""
import contextlib
import ctypes
import socket
import struct
import threading
import time

CHUNK = 16384
RESET = struct.pack('ii', 1, 0)         # close by a reset, and not politely

# A packet filter of the kernel that keeps 0 bytes of whatever comes.
SO_ATTACH_FILTER = 26
DROP = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, 0))
LOSE = struct.pack('HP', 1, ctypes.addressof(DROP))


class Proxy:
    """Listens at self.port for as long as the block lasts.  The target is the
    path of a unix socket, or a host and port."""

    def __init__(self, target):
        self.target = target
        self.delay_s = 0.0
        self.bytes_per_s = 0            # 0: unlimited
        self.connections, self.lost = [], []
        self.lock = threading.Lock()
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()
        self.cut()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = self.reach()
            except OSError:
                client.close()
                continue
            with self.lock:
                self.connections += [client, server]
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self.pump, args=pair, daemon=True).start()

    def reach(self):
        if isinstance(self.target, tuple):
            return socket.create_connection(self.target)
        server = socket.socket(socket.AF_UNIX)
        server.connect(self.target)
        return server

    def lose(self):
        """From now on no packet of any connection there is arrives, nor is
        answered by the kernel; connections made later are well."""
        with self.lock:
            lost = [one for one in self.connections if one.fileno() >= 0]
            self.lost, self.connections = self.lost + lost, []
        for connection in lost:
            with contextlib.suppress(OSError):      # closed a moment ago
                if connection.family == socket.AF_INET:
                    connection.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, LOSE)
        return len(lost)

    def pump(self, source, target):
        """Copies one direction, late and slowly as ordered."""
        try:
            while True:
                data = source.recv(CHUNK)
                if not data:
                    break
                if source in self.lost or target in self.lost:
                    continue
                time.sleep(self.delay_s + (len(data) / self.bytes_per_s
                                           if self.bytes_per_s else 0))
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            end.close()

    def cut(self):
        """Resets every connection."""
        with self.lock:
            connections, self.connections, self.lost = self.connections + self.lost, [], []
        for connection in connections:
            try:
                if connection.family == socket.AF_INET:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                connection.shutdown(socket.SHUT_RDWR)
                connection.close()
            except OSError:
                pass
