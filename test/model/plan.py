"""What is to be called: everything follows from the seed.

Operations are numbered, and the arguments of number n are a function of seed
and n alone.  So two sessions that take one number make the same call with the
same key.  The accounts in play change from era to era, since closed ones stay
closed; customer 0 of each era is calm: no transaction of several calls names
him, so that nothing about him may ever end in a deadlock.
"""
import datetime
import functools
import random
import uuid

from history import now

ERA = 1500                          # operations
CUSTOMERS, SLOTS = 4, 4             # an era's customers, and accounts of each
CURRENCIES = ('BRL', 'BRL', 'BRL', 'JPY')
BEYOND = 2**53

KINDS = {
    'transfer': 32, 'deposit': 18, 'withdraw': 7, 'ledger_balance': 8,
    'transfer_batch': 5, 'hold': 12, 'post_hold': 7, 'void_hold': 4, 'expire_holds': 1,
    'reverse': 6, 'set_limit': 1.5,
    'create_account': 3, 'inactivate_account': 3, 'inactivate_customer': 3,
    'reactivate_customer': 2, 'drain_account': 1.5, 'drain_customer': 0.7,
}
# Names every account: no transaction of several calls may hold that many.
ANYTHING = 'anything'
# Where the key of what may be reversed stands.
ORIGINAL_AT = {'transfer': 3, 'deposit': 2, 'withdraw': 2, 'post_hold': 0, 'reverse': 1}
# Rare in the first half of an era, whose accounts are empty yet.
ENDINGS = {'inactivate_account', 'inactivate_customer', 'drain_account', 'drain_customer'}


