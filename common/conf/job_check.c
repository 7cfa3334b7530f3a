/* Happy path: every rule holds. Each says on the line of its key what is wrong (ps_conf_fail); the
 * others are looked at all the same, but those that read a section in which something is wrong. */
#include "common/conf/job_check.h"

#include "common/conf/compress_keys.h"
#include "common/conf/job_inputs.h"
#include "common/conf/job_stages.h"
#include "common/conf/model_spec.h"
#include "common/conf/train_form.h"
#include "common/conf/train_keys.h"

#include <inttypes.h>
#include <string.h>

static bool given(const char *text)
{
    return text[0] != '\0';
}

static ps_status check_name(const ps_conf_doc *doc, const char *key, const char *name)
{
    if (ps_job_spec_name_ok(name))
        return PS_OK;
    return ps_conf_fail(doc, key,
                        "'%s' is not a name; allowed: 1 to 64 of a-z 0-9 . _ -, "
                        "first a letter or a digit",
                        name);
}

static ps_status check_names(const ps_job_spec *s, const ps_conf_doc *doc)
{
    ps_status st = check_name(doc, "name", s->name);
    if (!st && given(s->model_name))
        st = check_name(doc, "model_name", s->model_name);
    if (!st && given(s->initialize_from))
        st = check_name(doc, "initialize_from", s->initialize_from);
    if (!st && given(s->model_version) && !given(ps_job_spec_uses(s)))
        st = ps_conf_fail(doc, "model_version",
                          "of which model? only with model_name or initialize_from");
    return st;
}

/* A section of the job file, for messages. */
typedef struct section_row {
    ps_section section;
    const char *key;
    const char *least;   /* the key without which there is nothing of it; NULL: its own */
    const char *content; /* what a kind that needs it needs; NULL: it */
    const char *instead; /* how a refusal ends; NULL: with who takes it */
    bool of_data;        /* gone with all of data */
} section_row;

/* In the order of messages. Data have no default format, but for a kind that has no data. */
static const section_row sections[] = {
    {PS_SECTION_DATA, "data", .least = "data.format"},
    {PS_SECTION_GENERATE, "generate"},
    {PS_SECTION_EMBED, "embed"},
    {PS_SECTION_MODEL, "model"},
    {PS_SECTION_TRAIN, "train"},
    {PS_SECTION_DISTIL, "distil"},
    {PS_SECTION_RECORD, "record"},
    {PS_SECTION_REPORT, "report"},
    {PS_SECTION_DATA_TRAIN, "data.train", .of_data = true},
    {PS_SECTION_MODEL_NAME, "model_name", .content = "a stored model's name",
     .instead = ": the model is called as the job; to go on from a stored one use initialize_from"},
    {PS_SECTION_DATA_TEST, "data.test", .of_data = true},
    {PS_SECTION_INITIALIZE_FROM, "initialize_from"},
    {PS_SECTION_ROWS, "rows"},
    {PS_SECTION_COMPARE, "compare"},
    {PS_SECTION_COMPRESS, "compress"},
    {PS_SECTION_EXPLAIN, "explain"},
};

/* A name that is empty is none. */
static bool section_there(const ps_job_spec *s, const ps_conf_doc *doc, const section_row *row,
                          const char *key)
{
    if (row->section == PS_SECTION_MODEL_NAME)
        return given(s->model_name);
    if (row->section == PS_SECTION_INITIALIZE_FROM)
        return given(s->initialize_from);
    return ps_conf_has(doc, key);
}

static void miss_section(const ps_job_spec *s, const ps_conf_doc *doc, const section_row *row)
{
    const char *key = row->least ? row->least : row->key;
    bool begun = row->section == PS_SECTION_MODEL && given(s->initialize_from); /* with that one */
    if (!section_there(s, doc, row, key) && !begun)
        (void)ps_conf_fail(doc, key, "missing; kind %s needs %s", ps_job_spec_kind(s)->name,
                           row->content ? row->content : "it");
}

