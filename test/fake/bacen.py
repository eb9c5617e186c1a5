#!/usr/bin/python3
"""Simulates BACEN: accepts each notification once, by its Idempotency-Key."""
import json

from simulator import explained, main


class Bacen:
    def __init__(self):
        self.accepted = {}      # Idempotency-Key → id

    def answer(self, request, effect):
        if request.path != '/notificacoes':
            return 404, explained('caminho desconhecido'), False
        if request.method != 'POST':
            return 405, explained('use POST'), False
        key = request.headers.get('idempotency-key', '')
        try:
            notification = json.loads(request.body)
        except (ValueError, RecursionError):
            notification = None
        if not key or not isinstance(notification, dict):
            return 400, explained('Idempotency-Key e um objeto JSON, por favor'), False
        if key in self.accepted:
            return 409, self.named(key), False
        if effect:
            self.accepted[key] = notification.get('id', key)
            return 201, self.named(key), True
        return 201, b'', False

    def named(self, key):
        return json.dumps({'id': self.accepted[key]}).encode()

    def control(self, method, parts, value):
        return 404, explained('BACEN knows no such control')


if __name__ == '__main__':
    main(Bacen(), __doc__)
