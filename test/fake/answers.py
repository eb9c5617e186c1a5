"""Answers ordered in advance: what PUT /_control/answers may say, and which
of them a request gets.  Not here: HTTP (simulator.py)."""

KEYS = {'path', 'status', 'headers', 'body', 'delay_ms', 'accept', 'drop', 'times'}
OWN_HEADERS = {'content-length', 'transfer-encoding'}


class Refused(ValueError):
    """The order makes no sense; nothing was changed."""


def require(condition, message):
    if not condition:
        raise Refused(message)


def is_count(value, least, most):
    return type(value) is int and least <= value <= most


def clean_text(value):
    return isinstance(value, str) and value.isprintable() and value.isascii()


def check_headers(headers):
    require(isinstance(headers, dict), 'headers must be an object')
    for name, value in headers.items():
        require(clean_text(name) and name.replace('-', '').isalnum(),
                'a header name is letters, digits and hyphens')
        require(clean_text(value), 'a header value is a line of ASCII text')
        require(name.lower() not in OWN_HEADERS,
                f'header {name} is computed, not ordered')
    return headers


def check_answer(order):
    """One answer with every key present.  Without a status the request is
    answered as usual, late or with more headers."""
    require(isinstance(order, dict), 'an answer must be an object')
    unknown = sorted(set(order) - KEYS)
    require(not unknown, f'unknown key {", ".join(unknown)}')
    answer = {'status': None, 'headers': {}, 'body': '', 'delay_ms': 0,
              'accept': False, 'drop': False, 'times': 0, **order}
    require(clean_text(answer.get('path')) and answer['path'].startswith('/'),
            'path must be text that starts with /')
    require(answer['status'] is None or is_count(answer['status'], 200, 599),
            'status must be 200 to 599')
    require(isinstance(answer['body'], str), 'body must be text')
    require(is_count(answer['delay_ms'], 0, 3_600_000), 'delay_ms must be 0 to 3600000')
    require(is_count(answer['times'], 0, 2**31), 'times must be 0 or more')
    for key in ('accept', 'drop'):
        require(type(answer[key]) is bool, f'{key} must be true or false')
    check_headers(answer['headers'])
    return answer


def check_answers(orders):
    require(isinstance(orders, list), 'answers must be an array')
    return [check_answer(order) for order in orders]


class Answers:
    """The orders in force; the caller holds the lock."""

    def __init__(self):
        self.orders = []

    def replace(self, orders):
        self.orders = check_answers(orders)

    def take(self, path):
        """The first order whose path the request's starts with, counted."""
        for place, order in enumerate(self.orders):
            if path.startswith(order['path']):
                if order['times'] == 1:
                    del self.orders[place]
                elif order['times'] > 1:
                    order['times'] -= 1
                return order
        return None
