/* The schema of a job file: an added key is a line here, a member in the header, and a line in
 * deploy/examples/fashion-mlp.yaml. Rules across keys are in job_check.c; the model section is in
 * model_spec.c. */
#include "common/conf/job_spec.h"

#include "common/codec/codec.h"
#include "common/conf/compress_keys.h"
#include "common/conf/conf.h"
#include "common/conf/job_check.h"
#include "common/conf/model_spec.h"
#include "common/conf/train_keys.h"

#include <string.h>

/* In the order of the enums of the header. */
static const char *const from_words[] = {"job", "data", NULL};
static const char *const documents_words[] = {"together", "apart", NULL};
static const char *const precision_words[] = {"float32", "bf16", NULL};
static const char *const cache_words[] = {"usual", "float32", "bf16", "int8", NULL};
static const char *const weights_words[] = {"stored", "bf16", NULL};
static const char *const durability_words[] = {"memory", "checkpoint", "log", NULL};
/* Names of tables that live in the daemons: a row there is a word here. */
static const char *const format_names[] = {"idx", "csv", "tokens", "activations", NULL};

static const char *const file_format_names[] = {"idx", "csv", "tokens", NULL};

static const ps_conf_key files_keys[] = {
    PS_CONF_TEXT("features", ps_spec_files, features, "", 0, 4095),
    PS_CONF_TEXT("labels", ps_spec_files, labels, "", 0, 4095),
    PS_CONF_TEXT("tokens", ps_spec_files, tokens, "", 0, 4095),
    PS_CONF_END,
};

static const ps_conf_key label_column_keys[] = {
    PS_CONF_TEXT("column", ps_spec_label_column, any, "last", 1, 255),
    PS_CONF_TEXT("name", ps_spec_label_column, name, "", 0, 255),
    PS_CONF_INT("index", ps_spec_label_column, index, "-1", -1, 1 << 20),
    PS_CONF_END,
};

static const ps_conf_key csv_keys[] = {
    PS_CONF_MAP_SHORT("label_column", ps_spec_csv, label_column, label_column_keys),
    PS_CONF_INT("targets", ps_spec_csv, targets, "1", 1, 1 << 16),
    PS_CONF_BOOL("header", ps_spec_csv, header, "false"),
    PS_CONF_TEXT("delimiter", ps_spec_csv, delimiter, ",", 1, 3),
    PS_CONF_WORD("missing", ps_spec_csv, missing, "error", ps_spec_missing_words),
    PS_CONF_END,
};

static const ps_conf_key normalise_keys[] = {
    PS_CONF_WORD("from", ps_spec_normalise, from, "job", from_words),
    PS_CONF_REAL("scale", ps_spec_normalise, scale, "0", -1e30, 1e30),
    PS_CONF_REAL("mean", ps_spec_normalise, mean, "0", -1e30, 1e30),
    PS_CONF_REAL("std", ps_spec_normalise, std, "1", 1e-30, 1e30),
    PS_CONF_END,
};

static const ps_conf_key activations_keys[] = {
    PS_CONF_TEXT("model", ps_spec_activations, model, NULL, 1, 64),
    PS_CONF_NAME("format", ps_spec_activations, format, NULL, file_format_names),
    PS_CONF_TEXT("point", ps_spec_activations, point, "", 0, 32),
    PS_CONF_INT("layer", ps_spec_activations, layer, "0", 0, 1023),
    PS_CONF_INT("rows", ps_spec_activations, rows, "0", 0, INT64_C(1) << 40),
    PS_CONF_END,
};

static const ps_conf_key data_keys[] = {
    PS_CONF_NAME("format", ps_spec_data, format, "tokens", format_names), /* see job_check.c */
    PS_CONF_MAP_OPT("activations", ps_spec_data, activations, activations_keys),
    PS_CONF_MAP_OPT("train", ps_spec_data, train, files_keys),
    PS_CONF_MAP_OPT("test", ps_spec_data, test, files_keys),
    PS_CONF_MAP("csv", ps_spec_data, csv, csv_keys),
    PS_CONF_MAP("normalise", ps_spec_data, normalise, normalise_keys),
    PS_CONF_INT("sequence_length", ps_spec_data, sequence_length, "0", 0, 1 << 20),
    PS_CONF_WORD("documents", ps_spec_data, documents, "together", documents_words),
    PS_CONF_END,
};

