"""Whatever stands where a server should be: reads one request of each
connection and answers it as it was told, by which it hardly ever is a server."""
import socket
import ssl
import threading

OK = b'HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n'


def tls(certificate, key, client_ca=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    return context


class Impostor(threading.Thread):
    """Reads one request of each connection and answers as it was told."""

    def __init__(self, answer, context=None):
        super().__init__(daemon=True)
        self.answer, self.context = answer, context
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        self.requests = []
        self.stopped = threading.Event()
        self.start()

    def run(self):
        while not self.stopped.is_set():
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            if self.context is not None:
                client = self.context.wrap_socket(client, server_side=True)
            request = client.recv(65536)
            if request:
                self.requests.append(request)
                self.answer(client, self.stopped)
            client.close()
        except OSError:
            client.close()

    def stop(self):
        self.stopped.set()
        self.listener.shutdown(socket.SHUT_RDWR)    # ends the accept under way
        self.listener.close()


def send(*parts):
    def answer(client, stopped):
        for part in parts:
            client.sendall(part)
    return answer


def trickle(client, stopped):
    client.sendall(b'HTTP/1.1 500 Later\r\nContent-Length: 100000\r\n\r\n')
    while not stopped.wait(0.05):
        client.sendall(b'x')


def trickle_status(client, stopped):
    for byte in b'HTTP/1.1 201 Created\r\n' * 1000:
        client.sendall(bytes([byte]))
        if stopped.wait(0.05):
            return


def pour(client, stopped):
    client.sendall(b'HTTP/1.1 500 Much\r\nTransfer-Encoding: chunked\r\n\r\n')
    while not stopped.is_set():
        client.sendall(b'10000\r\n' + b'x' * 65536 + b'\r\n')


def pour_headers(client, stopped):
    client.sendall(b'HTTP/1.1 500 Much\r\n')
    while not stopped.is_set():
        client.sendall(b'X-More: ' + b'y' * 8000 + b'\r\n')


def say_nothing(client, stopped):
    stopped.wait(30)


# What BACEN does: what the notification says.
FAULTS = {
    'drops': (send(), 'no answer'),
    'says nothing': (say_nothing, 'no answer'),
    'trickles the body': (trickle, 'answered 500'),
    'trickles the status': (trickle_status, 'no answer'),
    'has no end of body': (pour, 'answered 500: answer too long'),
    'has no end of headers': (pour_headers, 'answered 500: answer too long'),
    'cuts the body': (send(b'HTTP/1.1 500 Cut\r\nContent-Length: 50\r\n\r\nhalf'), 'answered 500'),
    'is no HTTP': (send(b'220 mail.example ESMTP\r\n'), 'no answer'),
    'is binary': (send(bytes(range(256)) * 8), 'no answer'),
    'is busy': (send(b'HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n'), 'answered 503'),
    'names another transfer': (send(b'HTTP/1.1 409 Known\r\nContent-Length: 13\r\n\r\n'
                                    b'{"id": "none"}'), 'answered 409'),
}
