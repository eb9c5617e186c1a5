/*
 * The address of a Redis as one text:
 *
 *   redis://[[user]:password@]host[:port][/database]
 *   unix://[[user]:password@]/path/of/socket[?db=database]
 *
 * User and password may be percent-encoded; an IPv6 host stands in brackets.
 */
#ifndef BANK_REDIS_URL_H
#define BANK_REDIS_URL_H

#include <stdbool.h>

#define BANK_REDIS_PORT 6379

typedef struct BankRedisUrl
{
	char		host[256];		/* name, address, or path of the socket */
	bool		is_socket;
	int			port;
	int			database;
	char		user[128];		/* empty: the default user */
	char		password[512];	/* empty: no AUTH */
} BankRedisUrl;

/*
 * Reads text into *url.  Returns NULL, or what is wrong with it: a fixed text
 * that repeats no part of the address, since that may hold a password.
 */
extern const char *bank_redis_url_parse(const char *text, BankRedisUrl *url);

#endif