static const ps_conf_key codec_keys[] = {
    PS_CONF_NAME("gradients", ps_spec_codec, gradients, "float32", ps_codec_names),
    PS_CONF_NAME("parameters", ps_spec_codec, parameters, "float32", ps_codec_plain_names),
    PS_CONF_END,
};

static const ps_conf_key train_keys[] = {
    PS_CONF_INT("epochs", ps_spec_train, epochs, NULL, 1, 1000000),
    PS_CONF_INT("batch_size", ps_spec_train, batch_size, "128", 1, 1 << 20),
    PS_CONF_INT("accumulate", ps_spec_train, accumulate, "1", 1, 1 << 16),
    PS_CONF_WORD("precision", ps_spec_train, precision, "float32", precision_words),
    PS_CONF_BOOL("recompute", ps_spec_train, recompute, "false"),
    PS_CONF_INT("seed", ps_spec_train, seed, "1", 0, INT64_MAX),
    PS_CONF_MAP("optimizer", ps_spec_train, optimizer, ps_spec_optimizer_keys),
    PS_CONF_MAP("schedule", ps_spec_train, schedule, ps_spec_schedule_keys),
    PS_CONF_MAP("consistency", ps_spec_train, consistency, ps_spec_consistency_keys),
    PS_CONF_REAL("clip_norm", ps_spec_train, clip_norm, "0", 0, 1e12),
    PS_CONF_MAP_SHORT("codec", ps_spec_train, codec, codec_keys),
    PS_CONF_BOOL("keep_moments", ps_spec_train, keep_moments, "false"),
    PS_CONF_NAME("weights", ps_spec_train, weights, "float32", ps_form_names),
    PS_CONF_INT("group", ps_spec_train, group, "128", 32, 256),
    PS_CONF_MAP_OPT("lora", ps_spec_train, lora, ps_spec_lora_keys),
    PS_CONF_TEXTS_SHORT("freeze", ps_spec_train, freeze, "[]", 0, 64, 1, 127),
    PS_CONF_END,
};

/* Lists are bounded by what a file may hold: PS_CONF_MAX_NODES. */
static const ps_conf_key generate_keys[] = {
    PS_CONF_INTS("prompt", ps_spec_generate, prompt, NULL, 1, 16000, 0, INT32_MAX),
    PS_CONF_INT("max_tokens", ps_spec_generate, max_tokens, "128", 1, PS_GENERATE_TOKENS_MAX),
    PS_CONF_REAL("temperature", ps_spec_generate, temperature, "1", 0, 100),
    PS_CONF_INT("top_k", ps_spec_generate, top_k, "0", 0, INT32_MAX),
    PS_CONF_REAL("top_p", ps_spec_generate, top_p, "1", 1e-6, 1),
    PS_CONF_INT("seed", ps_spec_generate, seed, "1", 0, INT64_MAX),
    PS_CONF_WORD("weights", ps_spec_generate, weights, "stored", weights_words),
    PS_CONF_INTS("stop", ps_spec_generate, stop, "[]", 0, 64, 0, INT32_MAX),
    PS_CONF_WORD("cache", ps_spec_generate, cache, "usual", cache_words),
    PS_CONF_END,
};

static const ps_conf_key rows_keys[] = {
    PS_CONF_INT("begin", ps_spec_rows, begin, "0", 0, INT64_C(1) << 40),
    PS_CONF_INT("end", ps_spec_rows, end, "0", 0, INT64_C(1) << 40),
    PS_CONF_END,
};

static const ps_conf_key shards_keys[] = {
    PS_CONF_INT("rows_per_task", ps_spec_shards, rows_per_task, "0", 0, INT64_C(1) << 40),
    PS_CONF_END,
};

