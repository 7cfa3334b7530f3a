/* audit_sources: of which events of an audit log there is a line, so that nobody fills the disk: a
 * token bucket a source (an address without its port), and what is done in parts once. With the
 * lock of its owner, audit.c (not asserted: it does not know the lock). */
#ifndef PS_GUARD_AUDIT_SOURCES_H
#define PS_GUARD_AUDIT_SOURCES_H

#include "server/guard/audit.h"

typedef struct ps_audit_sources ps_audit_sources;

ps_audit_sources *ps_audit_sources_new(const ps_clock *clock); /* borrowed */
void ps_audit_sources_free(ps_audit_sources **sources);

/* Takes a token of its source; false: there is none, so it is counted and not written. */
bool ps_audit_sources_take(ps_audit_sources *sources, const ps_audit_event *event);
/* Is it a part of what is on record? */
bool ps_audit_sources_knows(ps_audit_sources *sources, const ps_audit_event *event);
/* It is on record. */
void ps_audit_sources_remember(ps_audit_sources *sources, const ps_audit_event *event);

#endif
