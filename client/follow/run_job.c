/* Happy path: ask for the model, take over how its training job read its data, write a job file of
 * that and of the paths, submit, follow. A model that was imported, or whose job is no longer
 * known, is read by defaults. */
#include "client/follow/run_job.h"

#include "client/call/support.h"
#include "client/follow/follow.h"
#include "common/base/mem.h"
#include "common/conf/job_spec.h"
#include "psd/v1/models.pb-c.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

const char *const ps_run_job_formats[] = {"idx", "csv", "tokens", NULL};
const char *const ps_run_job_missing[] = {"error", "zero", "mean", NULL};

/* What there is to know of a model. */
typedef struct about {
    ps_job_spec *trained;   /* the job that trained it; NULL: there is none to learn from */
    ps_spec_model *section; /* NULL: of another version, which says nothing of use here */
    char *version;          /* of which all this is */
} about;

static void about_clear(about *a)
{
    if (a->trained)
        ps_job_spec_free(&a->trained);
    if (a->section)
        ps_spec_model_free(&a->section);
    ps_free(&a->version);
}

static ps_status look_up(ps_client *client, const char *model, about *out)
{
    Psd__V1__Model *record = NULL;
    ProtobufCMessage *reply = NULL;
    ps_status st = ps_get_model(client, model, NULL, &record);
    if (st)
        return st;
    Psd__V1__GetJobRequest get = PSD__V1__GET_JOB_REQUEST__INIT;
    get.job_id = record->job_id;
    if (ps_spec_model_parse(ps_slice_str(record->config), "model", &out->section) != PS_OK)
        out->section = NULL;
    out->version = ps_strdup(record->version);
    ps_reply_free(&record);
    if (!get.job_id || ps_client_unary(client, "/psd.v1.Jobs/Get", &get.base,
                                       &psd__v1__job__descriptor, &reply) != PS_OK)
        return PS_OK;
    const char *spec = ((Psd__V1__Job *)(void *)reply)->spec;
    if (ps_job_spec_parse(ps_slice_str(spec), "training job", &out->trained) != PS_OK)
        out->trained = NULL; /* written for another version: its ways are of no use here */
    ps_reply_free(&reply);
    return PS_OK;
}

static void put_text(ps_buf *out, const char *key, const char *value)
{
    ps_buf_printf(out, "%s: ", key);
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_string(&w, value);
}

/* The form of a double that reads back as the same one is JSON's. */
static void put_real(ps_buf *out, const char *key, double value)
{
    ps_buf_printf(out, "%s: ", key);
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_double(&w, value);
}

/* "x.csv", "X.CSV", "x.csv.gz" */
static bool has_extension(const char *path, const char *extension)
{
    const char *name = strrchr(path, '/'), *dot = strcasestr(name ? name : path, extension);
    size_t len = strlen(extension);
    return dot && (dot[len] == '\0' || dot[len] == '.');
}

static bool looks_like_csv(const char *path)
{
    return has_extension(path, ".csv") || has_extension(path, ".tsv") ||
           has_extension(path, ".txt");
}

static void put_label_column(ps_buf *out, const char *flag, const ps_spec_label_column *trained)
{
    if (flag && *flag == '{') { /* {name: last}, {index: 2} */
        ps_buf_printf(out, "label_column: %s", flag);
    } else if (flag || !trained || (!*trained->name && trained->index < 0)) {
        put_text(out, "label_column", flag ? flag : trained ? trained->any : "last");
    } else if (*trained->name) {
        put_text(out, "label_column: {name", trained->name);
        ps_buf_putc(out, '}');
    } else {
        ps_buf_printf(out, "label_column: {index: %" PRId64 "}", trained->index);
    }
}

/* What the model keeps of its inputs is psd's to apply; as is what it may keep. */
static bool keeps_missing(const about *a)
{
    return (a->section && a->section->input_missing) ||
           (a->trained && a->trained->data.csv.missing == PS_SPEC_MISSING_MEAN);
}

static bool keeps_normalise(const about *a)
{
    return (a->section && a->section->n_input_std) ||
           (a->trained && a->trained->data.normalise.from == PS_SPEC_NORMALISE_DATA);
}

static void put_csv(ps_buf *out, const ps_run_job_options *o, const char *path,
                    const ps_spec_csv *trained, bool keeps)
{
    const char *delimiter = o->delimiter                  ? o->delimiter
                            : has_extension(path, ".tsv") ? "tab"
                            : trained                     ? trained->delimiter
                                                          : ",";
    ps_buf_puts(out, "  csv: {");
    put_label_column(out, o->label_column, trained ? &trained->label_column : NULL);
    ps_buf_puts(out, ", ");
    put_text(out, "delimiter", delimiter);
    ps_buf_printf(out, ", header: %s",
                  o->header || (trained && trained->header) ? "true" : "false");
    if (trained)
        ps_buf_printf(out, ", targets: %" PRId64, trained->targets);
    if (o->missing || (trained && !keeps))
        ps_buf_printf(out, ", missing: %s",
                      o->missing ? o->missing : ps_spec_missing_name(trained->missing));
    ps_buf_puts(out, "}\n");
}

static void put_normalise(ps_buf *out, const ps_run_job_options *o,
                          const ps_spec_normalise *trained)
{
    if (o->normalise) {
        ps_buf_printf(out, "  normalise: %s\n", o->normalise);
    } else if (trained) {
        ps_buf_puts(out, "  normalise: {");
        put_real(out, "scale", trained->scale);
        ps_buf_puts(out, ", ");
        put_real(out, "mean", trained->mean);
        ps_buf_puts(out, ", ");
        put_real(out, "std", trained->std);
        ps_buf_puts(out, "}\n");
    }
}

