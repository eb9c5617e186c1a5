"""A name server that takes questions and answers none, and commands whose
resolv.conf names it, in a mount namespace of their own.  For root only."""
import random
import socket
import threading


class SilentNameServer(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.address = f'127.{random.randrange(2, 250)}.{random.randrange(250)}.53'
        self.socket.bind((self.address, 53))
        self.asked = 0
        self.start()

    def run(self):
        while True:
            self.socket.recv(4096)
            self.asked += 1

    def command(self, resolv, *command):
        """The command, in a namespace where the file resolv, written here, is
        /etc/resolv.conf."""
        resolv.write_text(f'nameserver {self.address}\noptions timeout:20 attempts:3\n')
        return ['unshare', '-m', '--propagation', 'private', 'sh', '-c',
                f'mount --bind {resolv} /etc/resolv.conf && exec "$@"', 'sh', *command]