static const ps_conf_key checkpoint_keys[] = {
    PS_CONF_DURATION("every", ps_spec_checkpoint, every_ms, "30s", 0, 604800000),
    PS_CONF_END,
};

static const ps_conf_key report_keys[] = {
    PS_CONF_BYTES("budget", ps_spec_report, budget, "5MiB", 32 << 10, 20 << 20),
    PS_CONF_END,
};

static const ps_conf_key job_keys[] = {
    PS_CONF_WORD("kind", ps_job_spec, kind, NULL, ps_kind_names),
    PS_CONF_TEXT("name", ps_job_spec, name, NULL, 1, 64),
    PS_CONF_TEXT("model_name", ps_job_spec, model_name, "", 0, 64),
    PS_CONF_TEXT("initialize_from", ps_job_spec, initialize_from, "", 0, 64),
    PS_CONF_TEXT("model_version", ps_job_spec, model_version, "", 0, 255),
    PS_CONF_MAP_OPT("model", ps_job_spec, model, ps_spec_model_keys),
    PS_CONF_MAP("data", ps_job_spec, data, data_keys),
    PS_CONF_MAP_OPT("train", ps_job_spec, train, train_keys),
    PS_CONF_MAP_OPT("distil", ps_job_spec, distil, ps_spec_distil_keys),
    PS_CONF_MAP_OPT("record", ps_job_spec, record, ps_spec_record_keys),
    PS_CONF_MAP_OPT("generate", ps_job_spec, generate, generate_keys),
    PS_CONF_MAP_OPT("embed", ps_job_spec, embed, ps_spec_embed_keys),
    PS_CONF_MAP_OPT("compare", ps_job_spec, compare, ps_spec_compare_keys),
    PS_CONF_MAP_OPT("compress", ps_job_spec, compress, ps_spec_compress_keys),
    PS_CONF_MAP_OPT("explain", ps_job_spec, explain, ps_spec_explain_keys),
    PS_CONF_MAP("report", ps_job_spec, report, report_keys),
    PS_CONF_MAP("rows", ps_job_spec, rows, rows_keys),
    PS_CONF_INT("workers", ps_job_spec, workers, "1", 1, 4096),
    PS_CONF_INT("min_workers", ps_job_spec, min_workers, "1", 1, 4096),
    PS_CONF_MAP("shards", ps_job_spec, shards, shards_keys),
    PS_CONF_INT("column_blocks", ps_job_spec, column_blocks, "1", 1, 64),
    PS_CONF_WORD("durability", ps_job_spec, durability, "checkpoint", durability_words),
    PS_CONF_MAP("checkpoint", ps_job_spec, checkpoint, checkpoint_keys),
    PS_CONF_END,
};

const ps_conf_schema ps_generate_schema = {.keys = generate_keys, .size = sizeof(ps_spec_generate)};
const ps_conf_schema ps_job_schema = {.keys = job_keys, .size = sizeof(ps_job_spec)};

/* The stored model that the job works on or begins from, when it does and the model is known. */
static ps_status parse_origin(const ps_job_spec *spec, const char *config, ps_spec_model **origin)
{
    if (!*config || !*ps_job_spec_uses(spec))
        return PS_OK;
    ps_status st = ps_spec_model_parse(ps_slice_str(config), "its config", origin);
    return st ? ps_wrap(st, "model %s", ps_job_spec_uses(spec)) : PS_OK;
}

/* Of a job that begins from `origin`, or works on it; NULL: on none that is known. */
static ps_status take_origin(ps_job_spec *spec, ps_spec_model **origin, const ps_conf_doc *doc)
{
    if (*origin && !spec->model &&
        ps_job_spec_kind(spec)->trains) { /* made by the same schema, and freed by it */
        spec->model = *origin;
        *origin = NULL;
    }
    ps_status st = ps_job_check(spec, *origin, doc);
    if (!st && *origin && spec->model)
        ps_spec_model_take_open(spec->model, *origin);
    return st;
}

static ps_status complete(ps_job_spec *spec, const ps_conf_doc *doc, const char *config)
{
    ps_spec_model *origin = NULL;
    ps_status st = parse_origin(spec, config, &origin);
    if (!st)
        st = take_origin(spec, &origin, doc);
    if (origin)
        ps_spec_model_free(&origin);
    return st;
}

