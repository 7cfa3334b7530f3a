/* values: what says something about parameters or data is sealed in the catalog, a value at a time.
 * SQL does it by two functions that every connection has, so that a row is read and written as if
 * it were plain:
 *
 *     ps_seal(VALUE, 'job.spec', ID)    what is stored
 *     ps_open(VALUE, 'job.spec', ID)    and what it was; one that was stored plain is as it is
 *
 * With a key (ps_catalog_seal) a stored value is text: a byte of 2, and in base64 a nonce,
 * AES-256-GCM of the value, and the tag. Its associated data are the catalog's, the column and the
 * row's key: a value of another row, column or catalog does not open, and that fails the statement
 * as damage does. Inside this folder only; with the catalog's mutex (not asserted: the
 * statements that call them do). */
#ifndef PS_CATALOG_VALUES_H
#define PS_CATALOG_VALUES_H

#include "server/catalog/db.h"

typedef struct ps_values ps_values;

/* Makes the functions of this connection; without a key they hand on what they are given,
 * but for a first byte which says that it is sealed: '?' is kept for it. */
PS_MUST_CHECK ps_status ps_values_create(sqlite3 *db, ps_values **out);
void ps_values_free(ps_values **values); /* when the connection is closed; NULL is nothing */
/* Sealed from now on; about: what the associated data begin with. */
void ps_values_set_key(ps_values *values, const ps_secret *key, const char *about);

/* The application_id of a catalog whose free pages may have values that were plain. */
#define PS_VALUES_LEFT "1886612582"

/* Every value of the tables that is plain, in one transaction; if there were some, its
 * application_id says from then on what is left to do. Takes the mutex. */
PS_MUST_CHECK ps_status ps_values_seal_plain(ps_catalog *catalog);

#endif
