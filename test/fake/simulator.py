"""The HTTP side that both simulators share: control, log, ordered answers.

A system gives `answer(request, effect)` → (status, body, accepted), where
effect False means that nothing may be changed, and `control(method, parts,
value)` for orders of its own.  One lock makes effect and log one step, at
receipt; delays are slept outside it.
"""
import argparse
import http.server
import json
import os
import signal
import threading
import time
from datetime import datetime, timezone
from urllib.parse import urlsplit

from answers import Answers, Refused

BODY_MAX = 1 << 20
BODYLESS = (204, 304)


class Request:
    def __init__(self, method, path, headers, body):
        self.method = method
        self.target = path
        self.path = urlsplit(path).path
        self.headers = headers
        self.body = body


class Simulator:
    """One simulated system with what was ordered of it and what it was asked."""

    def __init__(self, system):
        self.system = system
        self.lock = threading.Lock()
        self.answers = Answers()
        self.log = []

    def serve(self, request):
        """(status, headers, body, delay in s); status 0 closes the connection."""
        with self.lock:
            order = self.answers.take(request.target)
            ordered = order is not None and (order['drop'] or order['status'] is not None)
            status, body, accepted = self.system.answer(
                request, not ordered or order['accept'])
            if ordered:
                status = 0 if order['drop'] else order['status']
                body = order['body'].encode()
            self.record(request, status, accepted)
        if order is None:
            return status, {}, body, 0
        return status, order['headers'], body, order['delay_ms'] / 1000

    def record(self, request, status, accepted):
        now = datetime.now(timezone.utc)
        self.log.append({
            'at': now.strftime('%Y-%m-%dT%H:%M:%S.%fZ'),
            'method': request.method, 'path': request.target,
            'headers': request.headers,
            'body': request.body.decode('utf-8', 'replace'),
            'status': status, 'accepted': accepted})

    def control(self, request):
        """(status, body) of /_log and /_control; raises Refused."""
        parts = request.path.strip('/').split('/')
        with self.lock:
            if parts == ['_log']:
                return self.control_log(request.method)
            if parts == ['_control', 'answers']:
                if request.method != 'PUT':
                    return 405, explained('only PUT')
                self.answers.replace(parsed(request.body))
                return 204, b''
            value = parsed(request.body) if request.method == 'PUT' else None
            return self.system.control(request.method, parts[1:], value)

    def control_log(self, method):
        if method == 'GET':
            return 200, json.dumps(self.log).encode()
        if method == 'DELETE':
            self.log.clear()
            return 204, b''
        return 405, explained('only GET and DELETE')


def parsed(body):
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(f'not JSON: {error}') from None


def explained(message):
    return json.dumps({'erro': message}).encode()


def is_control(path):
    return path == '/_log' or path.startswith(('/_log/', '/_control/')) or path == '/_control'


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True
    wbufsize = -1               # one packet per answer
    simulator = None

    def handle_request(self):
        body = self.read_body()
        if body is None:
            return
        headers = {}
        for name, value in self.headers.items():
            name = name.lower()
            headers[name] = f'{headers[name]}, {value}' if name in headers else value
        request = Request(self.command, self.path, headers, body)
        if is_control(request.path):
            self.reply_control(request)
            return
        status, extra, body, delay = self.simulator.serve(request)
        if delay:
            time.sleep(delay)
        if status == 0:
            self.close_connection = True
        else:
            self.reply(status, extra, body)

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = handle_request

    def read_body(self):
        """The body, or None when the request was answered as not readable."""
        length = self.headers.get('Content-Length', '0')
        if 'Transfer-Encoding' in self.headers:
            return self.refuse(411, 'a body needs Content-Length')
        if not (length.isascii() and length.isdigit()):
            return self.refuse(400, 'Content-Length is not a number')
        if len(length) > 10 or int(length) > BODY_MAX:
            return self.refuse(413, 'body too long')
        return self.rfile.read(int(length))

    def refuse(self, status, message):
        self.close_connection = True
        self.reply(status, {}, explained(message))

    def reply_control(self, request):
        try:
            status, body = self.simulator.control(request)
        except Refused as refused:
            status, body = 400, explained(str(refused))
        self.reply(status, {}, body)

    def reply(self, status, extra, body):
        names = {name.lower() for name in extra}
        self.send_response_only(status)
        if 'content-type' not in names:
            self.send_header('Content-Type', 'application/json')
        for name, value in extra.items():
            self.send_header(name, value)       # Connection: close is obeyed
        if status in BODYLESS:
            body = b''
        else:
            self.send_header('Content-Length', str(len(body)))
        if self.close_connection and 'connection' not in names:
            self.send_header('Connection', 'close')
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request, client_address):
        """A client that went away is no event."""


def start(system, port=0):
    """A server that answers from a thread; its port is server_port."""
    handler = type('Handler', (Handler,), {'simulator': Simulator(system)})
    server = Server(('127.0.0.1', port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def write_port(path, port):
    with open(path + '.new', 'w', encoding='ascii') as file:
        file.write(f'{port}\n')
    os.replace(path + '.new', path)


def main(system, description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('--port', type=int, default=0, help='0 takes a free one')
    parser.add_argument('--port-file', help='where to write the port')
    options = parser.parse_args()
    stops = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)     # before any thread is made
    server = start(system, options.port)
    if options.port_file:
        write_port(options.port_file, server.server_port)
    print(f'listening on 127.0.0.1:{server.server_port}', flush=True)
    signal.sigwait(stops)
