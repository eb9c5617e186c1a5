/*
 * Host names into addresses.
 */
#include "resolve.h"

#include "tap.h"

static void
check_answers(void)
{
	BankAddresses addresses;
	BankResolve *question = bank_resolve_start("127.0.0.1");

	tap_is_int(bank_resolve_wait(question, 0, &addresses), BANK_RESOLVE_DONE,
			   "an address answers itself at once");
	tap_is_int(addresses.count, 1, "with one address");
	tap_is_text(addresses.text[0], "127.0.0.1", "itself");
	bank_resolve_release(question);
	question = bank_resolve_start("::1");
	bank_resolve_wait(question, 0, &addresses);
	tap_is_text(addresses.text[0], "::1", "of version 6 too");
	bank_resolve_release(question);
	question = bank_resolve_start("localhost");
	tap_ok(bank_resolve_is_about(question, "localhost"), "a question knows its host");
	tap_ok(!bank_resolve_is_about(question, "localhos"), "and no other");
	tap_is_int(bank_resolve_wait(question, 30000, &addresses), BANK_RESOLVE_DONE,
			   "a name is resolved");
	tap_ok(addresses.count >= 1 && addresses.count <= BANK_RESOLVE_MAX, "to some addresses");
	tap_is_int(bank_resolve_wait(question, 0, &addresses), BANK_RESOLVE_DONE,
			   "and stays so");
	bank_resolve_release(question);
	bank_resolve_release(NULL);
}

static void
check_failures(void)
{
	BankAddresses addresses;
	char		longest[BANK_HOST_SIZE + 1];
	BankResolve *question = bank_resolve_start("no such name.");

	tap_is_int(bank_resolve_wait(question, 60000, &addresses), BANK_RESOLVE_FAILED,
			   "a name that cannot be is none");
	tap_ok(bank_resolve_error(question)[0] != '\0', "and it says why");
	bank_resolve_release(question);
	memset(longest, 'a', BANK_HOST_SIZE);
	longest[BANK_HOST_SIZE] = '\0';
	tap_ok(bank_resolve_start(longest) == NULL, "a name too long is not asked for");
}

/* Owner and thread may let go in any order. */
static void
check_release(void)
{
	BankAddresses addresses;
	int			answered = 0;

	for (int i = 0; i < 200; i++)
	{
		BankResolve *question = bank_resolve_start("localhost");

		if (i % 2 == 0)
			answered += bank_resolve_wait(question, 30000, &addresses) == BANK_RESOLVE_DONE;
		bank_resolve_release(question);
	}
	tap_is_int(answered, 100, "questions may be given up at any moment");
}

int
main(void)
{
	check_answers();
	check_failures();
	check_release();
	tap_ok(bank_resolve_is_address("::1"), "an address is one");
	tap_ok(!bank_resolve_is_address("localhost"), "and a name is none");
	return tap_done();
}
