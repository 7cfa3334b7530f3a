/* A few names, searched in a line. */
#include "common/format/metric_list.h"

#include "common/base/mem.h"
#include "common/json/json.h"

#include <math.h>
#include <string.h>

bool ps_metric_name_ok(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return n > 0 && n < PS_METRIC_NAME && name[n] == 0 &&
           !protobuf_c_message_descriptor_get_field_by_name(&psd__v1__progress__descriptor, name);
}

size_t ps_metric_list_place(ps_metric_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (!strcmp(list->at[i].name, name))
            return i;
    if (list->count == PS_METRICS_MAX || !ps_metric_name_ok(name))
        return PS_METRICS_MAX;
    ps_metric *metric = &list->at[list->count];
    memset(metric, 0, sizeof *metric);
    memcpy(metric->name, name, strlen(name));
    return list->count++;
}

void ps_metric_list_add(ps_metric_list *list, const char *name, double value)
{
    size_t at = ps_metric_list_place(list, name);
    if (at < PS_METRICS_MAX)
        list->at[at].value += value;
}

void ps_metric_list_add_messages(ps_metric_list *list, Psd__V1__Metric *const *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ps_metric_list_add(list, from[i]->name, from[i]->value);
}

void ps_metric_list_divide(ps_metric_list *list, double by)
{
    for (size_t i = 0; i < list->count; i++)
        list->at[i].value /= by;
}

size_t ps_metric_list_view(const ps_metric_list *list, ps_metric_view *view)
{
    for (size_t i = 0; i < list->count; i++) {
        view->list[i] = &view->messages[i];
        psd__v1__metric__init(view->list[i]);
        view->list[i]->name = (char *)(uintptr_t)list->at[i].name; /* only read */
        view->list[i]->value = list->at[i].value;
    }
    return list->count;
}

Psd__V1__Metric **ps_metric_list_messages(const ps_metric_list *list)
{
    if (!list->count)
        return NULL;
    Psd__V1__Metric **out = ps_alloc_array(list->count, sizeof(Psd__V1__Metric *));
    for (size_t i = 0; i < list->count; i++) {
        out[i] = ps_new(Psd__V1__Metric);
        psd__v1__metric__init(out[i]);
        out[i]->name = ps_strdup(list->at[i].name);
        out[i]->value = list->at[i].value;
    }
    return out;
}

void ps_metric_list_format(const ps_metric_list *list, ps_buf *out)
{
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_object(&w);
    for (size_t i = 0; i < list->count; i++)
        ps_json_put_double(&w, list->at[i].name, list->at[i].value);
    ps_json_object_end(&w);
}

static ps_status parse_rest(ps_json_reader *in, ps_metric_list *list)
{
    ps_json_token token;
    ps_status st = PS_OK;
    while (ps_json_member(in, &token, &st)) {
        const char *name = (const char *)token.text.data;
        size_t before = list->count;
        ps_metric_list_add(list, name, 0);
        if (list->count == before || token.text.len != strlen(name))
            return ps_fail(PS_CORRUPT, "metrics: a name that cannot be one, twice, or too many");
        st = ps_json_next(in, &token);
        if (st)
            return st;
        if (token.kind != PS_JSON_NUMBER && token.kind != PS_JSON_NULL)
            return ps_fail(PS_CORRUPT, "metrics: %s is no number", list->at[before].name);
        list->at[before].value = token.kind == PS_JSON_NUMBER ? token.number : (double)NAN;
    }
    return st;
}

ps_status ps_metric_list_parse(ps_slice json, ps_metric_list *out)
{
    ps_metric_list list = {0};
    ps_json_token token;
    ps_json_reader in;
    ps_json_reader_init(&in, json);
    ps_status st = ps_json_expect(&in, PS_JSON_OBJECT, &token);
    if (!st)
        st = parse_rest(&in, &list);
    if (!st)
        st = ps_json_expect(&in, PS_JSON_END, &token);
    ps_json_reader_free(&in);
    if (!st)
        *out = list;
    return st;
}