/* config_of NULL: config is known; else it is asked for, when all that can be said without it is
 * good. */
static ps_status parse(ps_slice yaml, const char *file_name, const char *config,
                       ps_job_spec_config_of config_of, void *user, ps_job_spec **out)
{
    ps_conf_doc *doc = NULL;
    void *data = NULL;
    ps_status st = ps_conf_load_all(&ps_job_schema, yaml, file_name, &doc, &data);
    if (st)
        return st;
    ps_job_spec *spec = data;
    if (spec->train)
        ps_spec_optimizer_settle(&spec->train->optimizer, doc, "train.optimizer");
    if (spec->explain)
        ps_spec_explain_settle(spec->explain, doc);
    spec->checkpoint.said = ps_conf_has(doc, "checkpoint.every");
    if (config_of)
        st = ps_job_check(spec, NULL, doc);
    if (!st && config_of)
        st = config_of(user, spec, doc, &config);
    if (!st && (*config || !config_of))
        st = complete(spec, doc, config);
    ps_conf_doc_free(&doc);
    if (st)
        ps_job_spec_free(&spec);
    else
        *out = spec;
    return st;
}

ps_status ps_job_spec_parse_using(ps_slice yaml, const char *file_name,
                                  ps_job_spec_config_of config_of, void *user, ps_job_spec **out)
{
    return parse(yaml, file_name, "", config_of, user, out);
}

ps_status ps_job_spec_parse_from(ps_slice yaml, const char *file_name, const char *config,
                                 ps_job_spec **out)
{
    return parse(yaml, file_name, config, NULL, NULL, out);
}

ps_status ps_job_spec_settled(const ps_job_spec *spec, ps_slice text, ps_spec_model **out)
{
    ps_spec_model *settled = NULL;
    if (!spec->model)
        return ps_fail(PS_INVALID_ARGUMENT, "a model section for a job that has none");
    ps_status st = ps_spec_model_settled(spec->model, text, &settled);
    if (st)
        return st;
    st = ps_job_spec_check_inputs(spec, settled);
    if (st)
        ps_spec_model_free(&settled);
    else
        *out = settled;
    return st;
}

ps_status ps_job_spec_settle(ps_job_spec *spec, ps_slice text)
{
    ps_spec_model *settled = NULL;
    ps_status st = ps_job_spec_settled(spec, text, &settled);
    if (st)
        return st;
    ps_spec_model_free(&spec->model);
    spec->model = settled; /* made by the same schema, and freed by it */
    return PS_OK;
}

ps_status ps_job_spec_parse(ps_slice yaml, const char *file_name, ps_job_spec **out)
{
    return ps_job_spec_parse_from(yaml, file_name, "", out);
}

const char *ps_job_spec_uses(const ps_job_spec *spec)
{
    return *spec->model_name ? spec->model_name : spec->initialize_from;
}

void ps_job_spec_free(ps_job_spec **spec)
{
    ps_spec_compress *compress = (*spec)->compress;
    if (compress && compress->later) { /* never beside it */
        compress->quantise = compress->later;
        compress->later = NULL;
    }
    ps_conf_free(&ps_job_schema, *spec);
    *spec = NULL;
}

bool ps_job_spec_name_ok(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    size_t len = strlen(name);
    return len >= 1 && len <= 64 && strchr(letters, name[0]) &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == len;
}

uint64_t ps_spec_step_rows(const ps_spec_train *train)
{
    return (uint64_t)train->batch_size * (uint64_t)train->accumulate;
}

const ps_mode_row *ps_spec_mode(const ps_spec_train *train)
{
    return ps_mode_row_find(train->consistency.mode);
}

const ps_kind_row *ps_job_spec_kind(const ps_job_spec *spec)
{
    return &ps_kind_rows[spec->kind];
}

const char *ps_spec_missing_name(unsigned missing)
{
    return missing <= PS_SPEC_MISSING_MEAN ? ps_spec_missing_words[missing] : "unknown";
}