static void refuse_section(const ps_job_spec *s, const ps_conf_doc *doc, const section_row *row)
{
    const ps_kind_row *kind = ps_job_spec_kind(s);
    bool said = row->of_data && kind->sections[PS_SECTION_DATA] == PS_SECTION_REFUSED;
    if (said || !section_there(s, doc, row, row->key))
        return;
    ps_buf owners = PS_BUF_EMPTY;
    ps_kind_owners(row->section, &owners);
    (void)ps_conf_fail(doc, row->key, "not for kind %s%s%s", kind->name,
                       row->instead ? "" : ", only for ",
                       row->instead ? row->instead : ps_buf_cstr(&owners));
    ps_buf_free(&owners);
}

/* Which sections a kind has: each that is missing or too much is a fault of its own. */
static ps_status check_sections(const ps_job_spec *s, const ps_conf_doc *doc)
{
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        ps_section_use use = ps_job_spec_kind(s)->sections[sections[i].section];
        if (use == PS_SECTION_NEEDED)
            miss_section(s, doc, &sections[i]);
        else if (use == PS_SECTION_REFUSED)
            refuse_section(s, doc, &sections[i]);
    }
    return PS_OK;
}

static ps_status check_rows(const ps_job_spec *s, const ps_conf_doc *doc)
{
    if (s->rows.end && s->rows.end <= s->rows.begin)
        return ps_conf_fail(doc, "rows.end",
                            "%" PRId64 " is not behind rows.begin, %" PRId64
                            "; allowed: more, or 0 for all that there are",
                            s->rows.end, s->rows.begin);
    return PS_OK;
}

/* One that is not in the file is the stored model's, and settled. */
static ps_status check_model(const ps_job_spec *s, const ps_conf_doc *doc)
{
    return s->model && ps_conf_has(doc, "model") ? ps_spec_model_settle(s->model, doc, "model.")
                                                 : PS_OK;
}

static bool is_tokens(const ps_job_spec *s)
{
    return !strcmp(ps_spec_data_files_format(&s->data), "tokens");
}

static ps_status check_activations(const ps_job_spec *s, const ps_conf_doc *doc)
{
    static const char at[] = "data.activations";
    const ps_spec_activations *a = s->data.activations;
    bool wanted = !strcmp(s->data.format, "activations");
    if (s->model && ps_spec_model_is_lens(s->model) && !wanted)
        return ps_conf_fail(doc, "data.format",
                            "'%s' is not what architecture %s reads: allowed: activations",
                            s->data.format, s->model->architecture);
    if (wanted && !a)
        return ps_conf_fail(
            doc, at,
            "missing; say whose: {model: a stored model's name, format: idx, layer: "
            "0}");
    if (a && !wanted)
        return ps_conf_fail(doc, at, "only for format activations, not %s", s->data.format);
    if (a && (s->explain || s->compare || s->compress))
        return ps_conf_fail(doc, "data.format", "activations are not for kind %s",
                            ps_job_spec_kind(s)->name);
    return a ? check_name(doc, "data.activations.model", a->model) : PS_OK;
}

static ps_status check_path(const ps_conf_doc *doc, const char *key, const char *path)
{
    if (path[0] != '/')
        return ps_conf_fail(doc, key, "'%s' must be an absolute path: workers open it", path);
    return PS_OK;
}

/* The keys of data.train or data.test. */
typedef struct files_keys {
    const char *features, *labels, *tokens;
} files_keys;

static ps_status check_tokens_file(const ps_conf_doc *doc, const ps_spec_files *files,
                                   files_keys key)
{
    if (given(files->features) || given(files->labels))
        return ps_conf_fail(doc, given(files->features) ? key.features : key.labels,
                            "not for format tokens: the file of tokens is all");
    if (!given(files->tokens))
        return ps_conf_fail(doc, key.tokens, "missing; format tokens reads it");
    return check_path(doc, key.tokens, files->tokens);
}

