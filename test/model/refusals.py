"""Why the calls may be refused: for each operation, the SQLSTATEs that the
model gives in the states it may have met (00000 among them: not refused)."""
import itertools

import books
from history import OK, microseconds
from replay import PENDING, POSTED, VOIDED


def of_call(view, call):
    return REFUSALS[call.operation](view, *call.arguments)


def names_another(row, **asked):
    return row is not None and any(row[name] != value for name, value in asked.items())


def of_transfer(view, payer, payee, amount, key, reference=None):
    invalid = books.judge_amount(amount)
    if invalid == OK and payer == payee:
        invalid = '22023'
    if invalid != OK:
        yield invalid
        return
    if any(names_another(row, kind='transfer', from_account=payer, to_account=payee,
                         amount=amount, reference=reference) for row in view.keys(key)):
        yield 'LG008'
    for a, b in itertools.product(view.aged(payer), view.aged(payee)):
        yield 'LG001' if a is None or b is None else \
            books.judge_posting(a, b, amount, True, view.until)


def of_deposit(view, account, amount, key, reference):
    yield from of_outside(view, account, amount, key, reference, 'deposit')


def of_withdraw(view, account, amount, key, reference):
    yield from of_outside(view, account, amount, key, reference, 'withdrawal')


def of_outside(view, account, amount, key, reference, kind):
    """Settlement has room for all that a test can move."""
    invalid = books.judge_amount(amount)
    if invalid != OK:
        yield invalid
        return
    side = 'to_account' if kind == 'deposit' else 'from_account'
    if any(names_another(row, kind=kind, amount=amount, reference=reference, **{side: account})
           for row in view.keys(key)):
        yield 'LG008'
    for state in view.aged(account):
        yield 'LG001' if state is None else judge_outside(state, amount, kind, view.until)


def judge_outside(state, amount, kind, dated):
    settlement = books.State(None, None, state.currency, 0)
    pair = (settlement, state) if kind == 'deposit' else (state, settlement)
    return books.judge_posting(*pair, amount, kind == 'withdrawal', dated)


def of_hold(view, payer, payee, amount, expires_at, hold_id, reference):
    invalid = books.judge_amount(amount)
    if invalid == OK and payer == payee:
        invalid = '22023'
    if invalid != OK:
        yield invalid
        return
    for found in view.holds(hold_id):
        if found is not None:
            hold, event = found.hold, found.event
            if (hold.payer, hold.payee, hold.amount, hold.expires_at) != (
                    payer, payee, amount, microseconds(expires_at)) or \
                    event and event.values['reference'] != reference:
                yield 'LG008'
    if any(view.keys(hold_id)):
        yield 'LG008'
    for a, b in itertools.product(view.aged(payer), view.aged(payee)):
        refusal = 'LG001' if a is None or b is None else \
            books.judge_hold(a, b, amount, view.until)
        yield refusal
        if refusal == OK and microseconds(expires_at) <= view.until:
            yield '22023'


def judge_end(view, found, state):
    """Why a hold that was found cannot end so."""
    if found.state not in (PENDING, state) or \
            found.state == PENDING and found.hold.is_due(view.until):
        return 'LG015'
    return OK


def of_post_hold(view, hold_id, amount):
    for found in view.holds(hold_id):
        if found is None:
            yield 'LG016'
        elif amount is not None and amount > found.hold.amount:
            yield '22023'
        elif found.state == POSTED and found.posted != (amount or found.hold.amount):
            yield 'LG015'
        else:
            yield judge_end(view, found, POSTED)
            for state in view.accounts(found.hold.payee):
                if state and state.balance > books.BOUND - (amount or found.hold.amount):
                    yield '22003'


def of_void_hold(view, hold_id):
    for found in view.holds(hold_id):
        yield 'LG016' if found is None else judge_end(view, found, VOIDED)


def of_reverse(view, original, key):
    for row in view.keys(original):
        if row is None:
            yield 'LG016'
            continue
        if row['kind'] == 'reversal':
            yield 'LG017'
        if any(names_another(other, reverses=original) for other in view.keys(key)):
            yield 'LG008'
        if any(other not in (None, key) for other in view.reversals(original)):
            yield 'LG017'
        for a, b in itertools.product(view.aged(row['to_account']),
                                      view.aged(row['from_account'])):
            if a is not None and b is not None:
                yield books.judge_posting(a, b, row['amount'], False, view.until)


def of_set_limit(view, account, amount):
    if amount is not None and amount < 0:
        yield '22023'
        return
    for state in view.accounts(account):
        yield 'LG001' if state is None else OK if state.active else 'LG004'


def of_ledger_balance(view, account):
    if None in view.accounts(account):
        yield 'LG001'


def of_create_account(view, customer, currency, account):
    for state in view.accounts(account):
        if state is not None and (state.customer, state.currency) != (customer, currency):
            yield 'LG008'
    if True in view.closing(customer):
        yield 'LG013'


def of_inactivate_account(view, account):
    for state in view.aged(account):
        yield 'LG001' if state is None else books.judge_closing([state])
    if view.may_be_held_for(account):
        yield 'LG010'


def of_inactivate_customer(view, customer):
    for account in view.accounts_of(customer):
        yield from (code for code in of_inactivate_account(view, account) if code != 'LG001')


def of_nothing(view, *arguments):
    return ()


REFUSALS = {
    'transfer': of_transfer, 'deposit': of_deposit, 'withdraw': of_withdraw,
    'transfer_batch': of_nothing, 'hold': of_hold, 'post_hold': of_post_hold,
    'void_hold': of_void_hold, 'expire_holds': of_nothing, 'reverse': of_reverse,
    'set_limit': of_set_limit, 'ledger_balance': of_ledger_balance,
    'create_account': of_create_account, 'inactivate_account': of_inactivate_account,
    'inactivate_customer': of_inactivate_customer, 'reactivate_customer': of_nothing,
}