ps_status ps_run_job_spec(ps_client *client, const ps_run_job_options *options, const char *kind,
                          const char *model, const char *features, const char *labels, ps_buf *spec,
                          ps_spec_model **section)
{
    about known = {0};
    char *features_path = NULL, *labels_path = NULL;
    ps_status st = ps_check_model_name(model);
    if (!st)
        st = ps_absolute_path(features, &features_path);
    if (!st && labels)
        st = ps_absolute_path(labels, &labels_path);
    if (!st)
        st = look_up(client, model, &known);
    if (st)
        goto free_paths;
    const ps_job_spec *trained = known.trained;
    bool language = known.section && ps_spec_model_reads_tokens(known.section);
    const char *format = options->format            ? options->format
                         : language                 ? "tokens"
                         : looks_like_csv(features) ? "csv"
                         : trained                  ? trained->data.format
                                                    : "idx";
    bool csv = !strcmp(format, "csv"), same = trained && !strcmp(trained->data.format, format);
    ps_buf_printf(spec,
                  "kind: %s\nname: %s-%.50s\nmodel_name: %s\nmodel_version: '%s'\n"
                  "data:\n  format: %s\n",
                  kind, kind, model, model, known.version, format);
    ps_buf_puts(spec, "  test: {");
    bool tokens = !strcmp(format, "tokens");
    put_text(spec, tokens ? "tokens" : "features", features_path);
    if (labels) {
        ps_buf_puts(spec, ", ");
        put_text(spec, "labels", labels_path);
    }
    ps_buf_puts(spec, "}\n");
    if (csv)
        put_csv(spec, options, features, same ? &trained->data.csv : NULL, keeps_missing(&known));
    if (!tokens)
        put_normalise(spec, options,
                      same && !keeps_normalise(&known) ? &trained->data.normalise : NULL);
    else if (same && trained->data.sequence_length)
        ps_buf_printf(spec, "  sequence_length: %" PRId64 "\n", trained->data.sequence_length);
    if (tokens && same && trained->data.documents == PS_SPEC_APART)
        ps_buf_puts(spec, "  documents: apart\n");
    if (tokens && labels)
        st = ps_client_usage(client,
                             "a language model's file of tokens has its labels in it: "
                             "psctl %s %s TOKENS",
                             kind, model);
    else if (!csv && !tokens && !labels && !strcmp(kind, "evaluate"))
        st = ps_client_usage(client,
                             "format %s keeps labels in a file of their own: psctl "
                             "evaluate %s FEATURES LABELS",
                             format, model);
free_paths:
    if (section && !st) {
        *section = known.section;
        known.section = NULL;
    }
    about_clear(&known);
    ps_free(&features_path);
    ps_free(&labels_path);
    return st;
}

/* A fault of the job file, which nobody but this program wrote, told as one of the flag it came
 * from: "job:8: data.csv.missing: ..." is "--missing: ...". */
static ps_status by_flag(ps_status st)
{
    static const struct {
        const char *key, *flag;
    } flags[] = {
        {"data.csv.label_column", "--label-column"},
        {"data.csv.header", "--header"},
        {"data.csv.delimiter", "--delimiter"},
        {"data.csv.missing", "--missing"},
        {"data.normalise", "--normalise"},
        {"data.test.labels", "--labels"},
        {"data.format", "--format"},
        {"rows", "--rows"},
    };
    char *message = ps_strdup(ps_error_message());
    const char *said = message;
    if (!strncmp(said, "job:", 4) && said[4 + strspn(said + 4, "0123456789")] == ':')
        said += 4 + strspn(said + 4, "0123456789") + 2;
    for (size_t i = 0; said > message && i < sizeof flags / sizeof *flags; i++) {
        size_t len = strlen(flags[i].key);
        if (strncmp(said, flags[i].key, len) != 0 || !strchr(":.", said[len]))
            continue;
        bool within = said[len] == '.';
        st = ps_fail(st, "%s%s%s", flags[i].flag, within ? ": " : "", said + len + within);
        break;
    }
    ps_free(&message);
    return st;
}

ps_status ps_run_job_submit(ps_client *client, const char *spec, uint64_t *id)
{
    ps_job_spec *checked = NULL;
    ps_status st = ps_job_spec_parse(ps_slice_str(spec), "job", &checked);
    if (st)
        return by_flag(st);
    ps_job_spec_free(&checked);
    st = ps_submit_spec(client, spec, id);
    return st ? by_flag(st) : PS_OK;
}

ps_status ps_run_job_finish(ps_client *client, uint64_t id, Psd__V1__Job **job)
{
    ps_follow_options how = {
        .form = PS_FOLLOW_QUIET, .fd = STDERR_FILENO, .patient = true, .ends = true};
    ps_status st = ps_follow(client, id, &how, job);
    if (st && client->interrupted)
        return ps_cancel_job(client, id, "interrupted", st);
    if (!st)
        st = ps_follow_verdict(*job);
    if (st)
        ps_reply_free(job);
    return st;
}

ps_status ps_run_job(ps_client *client, const char *spec, Psd__V1__Job **job)
{
    uint64_t id = 0;
    ps_status st = ps_run_job_submit(client, spec, &id);
    return st ? st : ps_run_job_finish(client, id, job);
}
