/*
 * Names resolved by getaddrinfo in a thread of its own.
 *
 * Promises:  the thread takes no signal of the process, and touches nothing
 *            but its question.
 * Locks:     the question's mutex, for as long as a copy takes.
 * Memory:    a question is malloc'd and freed by whoever lets go of it last,
 *            owner or thread.
 */
#include "resolve.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "text.h"

struct BankResolve
{
	pthread_mutex_t lock;
	pthread_cond_t answered;
	int			holders;		/* owner and thread */
	bool		is_answered;
	int			error;			/* of getaddrinfo */
	BankAddresses addresses;
	char		host[BANK_HOST_SIZE];
};

static void
let_go(BankResolve *question)
{
	int			left;

	pthread_mutex_lock(&question->lock);
	left = --question->holders;
	pthread_mutex_unlock(&question->lock);
	if (left > 0)
		return;
	pthread_mutex_destroy(&question->lock);
	pthread_cond_destroy(&question->answered);
	free(question);
}

static void
collect(const struct addrinfo *found, BankAddresses *addresses)
{
	for (; found != NULL && addresses->count < BANK_RESOLVE_MAX;
		 found = found->ai_next)
		if (getnameinfo(found->ai_addr, found->ai_addrlen,
						addresses->text[addresses->count], BANK_ADDRESS_SIZE,
						NULL, 0, NI_NUMERICHOST) == 0)
			addresses->count++;
}

static int
look_up(const char *host, int flags, BankAddresses *addresses)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM, .ai_flags = flags
	};
	struct addrinfo *found = NULL;
	int			error = getaddrinfo(host, NULL, &hints, &found);

	addresses->count = 0;
	if (error != 0)
		return error;
	collect(found, addresses);
	freeaddrinfo(found);
	return addresses->count > 0 ? 0 : EAI_NONAME;
}

static void *
answer(void *argument)
{
	BankResolve *question = argument;
	BankAddresses addresses;
	int			error = look_up(question->host, 0, &addresses);

	pthread_mutex_lock(&question->lock);
	question->addresses = addresses;
	question->error = error;
	question->is_answered = true;
	pthread_cond_signal(&question->answered);
	pthread_mutex_unlock(&question->lock);
	let_go(question);
	return NULL;
}

static bool
start_thread(BankResolve *question)
{
	pthread_attr_t attributes;
	pthread_t	thread;
	sigset_t	all;
	sigset_t	before;
	bool		started;

	if (pthread_attr_init(&attributes) != 0)
		return false;
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	started = pthread_create(&thread, &attributes, answer, question) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return started;
}

static BankResolve *
make_question(const char *host)
{
	BankResolve *question = calloc(1, sizeof(BankResolve));
	pthread_condattr_t attributes;

	if (question == NULL)
		return NULL;
	if (!bank_text_copy(question->host, sizeof(question->host), host))
	{
		free(question);
		return NULL;
	}
	pthread_mutex_init(&question->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&question->answered, &attributes);
	pthread_condattr_destroy(&attributes);
	question->holders = 1;
	return question;
}

BankResolve *
bank_resolve_start(const char *host)
{
	BankResolve *question = make_question(host);

	if (question == NULL)
		return NULL;
	question->is_answered =
		look_up(host, AI_NUMERICHOST, &question->addresses) == 0;
	if (question->is_answered)
		return question;
	question->holders = 2;
	if (start_thread(question))
		return question;
	question->holders = 1;
	let_go(question);
	return NULL;
}

bool
bank_resolve_is_about(const BankResolve *question, const char *host)
{
	return strcmp(question->host, host) == 0;
}

static void
wait_until_answered(BankResolve *question, int timeout_ms)
{
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += timeout_ms / 1000;
	end.tv_nsec += timeout_ms % 1000 * 1000000L;
	if (end.tv_nsec >= 1000000000L)
	{
		end.tv_sec++;
		end.tv_nsec -= 1000000000L;
	}
	while (!question->is_answered &&
		   pthread_cond_timedwait(&question->answered, &question->lock,
								  &end) != ETIMEDOUT)
		continue;
}

BankResolveState
bank_resolve_wait(BankResolve *question, int timeout_ms, BankAddresses *addresses)
{
	BankResolveState state = BANK_RESOLVE_PENDING;

	pthread_mutex_lock(&question->lock);
	if (!question->is_answered && timeout_ms > 0)
		wait_until_answered(question, timeout_ms);
	if (question->is_answered)
		state = question->error == 0 ? BANK_RESOLVE_DONE : BANK_RESOLVE_FAILED;
	*addresses = question->addresses;
	pthread_mutex_unlock(&question->lock);
	return state;
}

const char *
bank_resolve_error(const BankResolve *question)
{
	return gai_strerror(question->error);
}

void
bank_resolve_release(BankResolve *question)
{
	if (question != NULL)
		let_go(question);
}

bool
bank_resolve_is_address(const char *text)
{
	BankAddresses addresses;

	return look_up(text, AI_NUMERICHOST, &addresses) == 0;
}
