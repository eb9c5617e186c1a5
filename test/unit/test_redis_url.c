/* Addresses of a Redis. */
#include "redis_url.h"

#include "tap.h"

static BankRedisUrl
accept_url(const char *text)
{
	BankRedisUrl url;

	tap_is_text(bank_redis_url_parse(text, &url), NULL, text);
	return url;
}

static void
refuse_url(const char *text, const char *problem)
{
	BankRedisUrl url;

	tap_is_text(bank_redis_url_parse(text, &url), problem, text);
}

static void
test_network(void)
{
	BankRedisUrl url = accept_url("redis://localhost");

	tap_is_text(url.host, "localhost", "host");
	tap_ok(url.port == 6379 && url.database == 0 && !url.is_socket, "defaults");
	tap_ok(url.user[0] == '\0' && url.password[0] == '\0', "no credentials");

	url = accept_url("redis://default:s%3a%40c%2Fret@10.0.0.1:7000/3");
	tap_is_text(url.user, "default", "user");
	tap_is_text(url.password, "s:@c/ret", "password is decoded");
	tap_is_text(url.host, "10.0.0.1", "address");
	tap_ok(url.port == 7000 && url.database == 3, "port and database");

	url = accept_url("redis://:pass:word@[::1]:7001/");
	tap_is_text(url.user, "", "no user");
	tap_is_text(url.password, "pass:word", "password with a colon");
	tap_is_text(url.host, "::1", "IPv6");
	tap_is_int(url.port, 7001, "port after IPv6");

	url = accept_url("redis://:a@b@host");
	tap_is_text(url.password, "a@b", "the last @ ends the password");
}

static void
test_socket(void)
{
	BankRedisUrl url = accept_url("unix:///run/redis.sock");

	tap_is_text(url.host, "/run/redis.sock", "path");
	tap_ok(url.is_socket && url.database == 0, "socket");

	url = accept_url("unix://user:pw@/run/redis.sock?db=9");
	tap_is_text(url.password, "pw", "password of a socket");
	tap_is_int(url.database, 9, "database of a socket");
}

static void
test_refusals(void)
{
	refuse_url("", "must begin with redis:// or unix://");
	refuse_url("http://localhost", "must begin with redis:// or unix://");
	refuse_url("rediss://localhost",
			   "TLS is not supported: use a socket or a local tunnel");
	refuse_url("redis://", "host is missing");
	refuse_url("redis://:6379", "host is missing");
	refuse_url("redis://host:0", "invalid port");
	refuse_url("redis://host:65536", "invalid port");
	refuse_url("redis://host:6379x", "invalid port");
	refuse_url("redis://host/x", "invalid database number");
	refuse_url("redis://host/-1", "invalid database number");
	refuse_url("redis://[::1", "bracket of the host is not closed");
	refuse_url("redis://[::1]x", "invalid host");
	refuse_url("redis://user@host", "user without password");
	refuse_url("redis://user:@host", "user without password");
	refuse_url("redis://:%4@host",
			   "broken percent-encoding in user or password");
	refuse_url("redis://:%00@host",
			   "broken percent-encoding in user or password");
	refuse_url("unix://run/redis.sock", "path of the socket is missing");
	refuse_url("unix:///run/redis.sock?database=1", "invalid database number");
}

int
main(void)
{
	test_network();
	test_socket();
	test_refusals();
	return tap_done();
}