static ps_status check_files(const ps_job_spec *s, const ps_conf_doc *doc,
                             const ps_spec_files *files, files_keys key)
{
    const char *labels = key.labels;
    if (!files)
        return PS_OK;
    if (is_tokens(s))
        return check_tokens_file(doc, files, key);
    const char *format = ps_spec_data_files_format(&s->data);
    if (given(files->tokens))
        return ps_conf_fail(doc, key.tokens, "only for format tokens, not %s", format);
    if (!given(files->features))
        return ps_conf_fail(doc, key.features, "missing; format %s reads it", format);
    ps_status st = check_path(doc, key.features, files->features);
    if (!st && given(files->labels))
        st = check_path(doc, labels, files->labels);
    if (st)
        return st;
    bool csv = !strcmp(format, "csv");
    if (csv && given(files->labels))
        return ps_conf_fail(doc, labels,
                            "not for format csv: labels are a column, see data.csv.label_column");
    const ps_kind_row *kind = ps_job_spec_kind(s);
    bool unlabelled = s->model && ps_spec_model_unlabelled(s->model);
    if (!csv && !given(files->labels) && !kind->unlabelled && !kind->labels_too && !unlabelled &&
        !s->data.activations)
        return ps_conf_fail(doc, labels, "missing; format %s keeps labels in a file of their own",
                            format);
    return PS_OK;
}

/* One way to say it; a name needs a header to be found in. */
static ps_status check_label_column(const ps_spec_csv *csv, const ps_conf_doc *doc)
{
    static const char key[] = "data.csv.label_column";
    const ps_spec_label_column *l = &csv->label_column;
    bool index = ps_conf_has(doc, "data.csv.label_column.index");
    if (given(l->name) + index + ps_conf_has(doc, "data.csv.label_column.column") > 1)
        return ps_conf_fail(doc, key, "one of column, name and index, not several");
    if (index && l->index < 0)
        return ps_conf_fail(doc, key, "index %" PRId64 "; columns are counted from 0", l->index);
    bool number = strspn(l->any, "0123456789") == strlen(l->any);
    bool word = !strcmp(l->any, "first") || !strcmp(l->any, "last");
    if (csv->header || (!given(l->name) && (number || word)))
        return PS_OK;
    return ps_conf_fail(doc, key,
                        "'%s' is a column's name, but data.csv.header is false; "
                        "allowed: first, last, a number from 0, or a name with header: true",
                        given(l->name) ? l->name : l->any);
}

static ps_status check_csv(const ps_job_spec *s, const ps_conf_doc *doc)
{
    const ps_spec_csv *csv = &s->data.csv;
    if (strcmp(ps_spec_data_files_format(&s->data), "csv") != 0) {
        if (ps_conf_has(doc, "data.csv"))
            return ps_conf_fail(doc, "data.csv", "only for format csv, not %s",
                                ps_spec_data_files_format(&s->data));
        return PS_OK;
    }
    bool one = strlen(csv->delimiter) == 1 && !strchr("0123456789+-.eE\"", csv->delimiter[0]);
    if (!one && strcmp(csv->delimiter, "tab") != 0)
        return ps_conf_fail(doc, "data.csv.delimiter",
                            "'%s' cannot separate numbers; allowed: tab, or one character "
                            "such as , ; or |",
                            csv->delimiter);
    ps_status st = check_label_column(csv, doc);
    if (st)
        return st;
    if (!s->model || ps_spec_model_reads_tokens(s->model) || ps_spec_model_unlabelled(s->model))
        return PS_OK;
    int64_t last = s->model->layers[s->model->n_layers - 1];
    if (s->model->loss == PS_SPEC_CROSS_ENTROPY && csv->targets != 1)
        return ps_conf_fail(doc, "data.csv.targets",
                            "%" PRId64 " columns; loss cross_entropy has one, the class",
                            csv->targets);
    if (s->model->loss == PS_SPEC_SQUARED_ERROR && csv->targets != last)
        return ps_conf_fail(doc, "data.csv.targets",
                            "%" PRId64 " columns, but the last of model.layers is %" PRId64
                            "; they must be the same",
                            csv->targets, last);
    return PS_OK;
}

