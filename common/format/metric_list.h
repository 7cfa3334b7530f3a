/* metric_list: the named numbers that go beside a loss ("accuracy"), by value, so that what holds
 * them can be copied; to and from the message Metric and JSON. A list without a name says that
 * there is no such number. Lists are a peer's: what is too much or misnamed is left out. */
#ifndef PS_FORMAT_METRIC_LIST_H
#define PS_FORMAT_METRIC_LIST_H

#include "common/base/buf.h"
#include "common/base/slice.h"
#include "common/base/status.h"
#include "psd/v1/jobs.pb-c.h"

enum { PS_METRICS_MAX = 8, PS_METRIC_NAME = 32 }; /* with its zero */

typedef struct ps_metric {
    char name[PS_METRIC_NAME];
    double value;
} ps_metric;

typedef struct ps_metric_list {
    size_t count;
    ps_metric at[PS_METRICS_MAX];
} ps_metric_list;

/* As Metric in jobs.proto says. */
bool ps_metric_name_ok(const char *name);

/* Where the number of that name is; it is added, as 0, where it is not. PS_METRICS_MAX: there is no
 * room for it, or the name is none. */
size_t ps_metric_list_place(ps_metric_list *list, const char *name);
/* Adds value to the number of that name. */
void ps_metric_list_add(ps_metric_list *list, const char *name, double value);
void ps_metric_list_add_messages(ps_metric_list *list, Psd__V1__Metric *const *from, size_t n);
void ps_metric_list_divide(ps_metric_list *list, double by);

/* The list as messages, which live in the view and borrow the list. */
typedef struct ps_metric_view {
    Psd__V1__Metric messages[PS_METRICS_MAX];
    Psd__V1__Metric *list[PS_METRICS_MAX];
} ps_metric_view;
size_t ps_metric_list_view(const ps_metric_list *list, ps_metric_view *view);
/* Owned by the caller, as an unpacked message's. */
Psd__V1__Metric **ps_metric_list_messages(const ps_metric_list *list);

/* {"accuracy":0.9}; a number that JSON cannot say is null, and NaN when it is read.
 * PS_CORRUPT: it is not such an object, or holds what a list cannot. */
void ps_metric_list_format(const ps_metric_list *list, ps_buf *out);
PS_MUST_CHECK ps_status ps_metric_list_parse(ps_slice json, ps_metric_list *out);

#endif
