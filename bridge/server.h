/*
 * /metrics and /health over HTTP.
 */
#ifndef BRIDGE_SERVER_H
#define BRIDGE_SERVER_H

#include "config.h"

typedef struct BridgeServer BridgeServer;

/*
 * Begins to serve.  threaded: in a thread of its own, for a process that
 * never forks; else the caller polls bridge_server_fd and calls
 * bridge_server_serve when it is readable.  *server is NULL where http.port
 * is 0.  False, logged, where the address is not free or not one.
 */
extern bool bridge_server_start(const BridgeConfig *config, bool threaded,
								BridgeServer **server);

extern int	bridge_server_fd(const BridgeServer *server);
extern void bridge_server_serve(BridgeServer *server);
extern void bridge_server_stop(BridgeServer *server);

#endif
