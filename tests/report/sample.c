/* sample: prints a report of a model whose names are as hostile as they can be, for check.py and
 * walk.py. */
#include "client/report/report.h"
#include "common/base/mem.h"
#include "tests/lib/graph_sample.h"

#include <stdio.h>
#include <string.h>

#define HOSTILE "</script><img src=x onerror=alert(1)>\"'&<!--"

static char hostile[] = HOSTILE, version[] = "models/" HOSTILE "\xff\x01.safetensors",
            parent[] = HOSTILE;
static char config[] = SAMPLE_LLAMA, forms[] = HOSTILE, accuracy[] = "accuracy", empty[] = "";

static const char *form_of(const char *name)
{
    return strstr(name, ".1.mlp.") ? "q4_0" : NULL; /* a block of the three */
}

int main(int argc, char **argv)
{
    ps_graph *graph;
    const ps_graph_cuts cuts = {.column_blocks = 4};
    if (sample_graph(SAMPLE_LLAMA, argc > 1 ? NULL : form_of, cuts, NULL, &graph))
        return 1;
    Psd__V1__Metric metric = PSD__V1__METRIC__INIT;
    Psd__V1__Metric *metrics[] = {&metric};
    metric.name = accuracy;
    metric.value = 0.884;
    Psd__V1__Model model = PSD__V1__MODEL__INIT;
    model.name = hostile;
    model.config = config;
    model.version = version;
    model.parent = parent;
    model.owner = hostile;
    model.forms = forms;
    model.parent_version = empty;
    model.has_test = 1;
    model.n_test_metrics = 1;
    model.test_metrics = metrics;
    ps_fold *fold = ps_fold_of(graph, PS_FOLD_OPS);
    ps_report report = {.title = HOSTILE,
                        .command = "psctl model " HOSTILE,
                        .model = &model,
                        .graph = graph,
                        .fold = fold,
                        .quantity = ps_quantities[0],
                        .now_ms = 1700000000000,
                        .room = ps_room_of(argc > 1 ? 20000 : PS_ROOM_DEFAULT)};
    ps_buf out = PS_BUF_EMPTY;
    ps_report_html(&report, &out);
    fwrite(out.data, 1, out.len, stdout);
    ps_room_clear(&report.room);
    ps_buf_free(&out);
    ps_fold_free(&fold);
    ps_graph_free(&graph);
    return 0;
}
