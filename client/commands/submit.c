/* submit: the job file is checked here first, so that a fault is named with the file's own name and
 * line; psd checks it again. */
#include "client/call/client.h"
#include "client/call/job_plan.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/follow/follow.h"
#include "client/show/human.h"
#include "client/show/plan_view.h"
#include "common/base/mem.h"
#include "common/conf/conf.h"
#include "common/conf/edit.h"
#include "common/conf/job_spec.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

typedef struct options {
    bool follow, dry_run;
    ps_texts set;
} options;

static const ps_flag flags[] = {
    {.name = "follow",
     .letter = 'f',
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, follow),
     .help = "watch it to its end; exit status 1 when it fails"},
    {.name = "dry-run",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, dry_run),
     .help = "submit nothing: say what is wrong, and what a job would do to its model"},
    {.name = "set",
     .type = PS_FLAG_TEXTS,
     .offset = offsetof(options, set),
     .value = "KEY=VALUE",
     .help = "in place of what the file says: train.epochs=3 (again and again)"},
    {.name = NULL},
};

/* What --dry-run found. */
typedef struct drawn {
    ps_job_spec *spec;
    ps_plan *plan;   /* NULL: of a kind that has none */
    uint64_t memory; /* bytes that a worker needs; 0: not known */
} drawn;

/* The text against the rules and the stored model; drawn NULL: it is to be submitted. */
static ps_status check(ps_client *client, const char *name, const ps_buf *text, drawn *out)
{
    if (out)
        return ps_job_file_plan(client, ps_buf_slice(text), name, &out->spec, &out->plan,
                                &out->memory);
    return ps_job_file_check(client, ps_buf_slice(text), name);
}

/* The last of --set that a fault at this path, len bytes, is of: one of its key, of what is below
 * it, or of a section on the way to it. NULL: none. */
static const char *set_of(const ps_texts *set, const char *path, size_t len)
{
    for (size_t i = set->n; i-- > 0;) {
        size_t n = strcspn(set->at[i], "="), same = n < len ? n : len;
        bool ends =
            n == len || (n > len ? set->at[i][len] : path[n]) == '.' || (n < len && path[n] == '[');
        if (same && ends && !strncmp(set->at[i], path, same))
            return set->at[i];
    }
    return NULL;
}

/* "job:7: train.epochs: TEXT" of a document called `name`. */
static void put_fault(const char *fault, size_t len, const char *file, const ps_texts *set,
                      ps_buf *out)
{
    size_t digits = strspn(fault, "0123456789");
    if (!set->n) {
        ps_buf_printf(out, "%s:%.*s", file, (int)len, fault);
        return;
    }
    const char *path = fault + digits + 2, *end = fault + len;
    bool pathed = digits && digits + 2 < len && !strncmp(fault + digits, ": ", 2);
    size_t n = pathed ? strcspn(path, ": ") : 0;
    const char *of = n && path + n < end ? set_of(set, path, n) : NULL;
    if (!of) /* lines are of a document that nobody has seen */
        ps_buf_printf(out, "%s with --set%.*s", file, (int)(len - digits), fault + digits);
    else if (!strncmp(of, path, n) && of[n] == '=')
        ps_buf_printf(out, "--set %s%.*s", of, (int)(end - path - (ptrdiff_t)n), path + n);
    else
        ps_buf_printf(out, "--set %s: %.*s", of, (int)(end - path), path);
}

/* Of a failure with lines of a document called `name`: where people find it, which is the file, or
 * the word of --set. */
static ps_status say_where(ps_status st, const char *name, const char *file, const ps_texts *set)
{
    ps_buf text = PS_BUF_EMPTY;
    size_t len = strlen(name);
    for (const char *line = ps_error_message(); *line;) {
        size_t end = strcspn(line, "\n");
        ps_buf_puts(&text, text.len ? "\n" : "");
        if (!strncmp(line, name, len) && line[len] == ':')
            put_fault(line + len + 1, end - len - 1, file, set, &text);
        else
            ps_buf_append(&text, line, end);
        line += end + (line[end] != '\0');
    }
    st = ps_fail(st, "%s", ps_buf_cstr(&text));
    ps_buf_free(&text);
    return st;
}

static ps_status check_edited(ps_client *client, const char *file, const ps_texts *set,
                              ps_buf *text, drawn *out)
{
    static const char edited[] = "edited";
    ps_buf given = *text;
    *text = (ps_buf)PS_BUF_EMPTY;
    ps_status st = ps_conf_edit(ps_buf_slice(&given), file, set->at, set->n, text);
    ps_buf_free(&given);
    if (st)
        return st;
    st = check(client, edited, text, out);
    return st ? say_where(st, edited, file, set) : PS_OK;
}

static const char *file_of(const char *path)
{
    return strcmp(path, "-") ? path : "stdin";
}

static ps_status read_job(ps_client *client, const char *path, const ps_texts *set, ps_buf *text,
                          drawn *out)
{
    const char *file = file_of(path);
    ps_status st = ps_read_small_file(path, PS_CONF_MAX_BYTES, text);
    if (st)
        return st;
    return set->n ? check_edited(client, file, set, text, out) : check(client, file, text, out);
}

