/* What psd tells of a model, drawn in every way: the first line is its configuration, each other
 * one a tensor, "name form rows columns". Whatever it is, a page has two scripts and no more. */
#include "client/report/graph_svg.h"
#include "client/report/graph_view.h"
#include "client/report/model_graph.h"
#include "client/report/report.h"
#include "common/base/mem.h"
#include "common/base/require.h"

#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TENSORS = 64, NODES = 400 };

static size_t count(ps_buf *text, const char *what)
{
    size_t n = 0;
    for (const char *at = ps_buf_cstr(text); (at = strstr(at, what)); at++)
        n++;
    return n;
}

enum { SMALL_PAGE = 96 << 10 }; /* too small for most sections, or even for the card */

static void draw(Psd__V1__Model *model, const ps_graph *graph, ps_fold_depth depth)
{
    static const char command[] = "psctl";
    const ps_style style = {.utf8 = true, .width = 80, .color = true};
    ps_fold *fold = ps_fold_of(graph, depth);
    ps_buf out = PS_BUF_EMPTY;
    ps_graph_text(&out, &style, model->name, fold, ps_quantities[depth - 1]);
    ps_graph_dot(&out, model->name, fold, ps_quantities[depth - 1]);
    ps_graph_svg(&out, model->name, fold, ps_quantities[depth - 1], NULL, true);
    ps_buf_clear(&out);
    ps_report report = {.title = model->name,
                        .command = command,
                        .model = model,
                        .graph = graph,
                        .fold = fold,
                        .quantity = ps_quantities[depth - 1],
                        .room = ps_room_of(depth == PS_FOLD_ALL ? SMALL_PAGE : PS_ROOM_DEFAULT)};
    ps_status st = ps_report_html(&report, &out);
    PS_REQUIRE(st == PS_OK || (st == PS_OUT_OF_RANGE && depth == PS_FOLD_ALL && out.len == 0));
    PS_REQUIRE(st || (count(&out, "<script") == 2 && count(&out, "</script") == 2));
    PS_REQUIRE(count(&out, "<img") == 0);
    ps_room_clear(&report.room);
    ps_buf_free(&out);
    ps_fold_free(&fold);
}

/* A line of text becomes a tensor; its words are cut in place. */
static void read_tensor(char *line, Psd__V1__ModelTensor *out, uint64_t shape[2])
{
    char *rest = line;
    const char *rows, *columns;
    psd__v1__model_tensor__init(out);
    out->name = strsep(&rest, " ");
    out->form = rest ? strsep(&rest, " ") : out->name;
    rows = rest ? strsep(&rest, " ") : "";
    columns = rest ? strsep(&rest, " ") : "";
    shape[0] = strtoull(rows, NULL, 10);
    shape[1] = strtoull(columns, NULL, 10);
    out->shape = shape;
    out->n_shape = *columns ? 2 : 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Psd__V1__ModelTensor tensors[TENSORS];
    static uint64_t shapes[TENSORS][2];
    Psd__V1__ModelTensor *list[TENSORS];
    char *text = ps_alloc(size + 1), *rest = text;
    memcpy(text, data, size);
    char *name = ps_strdup(text);
    Psd__V1__Model model = PSD__V1__MODEL__INIT;
    model.name = model.version = model.parent = model.forms = model.owner = name;
    model.config = strsep(&rest, "\n");
    model.tensors = list;
    for (; rest && model.n_tensors < TENSORS; model.n_tensors++) {
        list[model.n_tensors] = &tensors[model.n_tensors];
        read_tensor(strsep(&rest, "\n"), list[model.n_tensors], shapes[model.n_tensors]);
    }
    ps_graph *graph = NULL;
    ps_status st =
        ps_model_graph(&model, (ps_graph_cuts){.column_blocks = 1 + (uint32_t)(size % 7)}, &graph);
    for (int depth = PS_FOLD_BLOCKS; !st && graph->n_nodes < NODES && depth <= PS_FOLD_ALL; depth++)
        draw(&model, graph, (ps_fold_depth)depth);
    ps_graph_free(&graph);
    ps_free(&name);
    ps_free(&text);
    return 0;
}