/* What goes by rows that are one text each, or makes its own. */
static ps_status check_documents(const ps_job_spec *s, const ps_conf_doc *doc)
{
    const char *other = s->data.activations                     ? "data.activations"
                        : s->explain                            ? "kind explain"
                        : s->record                             ? "record"
                        : s->distil && s->distil->on_policy > 0 ? "distil.on_policy"
                                                                : NULL;
    if (s->data.documents == PS_SPEC_TOGETHER || !other)
        return PS_OK;
    return ps_conf_fail(doc, "data.documents", "apart is not for %s", other);
}

/* Language models and encoders read tokens, and nothing else does. */
static ps_status check_language(const ps_job_spec *s, const ps_conf_doc *doc)
{
    bool language = s->model && ps_spec_model_reads_tokens(s->model);
    bool encoder = s->model && ps_spec_model_is_encoder(s->model);
    if (s->model && language != (is_tokens(s) && !s->data.activations))
        return ps_conf_fail(doc, "data.format", "'%s' is not what architecture %s reads: %s",
                            s->data.format, s->model->architecture,
                            language ? "allowed: tokens" : "allowed: idx, csv, activations");
    if (!is_tokens(s)) {
        static const char *const keys[] = {"data.sequence_length", "data.documents",
                                           "train.recompute"};
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
            if (ps_conf_has(doc, keys[i]))
                return ps_conf_fail(doc, keys[i], "only for language models");
    } else if (ps_conf_has(doc, "data.normalise")) {
        return ps_conf_fail(doc, "data.normalise", "not for format tokens");
    }
    if (language && s->data.sequence_length > s->model->context_length)
        return ps_conf_fail(doc, "data.sequence_length",
                            "%" PRId64 " is more than model.context_length, %" PRId64,
                            s->data.sequence_length, s->model->context_length);
    if (s->train && encoder && !s->model->choices.num_classes)
        return ps_conf_fail(doc, "model.num_classes",
                            "missing; a training of architecture %s learns to tell classes apart; "
                            "write section model with classes: [A, B, …], and with the rest as "
                            "psctl model shows it of a stored one",
                            s->model->architecture);
    if (s->train && s->train->precision == PS_SPEC_BF16 && s->model && !language)
        return ps_conf_fail(doc, "train.precision", "bf16 is for models that read tokens");
    return check_documents(s, doc);
}

static ps_status check_data(const ps_job_spec *s, const ps_conf_doc *doc)
{
    static const files_keys train = {"data.train.features", "data.train.labels",
                                     "data.train.tokens"};
    static const files_keys test = {"data.test.features", "data.test.labels", "data.test.tokens"};
    ps_status st = check_activations(s, doc);
    if (!st)
        st = check_files(s, doc, s->data.train, train);
    if (!st)
        st = check_files(s, doc, s->data.test, test);
    if (!st)
        st = check_csv(s, doc);
    return st ? st : check_language(s, doc);
}

static ps_status check_moments(const ps_spec_train *train, const ps_conf_doc *doc)
{
    if (!train->keep_moments || ps_optimizer_row_find(train->optimizer.name)->squares)
        return PS_OK;
    ps_buf names = PS_BUF_EMPTY;
    ps_optimizer_squaring(&names);
    ps_status st = ps_conf_fail(doc, "train.keep_moments",
                                "optimizer %s has no mean squares of gradients; %s have",
                                train->optimizer.name, ps_buf_cstr(&names));
    ps_buf_free(&names);
    return st;
}

static ps_status check_train(const ps_job_spec *s, const ps_conf_doc *doc)
{
    if (!s->train)
        return PS_OK;
    ps_status st = ps_spec_optimizer_check(&s->train->optimizer, doc, "train.optimizer");
    if (!st)
        st = check_moments(s->train, doc);
    if (st)
        return st;
    if (s->train->consistency.staleness != 0 && !ps_spec_mode(s->train)->bounded)
        return ps_conf_fail(doc, "train.consistency.staleness", "mode %s has no bound to set",
                            s->train->consistency.mode);
    int64_t rows = s->shards.rows_per_task, step = (int64_t)ps_spec_step_rows(s->train);
    if (rows != 0 && rows < step)
        return ps_conf_fail(doc, "shards.rows_per_task",
                            "%" PRId64 " is less than train.batch_size times train.accumulate, "
                            "%" PRId64 "; allowed: 0, or at least a step",
                            rows, step);
    return PS_OK;
}

