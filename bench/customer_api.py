#!/usr/bin/python3
"""A customer-api that calls every customer active, and does nothing else, so
that accounts are created as fast as the ledger can."""
import asyncio
import sys

ANSWER = (b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n'
          b'Content-Length: 14\r\n\r\n{"ativo":true}')


class Answering(asyncio.Protocol):
    """Answers each request; a request has no body, so it ends at a blank line."""

    def connection_made(self, transport):
        self.transport = transport
        self.received = b''

    def data_received(self, data):
        *requests, self.received = (self.received + data).split(b'\r\n\r\n')
        self.transport.write(ANSWER * len(requests))


async def serve(port):
    server = await asyncio.get_running_loop().create_server(Answering, '127.0.0.1', port)
    await server.serve_forever()


asyncio.run(serve(int(sys.argv[1])))
