#!/usr/bin/python3
"""Simulates customer-api: says who is a customer, and whether active."""
import json
import uuid

from answers import require
from simulator import explained, main

UNKNOWN = None


class CustomerApi:
    def __init__(self):
        self.listed = {}        # id → True, False or UNKNOWN
        self.default = UNKNOWN  # of every customer not listed

    def answer(self, request, effect):
        parts = request.path.split('/')
        if len(parts) != 3 or parts[1] != 'clientes':
            return 404, explained('caminho desconhecido'), False
        if request.method != 'GET':
            return 405, explained('use GET'), False
        customer_id = as_uuid(parts[2])
        if customer_id is None:
            return 400, explained('o id do cliente é um UUID'), False
        active = self.listed.get(customer_id, self.default)
        if active is UNKNOWN:
            return 404, explained('cliente desconhecido'), False
        customer = {'id': customer_id, 'nome': f'Cliente {customer_id[:8]}', 'ativo': active}
        return 200, json.dumps(customer).encode(), False

    def control(self, method, parts, value):
        if method not in ('PUT', 'DELETE'):
            return 405, explained('only PUT and DELETE')
        state = active_flag(value) if method == 'PUT' else UNKNOWN
        if parts == ['default']:
            self.default = state
            return 204, b''
        if len(parts) != 2 or parts[0] != 'customers':
            return 404, explained('customer-api knows no such control')
        customer_id = as_uuid(parts[1])
        require(customer_id is not None, 'the id of a customer is a UUID')
        self.listed[customer_id] = state
        return 204, b''


def as_uuid(text):
    """The id in lower case, or None."""
    try:
        found = str(uuid.UUID(text))
    except ValueError:
        return None
    return found if found == text.lower() else None


def active_flag(value):
    require(isinstance(value, dict) and set(value) == {'ativo'}
            and type(value['ativo']) is bool, 'expected {"ativo": true or false}')
    return value['ativo']


if __name__ == '__main__':
    main(CustomerApi(), __doc__)
