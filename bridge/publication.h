/*
 * What the publication is now, and which it is: the one that rows were sent
 * under, or one that was altered since.
 *
 * The server decodes a row by the publication of the row's time.  One that
 * lacked a table for a moment looks as before once it is mended, and the rows
 * it left out come in no stream; so its rows in the catalogue are compared,
 * which never are the same again.
 */
#ifndef BRIDGE_PUBLICATION_H
#define BRIDGE_PUBLICATION_H

#include <libpq-fe.h>
#include <stdbool.h>

/* Of six rows at most: oid and xmin; "" where they are not known. */
typedef struct BridgePublication
{
	char		rows[160];
} BridgePublication;

/* One row: whether all rows of the journal are published, and by which. */
extern const char bridge_publication_query[];

/* Takes which one it is from the query's text; false where it is none. */
extern bool bridge_publication_parse(const char *text,
									 BridgePublication *publication);

/* Asks for it; false, logged, where the database does not say. */
extern bool bridge_publication_read(PGconn *conn, BridgePublication *publication);

/* True where it was altered, as far as it is known. */
extern bool bridge_publication_differs(const BridgePublication *known,
									   const BridgePublication *found);

#endif
