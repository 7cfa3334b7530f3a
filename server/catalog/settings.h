/* settings: what an operator has set and a restart must not undo, by name. See catalog.h for
 * threads and durability. */
#ifndef PS_CATALOG_SETTINGS_H
#define PS_CATALOG_SETTINGS_H

#include "server/catalog/catalog.h"

#define PS_SETTING_DRAINING "draining" /* "on", or not there */

/* Sets it, or replaces what it was; value NULL: it is not there any more. */
PS_MUST_CHECK ps_status ps_catalog_setting_put(ps_catalog *catalog, const char *name,
                                               const char *value);
/* The value, the caller's to free; NULL when it is not there. */
PS_MUST_CHECK ps_status ps_catalog_setting_get(ps_catalog *catalog, const char *name, char **out);

#endif