static ps_status check_durability(const ps_job_spec *s, const ps_conf_doc *doc)
{
    if (s->durability == PS_SPEC_LOG)
        return ps_conf_fail(doc, "durability",
                            "log is not available in this version, "
                            "use checkpoint");
    if (s->durability == PS_SPEC_MEMORY && ps_conf_has(doc, "checkpoint"))
        return ps_conf_fail(doc, "checkpoint",
                            "durability memory takes no checkpoints; "
                            "use durability checkpoint");
    if (s->min_workers > s->workers)
        return ps_conf_fail(doc, "min_workers", "%" PRId64 " is more than workers, %" PRId64,
                            s->min_workers, s->workers);
    return PS_OK;
}

/* A rule, and the sections whose values it looks at. */
typedef struct rule {
    ps_status (*check)(const ps_job_spec *, const ps_conf_doc *);
    const char *reads[4];
} rule;

static void check_rules(const ps_job_spec *spec, const ps_conf_doc *doc, const rule *rules)
{
    for (; rules->check; rules++) {
        bool sound = true;
        for (size_t i = 0; sound && i < 4 && rules->reads[i]; i++)
            sound = !ps_conf_faulty(doc, rules->reads[i]);
        if (sound)
            (void)!rules->check(spec, doc); /* it is noted */
    }
}

ps_status ps_job_check(const ps_job_spec *spec, const ps_spec_model *origin, const ps_conf_doc *doc)
{
    static const rule parts[] = {{check_names, {"name", "model_name", "initialize_from"}},
                                 {check_sections, {"kind"}},
                                 {check_rows, {"rows"}},
                                 {check_model, {"model"}},
                                 {NULL}};
    static const rule contents[] = {{check_data, {"kind", "data", "model"}},
                                    {check_train, {"train", "shards"}},
                                    {ps_spec_compare_check, {"compare"}},
                                    {ps_train_form_check, {"train", "model"}},
                                    {ps_spec_lora_check, {"train", "model", "initialize_from"}},
                                    {ps_spec_distil_check, {"distil", "model"}},
                                    {ps_spec_record_check, {"record"}},
                                    {ps_job_stages_check, {"compress", "train", "distil", "name"}},
                                    {ps_spec_explain_check, {"kind", "data", "explain"}},
                                    {check_durability, {"durability", "workers", "min_workers"}},
                                    {NULL}};
    check_rules(spec, doc, parts);
    if (origin && spec->model && !ps_conf_faulty(doc, "model"))
        (void)!ps_spec_model_match(spec->model, origin, spec->initialize_from, doc);
    if (origin && spec->model && ps_spec_train_partly(spec->train) &&
        ps_spec_model_adds_classes(spec->model, origin))
        (void)ps_conf_fail(
            doc, spec->train->lora ? "train.lora" : "train.freeze",
            "not in a training that puts classes behind model %s; train these first, "
            "and then go on from that model",
            spec->initialize_from);
    if (origin && !ps_kind_takes(ps_job_spec_kind(spec), origin))
        return ps_conf_fail(doc, "model_name",
                            "model %s is of architecture %s, which kind %s does not "
                            "take",
                            spec->model_name, origin->architecture, ps_job_spec_kind(spec)->name);
    check_rules(spec, doc, contents);
    if (!ps_conf_faulty(doc, "data") && !ps_conf_faulty(doc, "model"))
        (void)!ps_job_inputs_check(spec, origin ? origin : spec->model, doc);
    if (!ps_conf_faulty(doc, "data") && !ps_conf_faulty(doc, "compress"))
        (void)!ps_compress_check_job(spec, origin, doc);
    if (origin && !ps_conf_faulty(doc, "data") && !ps_conf_faulty(doc, "explain"))
        (void)!ps_spec_explain_match(spec, origin, doc);
    return ps_conf_verdict(doc);
}
