/* explain: why a stored model answers as it does: rows of a file, or a prompt, become a job of kind
 * explain, and what it finds is shown. */
#include "client/call/explanation.h"
#include "client/call/prompt.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/follow/run_job.h"
#include "client/follow/say.h"
#include "common/base/mem.h"
#include "common/conf/explain_rows.h"

#include <inttypes.h>
#include <string.h>

enum { ROWS_SHOWN = 8 };

typedef struct options {
    ps_run_job_options how;
    const char *method, *rows, *sample, *target, *score, *baseline, *prompt, *seed, *tokenizer;
    ps_prompt_how as;
    bool show;
} options;

static const ps_flag flags[] = {
    PS_INFER_FLAGS,
    {.name = "method",
     .letter = 'm',
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, method),
     .value = "METHOD,…",
     .help = "of the section explain of a job file, by name or as '{method: tuned_lens, model: "
             "LENS}' (default: integrated_gradients)"},
    {.name = "rows",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, rows),
     .value = "BEGIN:END",
     .help = "of the file, from 0; :16 are the first 16 (default: a sample)"},
    {.name = "sample",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, sample),
     .value = "N",
     .help = "so many rows, drawn by the seed (default: 64)"},
    {.name = "target",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, target),
     .value = "predicted|label|N|N-M",
     .help = "which output, or which less which (default: predicted)"},
    {.name = "score",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, score),
     .value = "logit|log_probability|probability|loss",
     .help = "what of it (default: logit)"},
    {.name = "baseline",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, baseline),
     .value = "zero|mean|MAPPING",
     .help = "against what: '{value: 0.5}', '{token: 3}', '{row: 7}' (default: mean of language "
             "models, zero of others)"},
    {.name = "prompt",
     .letter = 'p',
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, prompt),
     .value = "TEXT|@FILE",
     .help = "language models: a text in place of a file of tokens"},
    {.name = "tokenizer",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, tokenizer),
     .value = "bytes|PATH",
     .help = "instead of the model's, for --prompt"},
    PS_PROMPT_FLAGS(options, as),
    {.name = "seed",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, seed),
     .value = "S",
     .help = "of the sample and of all that is drawn (default: 1)"},
    {.name = "show",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, show),
     .help = "what is in the rows may be kept beside what explains them"},
    {.name = NULL}};

/* ---- the section explain ---- */

static ps_status put_rows(ps_client *client, const options *o, ps_buf *spec)
{
    uint64_t begin = 0, end = 0;
    int used = 0;
    const char *rows = o->rows;
    if (o->rows && o->sample)
        return ps_client_usage(client, "--rows is a range, and --sample draws; give one of them");
    ps_buf_printf(spec, "  rows: {show: %s", o->show ? "true" : "usual");
    if (o->sample)
        ps_buf_printf(spec, ", sample: %s", o->sample);
    if (rows && *rows == ':' && sscanf(rows, ":%" SCNu64 "%n", &end, &used) == 1 && !rows[used])
        begin = 0;
    else if (rows &&
             (sscanf(rows, "%" SCNu64 ":%" SCNu64 "%n", &begin, &end, &used) != 2 || rows[used]))
        return ps_client_usage(client, "--rows %s: BEGIN:END, or :END", rows);
    if (rows && end <= begin)
        return ps_client_usage(client, "--rows %s: there is no row between", rows);
    if (rows)
        ps_buf_printf(spec, ", first: %" PRIu64 ", count: %" PRIu64, begin, end - begin);
    ps_buf_puts(spec, "}\n");
    return PS_OK;
}

static ps_status put_target(ps_client *client, const char *target, ps_buf *spec)
{
    size_t digits = strspn(target, "0123456789");
    if (!strcmp(target, "predicted") || !strcmp(target, "label"))
        ps_buf_printf(spec, "  target: %s\n", target);
    else if (digits && !target[digits])
        ps_buf_printf(spec, "  target: {class: %s}\n", target);
    else if (digits && target[digits] == '-' && target[digits + 1] &&
             !target[digits + 1 + strspn(target + digits + 1, "0123456789")])
        ps_buf_printf(spec, "  target: {difference: [%.*s, %s]}\n", (int)digits, target,
                      target + digits + 1);
    else
        return ps_client_usage(client,
                               "--target %s: predicted, label, the number of an output, or two of "
                               "them, 3-5",
                               target);
    return PS_OK;
}

/* Of a mapping, up to the brace that ends it: the comma behind it, or the end. */
static size_t method_length(const char *at)
{
    size_t n = 0, depth = 0;
    for (; at[n] && (depth || at[n] != ','); n++) {
        depth += at[n] == '{' || at[n] == '[';
        depth -= depth && (at[n] == '}' || at[n] == ']');
    }
    return n;
}

/* What is before the next comma; "ig", a word that people know it by, is its name. */
static ps_slice next_method(const char **at)
{
    static const struct {
        const char *shorter, *name;
    } known[] = {{"ig", "integrated_gradients"}, {"gxi", "gradient_x_input"}};
    ps_slice method = ps_slice_of(*at, method_length(*at));
    *at += method.len + ((*at)[method.len] == ',');
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (ps_slice_is(method, known[i].shorter))
            return ps_slice_str(known[i].name);
    return method;
}