def timestamp(microseconds):
    seconds, rest = divmod(microseconds, 1_000_000)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.replace(microsecond=rest)


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
        self.expiries = {}          # of holds, by number
        self.operation = functools.lru_cache(maxsize=4096)(self._operation)

    def id(self, *what):
        return str(uuid.uuid5(uuid.NAMESPACE_OID, ':'.join(map(str, (self.seed, *what)))))

    def customer(self, era, number):
        return self.id('customer', era, number)

    def account(self, era, number, slot):
        return self.id('account', era, number, slot)

    def key(self, n):
        return self.id('key', n)

    def key_of(self, n, number, dice, place=0):
        """The key of an item of operation n: its own, or now and then one that
        other operations about other accounts have at the same moment.  Calm
        customers have only keys of their own: a key may be waited for."""
        if number and dice.random() < 0.06:
            return self.id('shared', n // 6, dice.randrange(2))
        return self.id('key', n, place) if place else self.key(n)

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
        is_single = (name in ('drain', 'expire_holds')
                     or not self.calm_of(era).isdisjoint(touches))
        return Operation(name, arguments, touches, is_single)

    def _operation(self, n):
        """Operation n.  The first ones of an era make the accounts of the next."""
        era, place = divmod(n, ERA)
        if place < CUSTOMERS * SLOTS:
            made = self.create(era + 1, *divmod(place, SLOTS))
            return Operation(made.name, made.arguments, made.touches, True)
        dice, kind = self.dice(n)
        number = dice.randrange(CUSTOMERS)
        name, arguments, touches = getattr(self, '_' + kind)(n, era, number, dice)
        return self.make(era, name or kind, arguments, touches)

    def dice(self, n):
        """The dice of number n, after it has thrown the kind."""
        dice, place = random.Random(f'{self.seed}:{n}'), n % ERA
        kind = dice.choices(list(KINDS), list(KINDS.values()))[0]
        if kind in ENDINGS and place < ERA // 2 and dice.random() < 0.85:
            kind = 'deposit'
        return dice, kind

    def earlier(self, n, dice, *kinds):
        """The number of an operation of these kinds, some way before n in its
        era; n where there is none."""
        first = n - n % ERA + CUSTOMERS * SLOTS
        for m in range(n - dice.choice([1, 2, 5, 20, 50]), first - 1, -1):
            if self.dice(m)[1] in kinds:
                return m
        return n

    @staticmethod
    def reference(dice):
        return dice.choice([None, 'aluguel', 'R$ 10 até amanhã'])

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

    def pair(self, n, era, number, dice):
        payer = self.account(era, number, dice.randrange(SLOTS - 1))
        payee = self.account(era, number, n % (SLOTS - 1))
        if payee == payer or dice.random() < 0.1:
            payee = self.any_account(era, number, dice)
        return payer, payee

    def _transfer(self, n, era, number, dice):
        pair, key = self.pair(n, era, number, dice), self.key_of(n, number, dice)
        return None, (*pair, self.amount(dice), key, self.reference(dice)), (*pair, key)

    def _deposit(self, n, era, number, dice):
        account = self.account(era, number, dice.randrange(SLOTS))
        key = self.key_of(n, number, dice)
        return None, (account, self.amount(dice), key, self.reference(dice)), (account, key)

    _withdraw = _deposit

    def _transfer_batch(self, n, era, number, dice):
        """Items with keys of their own, keys of single transfers before, and
        keys that the batch has twice; mostly one customer's, never a calm one's
        beside another's."""
        items = []
        for place in range(dice.choice([1, 3, 8, 20])):
            luck = dice.random()
            if luck < 0.1:
                item = self.earlier_transfer(n, dice, number)
            elif luck < 0.2 and items:
                item = dice.choice(items)
            else:
                holder = number if number == 0 or luck < 0.8 else dice.randrange(1, CUSTOMERS)
                payer, payee = self.pair(n + place, era, holder, dice)
                if holder and payee in self.accounts_of(era, 0):
                    payee = self.account(era, holder, 0)
                key = self.key_of(n, holder, dice, place + 1)
                item = payer, payee, self.amount(dice), key
            if item:
                items.append(item)
        columns = tuple(zip(*items)) or ((), (), (), ())
        return None, columns, {*columns[0], *columns[1], *columns[3]}

    def earlier_transfer(self, n, dice, number):
        """An earlier single transfer as an item; none where it would bring a
        calm customer and another one together."""
        m = self.earlier(n, dice, 'transfer')
        operation = self.operation(m) if m != n else None
        if operation is None or operation.arguments[4] is not None:
            return None
        calm = self.calm_of(n // ERA)
        mixed = {account in calm for account in operation.arguments[:2]} != {number == 0}
        return None if mixed else operation.arguments[:4]

    def _hold(self, n, era, number, dice):
        pair = self.pair(n, era, number, dice)
        lasts = dice.choice([0, 20_000, 200_000, 2_000_000, 3600_000_000])
        expires = self.expiries.setdefault(n, now() + lasts)
        key = self.id('hold', n)
        if number and dice.random() < 0.06:
            key = self.id('shared hold', n // 6)
        return (None, (*pair, self.amount(dice), timestamp(expires), key, self.reference(dice)),
                (*pair, key))

    def earlier_hold(self, n, dice):
        """The hold of an earlier number, or none, and the accounts it touches."""
        m = self.earlier(n, dice, 'hold')
        if m != n and self.operation(m).arguments[4] == self.id('hold', m):
            return self.id('hold', m), self.operation(m).touches
        return self.id('hold', 'none', n), ()

    def _post_hold(self, n, era, number, dice):
        hold, touches = self.earlier_hold(n, dice)
        return None, (hold, dice.choice([None, None, 1, 5, 20])), touches

    def _void_hold(self, n, era, number, dice):
        hold, touches = self.earlier_hold(n, dice)
        return None, (hold,), touches

    def _expire_holds(self, n, era, number, dice):
        return None, (dice.choice([1, 10, 1000]),), (ANYTHING,)

    def _reverse(self, n, era, number, dice):
        m = self.earlier(n, dice, 'transfer', 'deposit', 'withdraw', 'post_hold', 'reverse')
        if m == n:
            return None, (self.id('nothing', n), self.key(n)), ()
        operation = self.operation(m)
        original = operation.arguments[ORIGINAL_AT[operation.name]]
        return None, (original, self.key(n)), (*operation.touches, self.key(n))

    def _set_limit(self, n, era, number, dice):
        account = self.account(era, number, dice.randrange(SLOTS))
        return None, (account, dice.choice([None, 300, 2000, 2000, 100_000, -1])), (account,)

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
