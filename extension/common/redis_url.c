/*
 * Reads the address of a Redis.
 *
 * Promises:  pure; what is wrong is named without showing the address.
 */
#include "redis_url.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "text.h"

#define PORT_MAX 65535
#define DATABASE_MAX 1000000

/* A part of the text: not closed by a NUL. */
typedef struct Slice
{
	const char *start;
	size_t		length;
} Slice;

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static Slice
slice_of(const char *start, size_t length)
{
	Slice		slice = {.start = start, .length = length};

	return slice;
}

static bool
copy_slice(Slice slice, char *buffer, size_t size)
{
	if (slice.length >= size)
		return false;
	memcpy(buffer, slice.start, slice.length);
	buffer[slice.length] = '\0';
	return true;
}

/* Undoes percent-encoding in place; false for a broken or a NUL byte. */
static bool
decode(char *text)
{
	char	   *out = text;

	for (; *text != '\0'; text++)
	{
		int			high;
		int			low;

		if (*text != '%')
		{
			*out++ = *text;
			continue;
		}
		high = hex_value(text[1]);
		low = high < 0 ? -1 : hex_value(text[2]);
		if (low < 0 || (high == 0 && low == 0))
			return false;
		*out++ = (char) (high * 16 + low);
		text += 2;
	}
	*out = '\0';
	return true;
}

static bool
parse_number(const char *text, int max, int *number)
{
	int64_t		value;

	if (!bank_text_to_int64(text, &value) || value < 0 || value > max)
		return false;
	*number = (int) value;
	return true;
}

/* [user]:password */
static const char *
parse_credentials(Slice slice, BankRedisUrl *url)
{
	const char *colon = memchr(slice.start, ':', slice.length);
	Slice		user;
	Slice		password;

	if (colon == NULL)
		return "user without password";
	user = slice_of(slice.start, (size_t) (colon - slice.start));
	password = slice_of(colon + 1, slice.length - user.length - 1);
	if (!copy_slice(user, url->user, sizeof(url->user)) ||
		!copy_slice(password, url->password, sizeof(url->password)))
		return "user or password too long";
	if (!decode(url->user) || !decode(url->password))
		return "broken percent-encoding in user or password";
	if (url->user[0] != '\0' && url->password[0] == '\0')
		return "user without password";
	return NULL;
}

/* Where the host begins: after the last @ before the path. */
static const char *
skip_credentials(const char *text, BankRedisUrl *url, const char **problem)
{
	size_t		span = strcspn(text, "/?");
	const char *at = NULL;

	for (size_t i = 0; i < span; i++)
		if (text[i] == '@')
			at = text + i;
	if (at == NULL)
		return text;
	*problem = parse_credentials(slice_of(text, (size_t) (at - text)), url);
	return at + 1;
}

/* /path[?db=n] */
static const char *
parse_socket(const char *text, BankRedisUrl *url)
{
	size_t		span = strcspn(text, "?");

	url->is_socket = true;
	if (text[0] != '/' || span < 2)
		return "path of the socket is missing";
	if (!copy_slice(slice_of(text, span), url->host, sizeof(url->host)))
		return "path of the socket too long";
	text += span;
	if (*text == '\0')
		return NULL;
	if (strncmp(text, "?db=", 4) != 0 ||
		!parse_number(text + 4, DATABASE_MAX, &url->database))
		return "invalid database number";
	return NULL;
}

/* host[:port] */
static const char *
parse_host(Slice slice, BankRedisUrl *url)
{
	bool		bracket = slice.length > 0 && slice.start[0] == '[';
	char		text[sizeof(url->host) + 16];
	char	   *host = bracket ? text + 1 : text;
	char	   *rest;

	if (!copy_slice(slice, text, sizeof(text)))
		return "host too long";
	rest = host + strcspn(host, bracket ? "]" : ":");
	if (bracket && *rest == '\0')
		return "bracket of the host is not closed";
	if (rest == host)
		return "host is missing";
	if (bracket)
		*rest++ = '\0';
	if (*rest == ':')
	{
		*rest++ = '\0';
		if (!parse_number(rest, PORT_MAX, &url->port) || url->port == 0)
			return "invalid port";
	}
	else if (*rest != '\0')
		return "invalid host";
	return bank_text_copy(url->host, sizeof(url->host), host) ? NULL :
		"host too long";
}

/* host[:port][/database] */
static const char *
parse_network(const char *text, BankRedisUrl *url)
{
	size_t		span = strcspn(text, "/");
	const char *problem = parse_host(slice_of(text, span), url);

	if (problem != NULL)
		return problem;
	text += span;
	if (text[0] == '/' && text[1] != '\0' &&
		!parse_number(text + 1, DATABASE_MAX, &url->database))
		return "invalid database number";
	return NULL;
}

const char *
bank_redis_url_parse(const char *text, BankRedisUrl *url)
{
	const char *problem = NULL;
	bool		is_socket = strncmp(text, "unix://", 7) == 0;

	memset(url, 0, sizeof(*url));
	url->port = BANK_REDIS_PORT;
	if (strncmp(text, "rediss://", 9) == 0)
		return "TLS is not supported: use a socket or a local tunnel";
	if (!is_socket && strncmp(text, "redis://", 8) != 0)
		return "must begin with redis:// or unix://";

	text = skip_credentials(text + (is_socket ? 7 : 8), url, &problem);
	if (problem != NULL)
		return problem;
	return is_socket ? parse_socket(text, url) : parse_network(text, url);
}
