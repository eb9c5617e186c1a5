"""What is to be called: everything follows from the seed.

Operations are numbered, and the arguments of number n are a function of seed
and n alone.  So two sessions that take one number make the same call with the
same key.  The accounts in play change from era to era, since closed ones stay
closed; customer 0 of each era is calm: no transaction of several calls names
him, so that nothing about him may ever end in a deadlock.
"""
import functools
import random
import uuid

ERA = 1500                          # operations
CUSTOMERS, SLOTS = 4, 4             # an era's customers, and accounts of each
CURRENCIES = ('BRL', 'BRL', 'BRL', 'JPY')
BEYOND = 2**53

KINDS = {
    'transfer': 36, 'deposit': 20, 'withdraw': 8, 'ledger_balance': 10,
    'create_account': 3, 'inactivate_account': 3, 'inactivate_customer': 3,
    'reactivate_customer': 2, 'drain_account': 0.5, 'drain_customer': 0.3,
}
# Rare in the first half of an era, whose accounts are empty yet.
ENDINGS = {'inactivate_account', 'inactivate_customer', 'drain_account', 'drain_customer'}


class Operation:
    """A name, its arguments, the accounts and customers it touches, and whether
    no transaction of several calls may have it."""

    def __init__(self, name, arguments, touches, is_single):
        self.name, self.arguments = name, arguments
        self.touches, self.is_single = frozenset(touches), is_single


class Plan:
    def __init__(self, seed):
        self.seed = seed
        self.calm = set()           # ids that only single calls name
        self.operation = functools.lru_cache(maxsize=4096)(self._operation)

    def id(self, *what):
        return str(uuid.uuid5(uuid.NAMESPACE_OID, ':'.join(map(str, (self.seed, *what)))))

    def customer(self, era, number):
        return self.id('customer', era, number)

    def account(self, era, number, slot):
        return self.id('account', era, number, slot)

    def key(self, n):
        return self.id('key', n)

    def accounts_of(self, era, number):
        return [self.account(era, number, slot) for slot in range(SLOTS)]

    @functools.cache
    def calm_of(self, era):
        return frozenset({self.customer(era, 0), *self.accounts_of(era, 0)})

    def world(self, last):
        """All customers of the operations up to a number."""
        return [self.customer(era, number)
                for era in range(last // ERA + 2) for number in range(CUSTOMERS)]

    def creations(self, era):
        """The accounts an era begins with."""
        for number in range(CUSTOMERS):
            for slot in range(SLOTS):
                yield self.create(era, number, slot)

    def create(self, era, number, slot):
        customer, account = self.customer(era, number), self.account(era, number, slot)
        return self.make(era, 'create_account',
                         (customer, CURRENCIES[slot % len(CURRENCIES)], account),
                         (customer, account))

    def make(self, era, name, arguments, touches):
        self.calm.update(self.calm_of(era))
        is_single = name == 'drain' or not self.calm_of(era).isdisjoint(touches)
        return Operation(name, arguments, touches, is_single)

    def _operation(self, n):
        """Operation n.  The first ones of an era make the accounts of the next."""
        era, place = divmod(n, ERA)
        if place < CUSTOMERS * SLOTS:
            made = self.create(era + 1, *divmod(place, SLOTS))
            return Operation(made.name, made.arguments, made.touches, True)
        dice = random.Random(f'{self.seed}:{n}')
        kind = dice.choices(list(KINDS), list(KINDS.values()))[0]
        if kind in ENDINGS and place < ERA // 2 and dice.random() < 0.9:
            kind = 'deposit'
        number = dice.randrange(CUSTOMERS)
        name, arguments, touches = getattr(self, '_' + kind)(n, era, number, dice)
        return self.make(era, name or kind, arguments, touches)

    @staticmethod
    def amount(dice):
        return dice.choices([dice.randint(1, 40), dice.randint(100, 10_000), 0, BEYOND],
                            [92, 6, 1, 1])[0]

    def any_account(self, era, number, dice):
        """Mostly one of the customer's accounts; rarely another's, or none."""
        luck = dice.random()
        if luck < 0.02:
            return self.id('nobody', luck)
        if luck < 0.06:
            number = (number + 1) % CUSTOMERS
        return self.account(era, number, dice.choices(range(SLOTS), [5, 5, 5, 1])[0])

    def _transfer(self, n, era, number, dice):
        payer = self.account(era, number, dice.randrange(SLOTS - 1))
        payee = self.account(era, number, n % (SLOTS - 1))
        if payee == payer or dice.random() < 0.1:
            payee = self.any_account(era, number, dice)
        return None, (payer, payee, self.amount(dice), self.key(n)), (payer, payee)

    def _deposit(self, n, era, number, dice):
        account = self.account(era, number, dice.randrange(SLOTS))
        return None, (account, self.amount(dice), self.key(n)), (account,)

    _withdraw = _deposit

    def _ledger_balance(self, n, era, number, dice):
        return None, (self.any_account(era, number, dice),), ()

    def _create_account(self, n, era, number, dice):
        """One more account of a customer, which nothing else names."""
        made = self.create(era, number, SLOTS + dice.randrange(ERA))
        return None, made.arguments, made.touches

    def _inactivate_account(self, n, era, number, dice):
        account = self.account(era, number, dice.randrange(SLOTS))
        return None, (account,), (account,)

    def _inactivate_customer(self, n, era, number, dice):
        customer = self.customer(era, number)
        return None, (customer,), (customer, *self.accounts_of(era, number))

    def _reactivate_customer(self, n, era, number, dice):
        customer = self.customer(era, number)
        return None, (customer,), (customer,)

    def _drain_account(self, n, era, number, dice):
        """Takes out what is there, and closes."""
        account = self.account(era, number, dice.randrange(SLOTS))
        return 'drain', ('inactivate_account', account, (account,), self.key(n)), (account,)

    def _drain_customer(self, n, era, number, dice):
        customer, accounts = self.customer(era, number), self.accounts_of(era, number)
        return ('drain', ('inactivate_customer', customer, tuple(accounts), self.key(n)),
                (customer, *accounts))
