/* Which publication it is: how that is read and compared. */
#include "publication.h"

#include <string.h>

#include "tap.h"

/* The longest there is: six rows in the catalogue. */
#define ROW "4294967295 4294967295"
#define SIX ROW " " ROW " " ROW " " ROW " " ROW " " ROW

int
main(void)
{
	BridgePublication unknown = {""};
	BridgePublication known = {ROW};
	BridgePublication found;

	tap_ok(bridge_publication_parse(SIX, &found), "six rows are read");
	tap_is_text(found.rows, SIX, "and kept");
	tap_ok(bridge_publication_differs(&known, &found), "another one differs");
	tap_ok(bridge_publication_differs(&known, &unknown), "and none");
	tap_ok(!bridge_publication_differs(&known, &known), "the same one does not");
	tap_ok(!bridge_publication_differs(&unknown, &found), "nor one where none was known");
	tap_ok(!bridge_publication_parse(SIX " " SIX, &found), "more rows than there are");
	tap_ok(!bridge_publication_parse("1 2\"", &found), "what is no number");
	tap_ok(bridge_publication_parse("", &found) && found.rows[0] == '\0',
		   "no publication is none");
	return tap_done();
}
