/*
 * Host names of connection strings.
 */
#include "hosts.h"

#include "clock.h"
#include "role.h"

/* How often the stop is looked for. */
#define WAIT_MS 50

static BankResolveState
wait_for_answer(BankResolve *question, int64_t deadline, BankAddresses *addresses)
{
	BankResolveState state = BANK_RESOLVE_PENDING;

	while (state == BANK_RESOLVE_PENDING && !bridge_stop_requested() &&
		   bridge_clock_ms() < deadline)
		state = bank_resolve_wait(question, WAIT_MS, addresses);
	return state;
}

const char *
bridge_hosts_find(const char *dsn, int64_t deadline, BankResolve **question,
				  BridgeHosts *hosts)
{
	BankResolveState state;
	BankAddresses addresses;
	char		host[BANK_HOST_SIZE];
	const char *problem = NULL;

	hosts->names[0] = '\0';
	if (!bank_resolve_host_of(dsn, host, sizeof(host)))
		return NULL;
	if (*question != NULL && !bank_resolve_is_about(*question, host))
	{
		bank_resolve_release(*question);
		*question = NULL;
	}
	if (*question == NULL)
		*question = bank_resolve_start(host);
	if (*question == NULL)
		return "out of memory";
	state = wait_for_answer(*question, deadline, &addresses);
	if (state == BANK_RESOLVE_PENDING)
		return "the name server gives no answer in time";
	if (state == BANK_RESOLVE_FAILED)
		problem = bank_resolve_error(*question);
	else
		bank_resolve_lists(&addresses, host, hosts->names, hosts->addresses);
	bank_resolve_release(*question);
	*question = NULL;
	return problem;
}
