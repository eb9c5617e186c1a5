/*
 * The HTTP server of metrics and health.
 *
 * Promises: clients that send or read slowly keep nobody out.  There are few
 * places, and whoever takes the last one ends the connection that is oldest.
 */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "log.h"
#include "metrics.h"

#define CONNECTION_LIMIT 16
#define CONNECTION_TIMEOUT_S 5
#define CONNECTION_MEMORY 4096

struct BridgeServer
{
	struct MHD_Daemon *daemon;
	int			connections[CONNECTION_LIMIT];	/* their sockets, oldest first */
	int			count;
};

static int
socket_of(struct MHD_Connection *connection)
{
	return MHD_get_connection_info(connection,
								   MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

/* The library notices that it is shut down, and lets it go. */
static void
add_connection(BridgeServer *server, int connection)
{
	if (server->count == CONNECTION_LIMIT)
		return;
	server->connections[server->count++] = connection;
	if (server->count == CONNECTION_LIMIT)
		shutdown(server->connections[0], SHUT_RDWR);
}

static void
remove_connection(BridgeServer *server, int connection)
{
	int			kept = 0;

	for (int i = 0; i < server->count; i++)
		if (server->connections[i] != connection)
			server->connections[kept++] = server->connections[i];
	server->count = kept;
}

/* Called where the requests are served.  The signature is libmicrohttpd's. */
static void
note_connection(void *user, struct MHD_Connection *connection, void **state,
				enum MHD_ConnectionNotificationCode code)
{
	(void) state;
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		add_connection(user, socket_of(connection));
	else
		remove_connection(user, socket_of(connection));
}

static enum MHD_Result
answer(struct MHD_Connection *connection, unsigned status,
	   const char *content_type, char *text, size_t length)
{
	struct MHD_Response *response = NULL;
	enum MHD_Result queued;

	if (text != NULL)
		response = MHD_create_response_from_buffer(length, text,
												   MHD_RESPMEM_MUST_FREE);
	if (response == NULL)
	{
		free(text);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
							content_type);
	queued = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return queued;
}

static enum MHD_Result
answer_health(struct MHD_Connection *connection)
{
	size_t		length = 0;
	bool		healthy;
	char	   *text = bridge_health_text(&length, &healthy);

	return answer(connection,
				  healthy ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
				  "application/json", text, length);
}

static enum MHD_Result
answer_metrics(struct MHD_Connection *connection)
{
	size_t		length = 0;
	char	   *text = bridge_metrics_text(&length);

	return answer(connection, MHD_HTTP_OK,
				  "text/plain; version=0.0.4; charset=utf-8", text, length);
}

/* The signature is libmicrohttpd's. */
static enum MHD_Result
handle_request(void *user, struct MHD_Connection *connection, const char *path,
			   const char *method, const char *version, const char *upload,
			   size_t *upload_size, void **state)
{
	(void) user;
	(void) version;
	(void) upload;
	(void) state;
	*upload_size = 0;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0)
		return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain",
					  strdup(""), 0);
	if (strcmp(path, "/health") == 0)
		return answer_health(connection);
	if (strcmp(path, "/metrics") == 0)
		return answer_metrics(connection);
	return answer(connection, MHD_HTTP_NOT_FOUND, "text/plain", strdup(""), 0);
}

static bool
parse_address(const BridgeConfig *config, struct sockaddr_storage *storage)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *) storage;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *) storage;

	memset(storage, 0, sizeof(*storage));
	if (inet_pton(AF_INET, config->http_address, &v4->sin_addr) == 1)
	{
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t) config->http_port);
		return true;
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((uint16_t) config->http_port);
	return inet_pton(AF_INET6, config->http_address, &v6->sin6_addr) == 1;
}

static struct MHD_Daemon *
start_daemon(BridgeServer *server, const struct sockaddr_storage *address,
			 bool threaded)
{
	unsigned	flags = MHD_USE_EPOLL;

	if (threaded)
		flags |= MHD_USE_INTERNAL_POLLING_THREAD;
	if (address->ss_family == AF_INET6)
		flags |= MHD_USE_IPv6;
	return MHD_start_daemon(flags, 0, NULL, NULL, handle_request, NULL,
							MHD_OPTION_SOCK_ADDR, address,
							MHD_OPTION_NOTIFY_CONNECTION, note_connection, server,
							MHD_OPTION_CONNECTION_LIMIT,
							(unsigned) CONNECTION_LIMIT,
							MHD_OPTION_CONNECTION_TIMEOUT,
							(unsigned) CONNECTION_TIMEOUT_S,
							MHD_OPTION_CONNECTION_MEMORY_LIMIT,
							(size_t) CONNECTION_MEMORY,
							MHD_OPTION_END);
}

static bool
listen_on(BridgeServer *server, const BridgeConfig *config, bool threaded)
{
	struct sockaddr_storage address;

	if (parse_address(config, &address))
		server->daemon = start_daemon(server, &address, threaded);
	if (server->daemon == NULL)
		bridge_log(BRIDGE_LOG_ERROR, "could not serve metrics",
				   "address=%s port=%lld error=%s", config->http_address,
				   (long long) config->http_port, strerror(errno));
	return server->daemon != NULL;
}

bool
bridge_server_start(const BridgeConfig *config, bool threaded,
					BridgeServer **server)
{
	*server = NULL;
	if (config->http_port == 0)
		return true;
	*server = calloc(1, sizeof(BridgeServer));
	if (*server != NULL && listen_on(*server, config, threaded))
		return true;
	free(*server);
	*server = NULL;
	return false;
}

int
bridge_server_fd(const BridgeServer *server)
{
	const union MHD_DaemonInfo *info =
	MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);

	return info != NULL ? info->epoll_fd : -1;
}

void
bridge_server_serve(BridgeServer *server)
{
	MHD_run(server->daemon);
}

void
bridge_server_stop(BridgeServer *server)
{
	if (server == NULL)
		return;
	MHD_stop_daemon(server->daemon);
	free(server);
}