static void report(ps_client *client, uint64_t id, bool follow)
{
    if (client->json) {
        ps_json_writer w = ps_json_begin(client);
        ps_json_object(&w);
        if (follow)
            ps_json_put_string(&w, "event", "submitted");
        ps_json_put_uint(&w, "job_id", id);
        ps_json_object_end(&w);
        ps_json_finish(client);
    } else if (follow) {
        ps_buf_printf(&client->out, "job %" PRIu64 " is submitted\n", id);
    } else {
        ps_buf_printf(&client->out,
                      "job %" PRIu64 " is submitted; 'psctl watch %" PRIu64 "' follows it\n", id,
                      id);
    }
}

static void put_checkpoints(ps_json_writer *w, const ps_spec_explain *explain)
{
    ps_json_key(w, "checkpoints");
    ps_json_array(w); /* of each entry of explain.influence */
    for (size_t i = 0; i < explain->n_influence; i++)
        ps_json_uint(w, explain->influence[i].n_checkpoints);
    ps_json_array_end(w);
}

/* Entries that go through several models. */
static void show_checkpoints(ps_client *client, const ps_spec_explain *explain)
{
    for (size_t i = 0; i < explain->n_influence; i++) {
        const ps_spec_explain_method *m = &explain->influence[i];
        uint64_t between = ps_spec_explain_between(m);
        if (!m->n_checkpoints)
            continue;
        ps_buf_printf(&client->out,
                      "%s opens %zu models one after another in that memory: %zu times the time "
                      "of one",
                      m->method, m->n_checkpoints, m->n_checkpoints);
        if (between)
            ps_buf_printf(&client->out, ", and %s between its passes",
                          ps_human_bytes((double)between).text);
        ps_buf_putc(&client->out, '\n');
    }
}

static void show_drawn(ps_client *client, const drawn *d)
{
    if (client->json) {
        ps_json_writer w = ps_json_begin(client);
        ps_json_object(&w);
        ps_json_put_string(&w, "kind", ps_job_spec_kind(d->spec)->name);
        if (d->memory)
            ps_json_put_uint(&w, "worker_bytes", d->memory);
        if (d->spec->explain)
            put_checkpoints(&w, d->spec->explain);
        if (d->plan) {
            ps_json_key(&w, "plan");
            ps_plan_json(&w, d->spec, d->plan);
        }
        ps_json_object_end(&w);
        ps_json_finish(client);
    } else if (d->plan) {
        ps_plan_text(&client->out, &client->style, d->spec, d->plan);
    } else if (d->memory && d->spec->explain) {
        ps_buf_printf(
            &client->out,
            "nothing is wrong with it; a worker needs about %s for it, less with a smaller "
            "explain.batch\n",
            ps_human_bytes((double)d->memory).text);
        show_checkpoints(client, d->spec->explain);
    } else if (d->memory) {
        ps_buf_printf(
            &client->out,
            "nothing is wrong with it; a worker needs about %s for it, %s a token of its "
            "data%s; data.activations.rows takes fewer\n",
            ps_human_bytes((double)d->memory).text,
            ps_human_bytes((double)ps_spec_model_inputs(d->spec->model) * sizeof(float)).text,
            d->spec->data.activations->rows ? " included" : " come to that");
    } else {
        ps_buf_printf(&client->out, "nothing is wrong with it; a job of kind %s has no plan\n",
                      ps_job_spec_kind(d->spec)->name);
    }
}

static ps_status dry_run(ps_client *client, const char *path, const ps_texts *set)
{
    drawn d = {NULL};
    ps_buf text = PS_BUF_EMPTY;
    ps_status st = read_job(client, path, set, &text, &d);
    if (!st)
        show_drawn(client, &d);
    ps_plan_free(&d.plan);
    if (d.spec)
        ps_job_spec_free(&d.spec);
    ps_buf_free(&text);
    return st;
}

static ps_status run(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    ps_buf text = PS_BUF_EMPTY;
    uint64_t id = 0;
    if (o->dry_run)
        return dry_run(client, args->operands.at[0], &o->set);
    ps_status st = read_job(client, args->operands.at[0], &o->set, &text, NULL);
    if (!st) {
        st = ps_submit_spec(client, ps_buf_cstr(&text), &id);
        st = st ? say_where(st, "job", file_of(args->operands.at[0]), &o->set) : PS_OK;
    }
    ps_buf_free(&text);
    if (st)
        return st;
    report(client, id, o->follow);
    if (!o->follow)
        return PS_OK;
    st = ps_output_flush(&client->out, STDOUT_FILENO);
    return st ? st : ps_follow_to_end(client, id, true);
}

const ps_command ps_command_submit = {
    .name = "submit",
    .operands = "FILE",
    .help = "submit a job file (- reads standard input)",
    .details = "The file is YAML; psctl-job(5) documents its keys. Paths in it are those of the\n"
               "workers. Ctrl-C while following leaves the job running.\n",
    .flags = flags,
    .options_size = sizeof(options),
    .least = 1,
    .most = 1,
    .run = run,
};