/* Of a mapping, what its key "method" says. */
static ps_slice name_of(ps_slice method)
{
    static const char key[] = "method:";
    const char *at = memmem(method.data, method.len, key, sizeof key - 1);
    if (!method.len || method.data[0] != '{' || !at)
        return method;
    at += sizeof key - 1;
    const char *end = (const char *)method.data + method.len;
    while (at < end && *at == ' ')
        at++;
    size_t n = 0;
    while (at + n < end && !strchr(" ,}", at[n]))
        n++;
    return ps_slice_of(at, n);
}

/* One that is not known stands among the attributions, where psd says what there is. */
static ps_explain_section section_of(ps_slice method)
{
    ps_slice name = name_of(method);
    for (size_t i = 0; ps_explain_row_at(i); i++)
        if (ps_slice_is(name, ps_explain_row_at(i)->name))
            return ps_explain_row_at(i)->section;
    return PS_EXPLAIN_SECTION_attributions;
}

static void put_methods(const char *methods, ps_buf *spec)
{
    for (ps_explain_section section = 0; section < PS_EXPLAIN_SECTION_COUNT; section++) {
        bool any = false;
        for (const char *at = methods; *at;) {
            ps_slice method = next_method(&at);
            if (section_of(method) != section)
                continue;
            if (any)
                ps_buf_puts(spec, ", ");
            else
                ps_buf_printf(spec, "  %s: [", ps_explain_section_names[section]);
            ps_buf_append(spec, method.data, method.len);
            any = true;
        }
        if (any)
            ps_buf_puts(spec, "]\n");
    }
}

static ps_status put_section(ps_client *client, const options *o, ps_buf *spec)
{
    ps_buf_puts(spec, "explain:\n");
    ps_status st = o->prompt ? PS_OK : put_rows(client, o, spec);
    if (!st && o->target)
        st = put_target(client, o->target, spec);
    if (o->score)
        ps_buf_printf(spec, "  score: %s\n", o->score);
    if (o->baseline)
        ps_buf_printf(spec, "  baseline: %s\n", o->baseline);
    if (o->seed)
        ps_buf_printf(spec, "  seed: %s\n", o->seed);
    put_methods(o->method ? o->method : "integrated_gradients", spec);
    return st;
}

/* ---- a prompt ---- */

static ps_status encode(ps_client *client, const options *o, const ps_speaker *speaker, ps_ids *ids)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_status st = ps_say_text(client, "--prompt", o->prompt, &text);
    if (!st)
        st = ps_prompt_encode(speaker, ps_buf_slice(&text), &o->as, ids);
    ps_buf_free(&text);
    return st;
}

static ps_status put_prompt(ps_client *client, const char *name, const options *o, ps_buf *spec)
{
    ps_speaker speaker = {0};
    ps_ids ids = PS_IDS_EMPTY;
    ps_status st = ps_check_model_name(name);
    if (!st)
        st = ps_speaker_open(client, name, o->tokenizer, &speaker);
    if (!st)
        st = encode(client, o, &speaker, &ids);
    if (!st) {
        ps_buf_printf(spec,
                      "kind: explain\nname: explain-%.50s\nmodel_name: %s\nmodel_version: '%s'\n",
                      name, name, speaker.version);
        st = put_section(client, o, spec);
    }
    ps_buf_puts(spec, "  prompts: [[");
    for (size_t i = 0; i < ids.n; i++)
        ps_buf_printf(spec, "%s%" PRIu32, i ? "," : "", ids.at[i]);
    ps_buf_puts(spec, "]]\n");
    ps_ids_free(&ids);
    ps_speaker_free(&speaker);
    return st;
}

/* ---- the job ---- */

static ps_status make_spec(ps_client *client, const ps_texts *names, const options *o, ps_buf *spec)
{
    const char *labels = names->n > 2 ? names->at[2] : NULL;
    if (o->prompt && names->n > 1)
        return ps_client_usage(client, "--prompt stands in place of a file; give one of them");
    if (o->prompt)
        return put_prompt(client, names->at[0], o, spec);
    if (names->n < 2)
        return ps_client_usage(client, "which rows? give a file, or --prompt to a language model");
    ps_status st =
        ps_run_job_spec(client, &o->how, "explain", names->at[0], names->at[1], labels, spec, NULL);
    return st ? st : put_section(client, o, spec);
}

static ps_status run(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    ps_buf spec = PS_BUF_EMPTY;
    Psd__V1__Job *job = NULL;
    ps_status st = make_spec(client, &args->operands, o, &spec);
    if (!st)
        st = ps_run_job(client, ps_buf_cstr(&spec), &job);
    ps_buf_free(&spec);
    if (!st)
        st = ps_explanation_show(client, job->id, NULL, ROWS_SHOWN);
    if (job)
        ps_reply_free(&job);
    return st;
}

const ps_command ps_command_explain = {
    .name = "explain",
    .operands = "MODEL [FEATURES [LABELS]]",
    .help = "why a stored model answers as it does, on rows of data or a prompt",
    .details = "For each row what the model says of it, and which features or tokens made it say\n"
               "so, most first. Values are parts of the score, with its sign: of integrated\n"
               "gradients they add up to what the row changes it by against the baseline, but for\n"
               "the residual. psctl report shows it again, psctl fetch brings the arrays.\n"
               "Files are read as psctl evaluate reads them, on the workers.\n",
    .flags = flags,
    .options_size = sizeof(options),
    .least = 1,
    .most = 3,
    .run = run,
};
