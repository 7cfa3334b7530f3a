/* event_json: what a watched job's stream brings, as JSON: one line for each thing in an event, as
 * psctl(1) has them under --output json. Pure. */
#ifndef PS_FOLLOW_EVENT_JSON_H
#define PS_FOLLOW_EVENT_JSON_H

#include "common/base/buf.h"
#include "psd/v1/jobs.pb-c.h"

void ps_follow_json(ps_buf *out, const Psd__V1__WatchEvent *event);

#endif
