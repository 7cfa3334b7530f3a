/* export_way: how an export is written: plain, or encrypted for people, as age files of those whom
 * --recipient names and of those whom psd adds (sealing.export_recipients, the operator's). One
 * thread (not asserted: psctl has no other). */
#ifndef PS_CALL_EXPORT_WAY_H
#define PS_CALL_EXPORT_WAY_H

#include "client/call/client.h"
#include "common/age/age_disk.h"
#include "psd/v1/models.pb-c.h"

typedef struct ps_export_way {
    ps_age_recipients recipients; /* none: it is plain */
    ps_age_disk *age;
} ps_export_way;

/* Those of the command line. A usage failure: what is wrong with which. */
PS_MUST_CHECK ps_status ps_export_way_begin(ps_client *client, const ps_texts *given,
                                            ps_export_way *way);
/* And those of psd, as Models.Get has them for the model; then it is settled. A usage failure: psd
 * has some, and nobody is named who is to read this export. */
PS_MUST_CHECK ps_status ps_export_way_settle(ps_client *client, const Psd__V1__Model *model,
                                             ps_export_way *way);
void ps_export_way_clear(ps_export_way *way);

/* That files are written through; NULL: the system's. */
const ps_disk *ps_export_way_disk(const ps_export_way *way);
/* Of the names that are made for files: ".age" or "". */
const char *ps_export_way_ending(const ps_export_way *way);

#endif
