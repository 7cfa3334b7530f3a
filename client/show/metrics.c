#include "client/show/metrics.h"

#include "client/show/human.h"
#include "common/format/metric_list.h"

#include <string.h>

const Psd__V1__Metric *ps_metrics_first(ps_metrics metrics)
{
    for (size_t i = 0; i < metrics.n; i++)
        if (ps_metric_name_ok(metrics.list[i]->name))
            return metrics.list[i];
    return NULL;
}

void ps_metrics_test_cell(ps_table *table, ps_metrics metrics, double loss)
{
    const Psd__V1__Metric *first = ps_metrics_first(metrics);
    if (first && !strcmp(first->name, "accuracy"))
        ps_table_text(table, ps_human_value(first->value).text);
    else if (first)
        ps_table_printf(table, "%s %s", first->name, ps_human_value(first->value).text);
    else
        ps_table_printf(table, "loss %s", ps_human_value(loss).text);
}

void ps_metrics_fields(ps_table *table, const char *prefix, ps_metrics metrics)
{
    for (size_t i = 0; i < metrics.n; i++) {
        char label[64];
        if (!ps_metric_name_ok(metrics.list[i]->name))
            continue;
        (void)snprintf(label, sizeof label, "%s%s", prefix, metrics.list[i]->name);
        ps_table_field(table, label, "%s", ps_human_value(metrics.list[i]->value).text);
    }
}

void ps_metrics_json(ps_json_writer *w, const char *prefix, ps_metrics metrics)
{
    for (size_t i = 0; i < metrics.n; i++) {
        char key[64];
        if (!ps_metric_name_ok(metrics.list[i]->name))
            continue;
        (void)snprintf(key, sizeof key, "%s%s", prefix, metrics.list[i]->name);
        ps_json_put_double(w, key, metrics.list[i]->value);
    }
}
