"""Which transaction wrote which rows: by the keys of its calls, and the time.

A row that no call can have written, the half of a transaction, and a row of
what was rolled back all end as rows without an author.
"""
import collections

from history import COMMITTED, LOST
from journal import Group


class Authors:
    """The calls that may have left rows, by what they would leave."""

    def __init__(self, history):
        self.by_mark = collections.defaultdict(set)
        for transaction in history.transactions:
            if transaction.outcome not in (COMMITTED, LOST):
                continue
            for call in transaction.calls():
                if not call.undone and (call.worked or call.state is None):
                    for mark in marks_of_call(call):
                        self.by_mark[mark].add(transaction)

    def of_row(self, row):
        """The transactions that may have written a row; None: any."""
        marks = marks_of_row(row)
        if not marks:
            return None
        return set().union(*(self.by_mark.get(mark, ()) for mark in marks))

    def of_rows(self, rows, committed):
        """Those that may have written all the rows, by then."""
        found = None
        for row in rows:
            candidates = self.of_row(row)
            if candidates is not None:
                found = candidates if found is None else found & candidates
        if found is None:
            # Only expired holds: anybody may end them on his way, and then
            # leaves a row of his own; alone they are what expire_holds did.
            found = self.by_mark['expired', 'any']
        return {transaction for transaction in found
                if transaction.committing <= committed <= transaction.ended}


def marks_of_call(call):
    """What rows a call may leave, as marks that name them."""
    name, arguments = call.operation, call.arguments
    if name in KEY_AT:
        yield 'key', arguments[KEY_AT[name]], arguments[AMOUNT_AT[name]]
    elif name == 'reverse':
        yield 'reversed', arguments[1]
    elif name == 'transfer_batch':
        yield from (('key', key, amount) for key, amount in zip(arguments[3], arguments[2]))
    elif name in MARK_BY_FIRST:
        yield MARK_BY_FIRST[name], arguments[0]
    elif name == 'create_account':
        yield 'created', arguments[2]
    elif name == 'hold':
        yield 'held', arguments[4], arguments[2]
    elif name == 'expire_holds':
        yield 'expired', 'any'


# Where the key of a transfer stands, and its amount.
KEY_AT = {'transfer': 3, 'deposit': 2, 'withdraw': 2}
AMOUNT_AT = {'transfer': 2, 'deposit': 1, 'withdraw': 1}
MARK_BY_FIRST = {
    'inactivate_account': 'inactivated', 'inactivate_customer': 'all inactivated',
    'reactivate_customer': 'reactivated', 'post_hold': 'posted', 'void_hold': 'voided',
    'set_limit': 'limited'}

MARK_OF_KIND = {
    'customer_closing': ('all inactivated', 'customer_id'),
    'customer_reactivated': ('reactivated', 'customer_id'),
    'hold_created': ('held', 'transfer_id', 'amount'),
    'hold_voided': ('voided', 'transfer_id'),
    'limit_set': ('limited', 'account_id')}


def marks_of_row(row):
    """The marks of the calls that may have left the row; none: any call."""
    values = row.values
    if row.kind == 'hold_posted':
        return [('posted', row.key)]
    if row.kind == 'reversal':
        return [('reversed', row.key)]
    if row.table == 'transfer':
        return [('key', row.key, values['amount'])]
    if row.kind == 'created':
        return [('created', values['account_id'])] if values['customer_id'] is not None else []
    if row.kind == 'inactivated':
        return [('inactivated', values['account_id']), ('all inactivated', values['customer_id'])]
    mark, *names = MARK_OF_KIND.get(row.kind, (None,))
    return [(mark, *(values[name] for name in names))] if mark else []


def seen_by(transaction, over):
    """When everybody sees what a transaction committed: once it is answered, or,
    where the server was killed meanwhile, once that has recovered."""
    return transaction.ended if transaction.outcome == COMMITTED else over


def groups_of(journal, history, complaints):
    """The journal in groups, each with the transactions that may be it."""
    over = max((transaction.ended for transaction in history.transactions), default=0)
    for transaction in history.transactions:
        transaction.group = None
    authors = Authors(history)
    by_xid = collections.defaultdict(list)
    for row in journal.rows:
        by_xid[row.committed, row.values['xid']].append(row)
    by_time = collections.defaultdict(list)
    for (committed, _), rows in by_xid.items():
        candidates = authors.of_rows(rows, committed)
        for group in by_time[committed]:
            if group.candidates & candidates:
                break
        else:
            group = Group(committed, candidates)
            by_time[committed].append(group)
        group.rows += rows
        group.candidates &= candidates
    groups = [group for same in by_time.values() for group in same]
    for group in groups:
        if not group.candidates:
            complaints.append(f'8: rows without an author: {list(map(str, group.rows))}')
        else:
            group.latest = min(seen_by(transaction, over) for transaction in group.candidates)
            if len(group.candidates) == 1:
                next(iter(group.candidates)).group = group
    return groups
