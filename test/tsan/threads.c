/*
 * The threads of C11 by those of POSIX, for the build under ThreadSanitizer:
 * it knows the latter alone, and librdkafka makes its threads by the former.
 *
 * Memory:  what a thread begins with is malloc'd, and freed by the thread.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

_Static_assert(sizeof(mtx_t) >= sizeof(pthread_mutex_t), "a mutex fits");
_Static_assert(sizeof(cnd_t) >= sizeof(pthread_cond_t), "a condition fits");
_Static_assert(sizeof(once_flag) == sizeof(pthread_once_t), "so does a flag");

typedef struct Start
{
	thrd_start_t function;
	void	   *argument;
} Start;

static int
code_of(int error)
{
	return error == 0 ? thrd_success :
		error == ETIMEDOUT ? thrd_timedout :
		error == EBUSY ? thrd_busy :
		error == ENOMEM ? thrd_nomem : thrd_error;
}

static void *
begin(void *opaque)
{
	Start		start = *(Start *) opaque;

	free(opaque);
	return (void *) (intptr_t) start.function(start.argument);
}

int
thrd_create(thrd_t * thread, thrd_start_t function, void *argument)
{
	Start	   *start = malloc(sizeof(Start));
	int			error;

	if (start == NULL)
		return thrd_nomem;
	start->function = function;
	start->argument = argument;
	error = pthread_create(thread, NULL, begin, start);
	if (error != 0)
		free(start);
	return code_of(error);
}

int
thrd_join(thrd_t thread, int *result)
{
	void	   *returned = NULL;
	int			error = pthread_join(thread, &returned);

	if (result != NULL)
		*result = (int) (intptr_t) returned;
	return code_of(error);
}

int
mtx_init(mtx_t * mutex, int type)
{
	pthread_mutexattr_t attributes;
	int			error;

	pthread_mutexattr_init(&attributes);
	if (type & mtx_recursive)
		pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
	error = pthread_mutex_init((pthread_mutex_t *) mutex, &attributes);
	pthread_mutexattr_destroy(&attributes);
	return code_of(error);
}

int
mtx_lock(mtx_t * mutex)
{
	return code_of(pthread_mutex_lock((pthread_mutex_t *) mutex));
}

int
mtx_unlock(mtx_t * mutex)
{
	return code_of(pthread_mutex_unlock((pthread_mutex_t *) mutex));
}

void
mtx_destroy(mtx_t * mutex)
{
	pthread_mutex_destroy((pthread_mutex_t *) mutex);
}

int
cnd_init(cnd_t * condition)
{
	return code_of(pthread_cond_init((pthread_cond_t *) condition, NULL));
}

int
cnd_signal(cnd_t * condition)
{
	return code_of(pthread_cond_signal((pthread_cond_t *) condition));
}

int
cnd_broadcast(cnd_t * condition)
{
	return code_of(pthread_cond_broadcast((pthread_cond_t *) condition));
}

int
cnd_wait(cnd_t * condition, mtx_t * mutex)
{
	return code_of(pthread_cond_wait((pthread_cond_t *) condition,
									 (pthread_mutex_t *) mutex));
}

int
cnd_timedwait(cnd_t * condition, mtx_t * mutex, const struct timespec *until)
{
	return code_of(pthread_cond_timedwait((pthread_cond_t *) condition,
										  (pthread_mutex_t *) mutex, until));
}

void
cnd_destroy(cnd_t * condition)
{
	pthread_cond_destroy((pthread_cond_t *) condition);
}

void
call_once(once_flag * flag, void (*function) (void))
{
	pthread_once((pthread_once_t *) flag, function);
}
