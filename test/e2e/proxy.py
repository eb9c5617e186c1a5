"""A TCP proxy before a server, which makes the way to it slow, narrow, cut off,
or one where packets are lost."""
import contextlib
import ctypes
import queue
import socket
import struct
import threading
import time

CHUNK = 16384
UNDER_WAY = 256         # chunks, of each direction of a connection
RESET = struct.pack('ii', 1, 0)         # close by a reset, and not politely

# A packet filter of the kernel that keeps 0 bytes of whatever comes.
SO_ATTACH_FILTER = 26
DROP = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, 0))
LOSE = struct.pack('HP', 1, ctypes.addressof(DROP))


def part(*ends):
    """Closes sockets, on which others may wait."""
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


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

    def end_lost(self):
        """Closes what is lost, as its peers would themselves in the end."""
        with self.lock:
            lost, self.lost = self.lost, []
        part(*lost)

    def pump(self, source, target):
        """Takes one direction's bytes as fast as ordered."""
        way = queue.Queue(UNDER_WAY)
        threading.Thread(target=self.deliver, args=(source, target, way), daemon=True).start()
        data = b'.'
        while data:
            try:
                data = source.recv(min(CHUNK, self.bytes_per_s or CHUNK))
            except OSError:
                data = b''
            time.sleep(len(data) / self.bytes_per_s if self.bytes_per_s else 0)
            way.put((time.monotonic() + self.delay_s, data))

    def deliver(self, source, target, way):
        """Hands them on when they have been under way for long enough, which
        does not hold up what follows."""
        due, data = way.get()
        while data:
            time.sleep(max(0, due - time.monotonic()))
            try:
                if source not in self.lost and target not in self.lost:
                    target.sendall(data)
            except OSError:
                part(source, target)
            due, data = way.get()
        part(source, target)

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
