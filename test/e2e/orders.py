"""What an operator orders of a broker and kcat has no words for: a topic made,
deleted or set otherwise, rights given and taken.  Each request is in the first
version that brokers of today know."""
import socket
import struct

CREATE_TOPICS, DELETE_TOPICS, CREATE_ACLS, DELETE_ACLS, ALTER_CONFIGS = 19, 20, 30, 31, 44
TOPIC, GROUP, CLUSTER = 2, 3, 4         # kinds of resources
PREFIXED, LITERAL = 4, 3
ALL, ALLOW = 2, 3                       # operations, and what they are
SET, UNSET = 0, 1
TIMEOUT_S = 30


def text(value):
    if value is None:
        return struct.pack('>h', -1)
    data = value.encode()
    return struct.pack('>h', len(data)) + data


def read(stream, count):
    data = b''
    while len(data) < count:
        more = stream.recv(count - len(data))
        assert more, 'the broker has hung up'
        data += more
    return data


def ask(broker, kind, body, version=1):
    """One request; its answer without the length and the number."""
    host, port = broker.split(':')
    message = struct.pack('>hhi', kind, version, 1) + text('test') + body
    with socket.create_connection((host, int(port)), TIMEOUT_S) as stream:
        stream.sendall(struct.pack('>i', len(message)) + message)
        return read(stream, struct.unpack('>i', read(stream, 4))[0])[4:]


def require(answer, place):
    """The only result's error code must be 0."""
    code, = struct.unpack_from('>h', answer, place)
    assert code == 0, f'the broker refuses: error {code}, {answer!r}'


def delete_topic(broker, topic):
    answer = ask(broker, DELETE_TOPICS, struct.pack('>i', 1) + text(topic)
                 + struct.pack('>i', 1000 * TIMEOUT_S))
    require(answer, 4 + 4 + len(text(topic)))


def create_topic(broker, topic, partitions):
    """With no settings of its own."""
    body = struct.pack('>i', 1) + text(topic) + struct.pack('>ihii', partitions, 1, 0, 0) \
        + struct.pack('>ib', 1000 * TIMEOUT_S, 0)
    answer = ask(broker, CREATE_TOPICS, body, version=2)
    require(answer, 4 + 4 + len(text(topic)))


def set_topic(broker, topic, name, value):
    """Changes a setting of a topic; None: back to the broker's."""
    kind = UNSET if value is None else SET
    body = struct.pack('>ib', 1, TOPIC) + text(topic) + struct.pack('>i', 1) + text(name) \
        + struct.pack('>b', kind) + text(value) + b'\0'
    require(ask(broker, ALTER_CONFIGS, body, version=0), 8)


def right(principal, resource, name, pattern=LITERAL):
    """The right to do everything with a resource."""
    return struct.pack('>ib', 1, resource) + text(name) + struct.pack('>b', pattern) \
        + text(principal) + text('*') + struct.pack('>bb', ALL, ALLOW)


def grant(broker, *words):
    require(ask(broker, CREATE_ACLS, right(*words)), 8)


def revoke(broker, *words):
    answer = ask(broker, DELETE_ACLS, right(*words))
    require(answer, 8)
    assert struct.unpack_from('>hi', answer, 10)[1] == 1, f'there was no such right: {answer!r}'
