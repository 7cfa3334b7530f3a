/* model: one stored model, with its tensors; or what it computes, as a graph. */
#include "client/call/client.h"
#include "client/call/measured_fetch.h"
#include "client/call/model_cuts.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/report/graph_svg.h"
#include "client/report/graph_view.h"
#include "client/report/model_graph.h"
#include "client/report/report.h"
#include "client/show/lineage_view.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/new_file.h"

#include <string.h>

typedef struct options {
    const char *graph, *colour, *path, *job;
    uint64_t depth, column_blocks;
    bool force, lineage;
} options;

typedef struct drawing {
    const Psd__V1__Model *model;
    const ps_graph *graph;
    const ps_fold *fold;
    const ps_quantity *quantity;
    const ps_measured *measured; /* NULL: it is the model's own quantity */
    const ps_style *style;
} drawing;

static ps_status draw_text(ps_buf *out, const drawing *d)
{
    ps_graph_text(out, d->style, d->model->name, d->fold, d->quantity);
    return PS_OK;
}

static ps_status draw_dot(ps_buf *out, const drawing *d)
{
    ps_graph_dot(out, d->model->name, d->fold, d->quantity);
    return PS_OK;
}

static ps_status draw_svg(ps_buf *out, const drawing *d)
{
    ps_graph_svg(out, d->model->name, d->fold, d->quantity, d->measured, true);
    return PS_OK;
}

static ps_status draw_html(ps_buf *out, const drawing *d)
{
    char *command = ps_asprintf("psctl model %s --graph html", d->model->name);
    ps_report report = {.title = d->model->name,
                        .command = command,
                        .model = d->model,
                        .graph = d->graph,
                        .fold = d->fold,
                        .quantity = d->quantity,
                        .measured = d->measured,
                        .now_ms = ps_clock_wall_ms(&ps_clock_system),
                        .room = ps_room_of(PS_ROOM_DEFAULT)};
    ps_status st = ps_report_html(&report, out);
    ps_room_clear(&report.room);
    ps_free(&command);
    return st;
}

static ps_status draw_json(ps_buf *out, const drawing *d)
{
    ps_json_writer w = ps_json_writer_to(out);
    ps_graph_json(&w, d->model->name, d->graph);
    ps_buf_putc(out, '\n');
    return PS_OK;
}

static const struct {
    const char *name;
    ps_status (*draw)(ps_buf *out, const drawing *drawing);
} kinds[] = {{"text", draw_text},
             {"svg", draw_svg},
             {"dot", draw_dot},
             {"json", draw_json},
             {"html", draw_html}};
static const char *const kind_words[] = {"text", "svg", "dot", "json", "html", NULL};

/* What the graph knows by itself, and what a job measures. */
static const char *const colour_words[] = {
    "bytes",    "flops",  "bits",    "parameters",  "loss_change", "change", "error",
    "ablation", "blocks", "shapley", "stable_rank", "alpha",       "norm",   NULL};

static const ps_flag flags[] = {
    {.name = "lineage",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, lineage),
     .help = "show where it comes from; with --to, the record that psctl export --sign writes"},
    {.name = "graph",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, graph),
     .value = "AS",
     .words = kind_words,
     .help = "draw what it computes"},
    {.name = "depth",
     .type = PS_FLAG_NUMBER,
     .offset = offsetof(options, depth),
     .value = "N",
     .help = "1 blocks, 2 their halves, 3 operations (default), 4 those of every block"},
    {.name = "colour",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, colour),
     .value = "QUANTITY",
     .words = colour_words,
     .help = "by what the graph is coloured (default: bytes)"},
    {.name = "job",
     .letter = 'j',
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, job),
     .value = "JOB",
     .help = "that has measured it: of svg and html"},
    {.name = "column-blocks",
     .type = PS_FLAG_NUMBER,
     .offset = offsetof(options, column_blocks),
     .value = "K",
     .help = "cut matrices into so many (default: as the job that trained it did)"},
    {.name = "to",
     .letter = 'o',
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, path),
     .value = "PATH",
     .help = "where to (default: standard output)"},
    {.name = "force",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, force),
     .help = "overwrite a file that is there"},
    {.name = NULL},
};

