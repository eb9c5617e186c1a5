"""One order for everything that was committed and everything that was read.

The versions of each account, and the dates under each customer's lock, say
what came before what.  There must be moments, each between the call and the
answer of its transaction, that keep that order: then the ledger behaved as if
one transaction ran at a time (invariant 5).  A committed group cannot be
earlier than the server's own date of its commit.
"""
import collections

from history import READ_COMMITTED, RollbackTo, Savepoint

CUSTOMER_KINDS = ('created', 'customer_closing', 'customer_reactivated')


class Read:
    """A balance that was read outside the reader's own changes."""

    def __init__(self, call, earliest, latest):
        self.call, self.earliest, self.latest = call, earliest, latest

    def __str__(self):
        return str(self.call)


class Order:
    """Groups and reads in an order that the journal allows."""

    def __init__(self, groups, history, complaints):
        self.complaints = complaints
        self.after = collections.defaultdict(set)
        self.nodes = list(groups)
        self.entries = collections.defaultdict(list)        # account: [(version, group)]
        for group in groups:
            for row in group.rows:
                for account, version in row.entries:
                    self.entries[account].append((version, group))
        for entries in self.entries.values():
            entries.sort(key=lambda entry: entry[0])
            self.chain([group for _, group in entries])
        self.order_customers(groups)
        self.order_payees(groups)
        self.place = {account: {version: at for at, (version, _) in enumerate(entries)}
                      for account, entries in self.entries.items()}
        self.order_reads(history)
        self.sort()

    def chain(self, groups):
        for before, later in zip(groups, groups[1:]):
            if before is not later:
                self.after[before].add(later)

    def order_customers(self, groups):
        by_customer = collections.defaultdict(list)
        for group in groups:
            for row in group.rows:
                if row.kind in CUSTOMER_KINDS and row.values['customer_id'] is not None:
                    by_customer[row.values['customer_id']].append((row.dated, group))
        for dated in by_customer.values():
            dated.sort(key=lambda pair: pair[0])
            self.chain([group for _, group in dated])

    def order_payees(self, groups):
        """A hold locks its payee and leaves it no version; dates say whether
        that was before the payee's closing."""
        rows = [(row, group) for group in groups for row in group.rows]
        ends = {(row.values['account_id'], row.kind): (row, group) for row, group in rows
                if row.kind in ('created', 'inactivated')}
        for row, group in rows:
            if row.kind == 'hold_created':
                payee = row.values['counterparty']
                _, created = ends.get((payee, 'created'), (None, group))
                closing, closed = ends.get((payee, 'inactivated'), (row, group))
                self.chain([created, group])
                self.chain([group, closed] if row.dated < closing.dated else [closed, group])

    def order_reads(self, history):
        for transaction in history.transactions:
            changed = own_changes(transaction)
            for call in transaction.calls():
                if (call.operation == 'ledger_balance' and call.worked
                        and call.arguments[0] not in changed[call]):
                    self.order_read(transaction, call)

    def order_read(self, transaction, call):
        account, version = call.arguments[0], call.rows[0]['version']
        entries, at = self.entries[account], self.place.get(account, {}).get(version)
        if at is None:
            self.complaints.append(f'5: a version was read that was never committed: {call}')
            return
        snapshot = call if transaction.isolation == READ_COMMITTED else transaction.calls()[0]
        read = Read(call, snapshot.called, snapshot.returned)
        self.nodes.append(read)
        self.after[entries[at][1]].add(read)
        if at + 1 < len(entries):
            if entries[at + 1][1] is entries[at][1]:
                self.complaints.append(f'5: the middle of a transaction was read: {call}')
            else:
                self.after[read].add(entries[at + 1][1])

    def sort(self):
        """Sorts self.nodes, raises each node's earliest moment to those before
        it, and lowers its latest to those after it."""
        waiting = collections.Counter(later for afters in self.after.values() for later in afters)
        ready = collections.deque(sorted((node for node in self.nodes if not waiting[node]),
                                         key=lambda node: node.earliest))
        done = []
        while ready:
            node = ready.popleft()
            done.append(node)
            if node.earliest > node.latest:
                self.complaints.append(f'5: later than it can be: {node}')
                node.earliest = node.latest
            for later in self.after[node]:
                later.earliest = max(later.earliest, node.earliest)
                waiting[later] -= 1
                if not waiting[later]:
                    ready.append(later)
        if len(done) < len(self.nodes):
            left = [str(node) for node in self.nodes if waiting[node] > 0]
            self.complaints.append(f'5: no order puts these one after another: {left[:6]}')
        for node in reversed(done):
            node.latest = min([node.latest, *(later.latest for later in self.after[node])])
        self.nodes = done


def own_changes(transaction):
    """For each call: the accounts that its own transaction had changed by then
    and not taken back."""
    changed, found, kept = frozenset(), {}, {}
    for step in transaction.steps:
        if isinstance(step, Savepoint):
            kept[step] = changed
        elif isinstance(step, RollbackTo):
            changed = kept[step.savepoint]
        else:
            found[step] = changed
            if step.worked and step.operation != 'ledger_balance':
                changed |= changed_by(step)
    return found


def changed_by(call):
    if call.operation == 'transfer_batch':
        return set(call.arguments[0] + call.arguments[1])
    names = ('account_id', 'from_account') + (
        () if call.operation in ('hold', 'void_hold') else ('to_account',))
    return {row[name] for row in call.rows for name in names if name in row}
