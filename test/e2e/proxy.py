"""A TCP proxy before a server's unix socket, which makes the way to it slow,
narrow, or cut off."""
import socket
import struct
import threading
import time

CHUNK = 16384
RESET = struct.pack('ii', 1, 0)         # close by a reset, and not politely


class Proxy:
    """Listens at self.port for as long as the block lasts."""

    def __init__(self, target):
        self.target = target
        self.delay_s = 0.0
        self.bytes_per_s = 0            # 0: unlimited
        self.connections = []
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
            server = socket.socket(socket.AF_UNIX)
            server.connect(self.target)
            with self.lock:
                self.connections += [client, server]
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self.pump, args=pair, daemon=True).start()

    def pump(self, source, target):
        """Copies one direction, late and slowly as ordered."""
        try:
            while True:
                data = source.recv(CHUNK)
                if not data:
                    break
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
            connections, self.connections = self.connections, []
        for connection in connections:
            try:
                if connection.family == socket.AF_INET:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                connection.shutdown(socket.SHUT_RDWR)
                connection.close()
            except OSError:
                pass