static ps_status check(ps_client *client, const options *o)
{
    if (!o->graph && (o->colour || o->depth || o->column_blocks || (o->path && !o->lineage)))
        return ps_client_usage(client,
                               "--depth, --colour, --column-blocks and --to are for --graph alone");
    if (o->graph && o->lineage)
        return ps_client_usage(client, "--graph or --lineage, not both");
    if (o->job && (!o->graph || (strcmp(o->graph, "svg") != 0 && strcmp(o->graph, "html") != 0)))
        return ps_client_usage(client, "--job is for --graph svg and html");
    if (o->job && o->colour && ps_quantity_find(o->colour))
        return ps_client_usage(client, "--colour %s is the model's own; --job has nothing of it",
                               o->colour);
    if (!o->job && o->colour && !ps_quantity_find(o->colour))
        return ps_client_usage(
            client, "--colour %s is what a job has measured; say which, with --job", o->colour);
    if (o->depth > PS_FOLD_ALL)
        return ps_client_usage(client, "--depth is 1 to %d", PS_FOLD_ALL);
    if (o->column_blocks > PS_GRAPH_CUTS_MAX)
        return ps_client_usage(client, "--column-blocks is 1 to %d", PS_GRAPH_CUTS_MAX);
    return PS_OK;
}

static ps_status draw(ps_client *client, const options *o, const drawing *d)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_status st = PS_OK;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].name, o->graph))
            st = kinds[i].draw(&text, d);
    if (!st && o->path && strcmp(o->path, "-") != 0)
        st = ps_new_file_save(o->path, ps_buf_slice(&text),
                              &(ps_new_file_options){.force = o->force});
    else if (!st)
        ps_buf_append(&client->out, text.data, text.len);
    ps_buf_free(&text);
    return st;
}

static ps_status show_graph(ps_client *client, const options *o, const Psd__V1__Model *model)
{
    ps_graph_cuts cuts = {.column_blocks = (uint32_t)o->column_blocks};
    ps_graph *graph = NULL;
    ps_status st = o->column_blocks ? PS_OK : ps_model_cuts(client, model, &cuts);
    if (!st)
        st = ps_model_graph(model, cuts, &graph);
    if (st)
        return st;
    ps_fold *fold = ps_fold_of(graph, o->depth ? (ps_fold_depth)o->depth : PS_FOLD_OPS);
    ps_measured *measured = NULL;
    if (o->job)
        st = ps_measured_fetch(client, o->job, graph, model, o->colour, &measured);
    const ps_style file = {.utf8 = true};
    const drawing d = {.model = model,
                       .graph = graph,
                       .fold = fold,
                       .quantity =
                           o->colour && !o->job ? ps_quantity_find(o->colour) : ps_quantities[0],
                       .measured = measured,
                       .style = o->path ? &file : &client->style};
    if (!st)
        st = draw(client, o, &d);
    ps_measured_free(&measured);
    ps_fold_free(&fold);
    ps_graph_free(&graph);
    return st;
}

static ps_status show_lineage(ps_client *client, const options *o, const Psd__V1__Model *model)
{
    if (!*model->lineage)
        return ps_fail(PS_NOT_FOUND,
                       "model %s: psd does not know where it comes from: it is of a psd that kept "
                       "no lineage",
                       model->name);
    if (o->path)
        return ps_new_file_save(o->path, ps_slice_str(model->lineage),
                                &(ps_new_file_options){.force = o->force});
    if (!client->json)
        return ps_lineage_text(&client->out, &client->style, model->lineage);
    ps_json_writer w = ps_json_begin(client);
    ps_json_embed(&w, model->lineage);
    ps_json_finish(client);
    return PS_OK;
}

static ps_status run(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    ps_status st = check(client, o);
    if (st)
        return st;
    Psd__V1__GetModelRequest request = PSD__V1__GET_MODEL_REQUEST__INIT;
    request.name = ps_borrow(args->operands.at[0]);
    request.lineage = o->lineage;
    ProtobufCMessage *reply = NULL;
    st = ps_client_unary(client, "/psd.v1.Models/Get", &request.base, &psd__v1__model__descriptor,
                         &reply);
    if (st)
        return st;
    const Psd__V1__Model *model = (const Psd__V1__Model *)(void *)reply;
    if (o->graph)
        st = show_graph(client, o, model);
    else if (o->lineage)
        st = show_lineage(client, o, model);
    else
        ps_show_model(client, model);
    ps_reply_free(&reply);
    return st;
}

const ps_command ps_command_model = {
    .name = "model",
    .operands = "NAME",
    .help = "show one model and its tensors, or draw it",
    .details =
        "The graph is drawn from the model's configuration and tensors: no worker is\n"
        "needed. FLOPs are those of a row, or of the last token of a full context.\n"
        "With --job it is coloured by what that job has measured of each tensor: one that\n"
        "explains norm, stable_rank, alpha, change, loss_change, ablation (of heads), blocks\n"
        "(what column blocks add), shapley (what parts are worth together); a training with\n"
        "record.loss_changes loss_change; a compression error.\n",
    .flags = flags,
    .options_size = sizeof(options),
    .least = 1,
    .most = 1,
    .run = run,
};
