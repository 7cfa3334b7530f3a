/* The section itself: its parts, what all of them share, and what it asks of the rest of a job.
 * Happy path: each part is sound, there is data for what is measured, and nothing is without
 * effect. */
#include "common/conf/compress_keys.h"

#include <inttypes.h>
#include <string.h>

static const ps_conf_key calibrate_keys[] = {
    PS_CONF_INT("rows", ps_spec_calibrate, rows, "0", 0, INT64_C(1) << 32),
    PS_CONF_REAL("held_out", ps_spec_calibrate, held_out, "0.125", 0, 0.5),
    PS_CONF_BOOL("sequential", ps_spec_calibrate, sequential, "true"),
    PS_CONF_BOOL("keep", ps_spec_calibrate, keep, "false"),
    PS_CONF_INT("from", ps_spec_calibrate, from, "0", 0, INT64_MAX),
    PS_CONF_END,
};

static const ps_conf_key limits_keys[] = {
    PS_CONF_REAL("loss", ps_spec_limits, loss, "-1", -1, 1e6),
    PS_CONF_REAL("accuracy", ps_spec_limits, accuracy, "-1", -1, 1),
    PS_CONF_END,
};

static const char *const saliency_words[] = {"usual", "moments", "activations", "magnitude", NULL};

#define PART_KEY(name) PS_CONF_MAP_OPT(#name, ps_spec_compress, name, ps_compress_##name##_keys),

const ps_conf_key ps_spec_compress_keys[] = {
    PS_CONF_MAP("calibrate", ps_spec_compress, calibrate, calibrate_keys),
    PS_CONF_TEXT("importance", ps_spec_compress, importance, "", 0, 4095),
    PS_COMPRESS_PARTS(PART_KEY) PS_CONF_MAP("limits", ps_spec_compress, limits, limits_keys),
    PS_CONF_WORD("saliency", ps_spec_compress, saliency, "usual", saliency_words),
    PS_CONF_BOOL("allow_overlap", ps_spec_compress, allow_overlap, "false"),
    PS_CONF_BOOL("requantise", ps_spec_compress, requantise, "false"),
    PS_CONF_END,
};

const ps_conf_schema ps_compress_schema = {.keys = ps_spec_compress_keys,
                                           .size = sizeof(ps_spec_compress)};

bool ps_spec_compress_calibrates(const ps_spec_compress *c)
{
    const ps_spec_quantise *q = c->quantise;
    if ((c->prune && ps_spec_prune_calibrates(c->prune)) || (c->lowrank && c->lowrank->whiten))
        return true;
    return q && (ps_method_row_find(q->method)->needs != PS_METHOD_NOTHING ||
                 (q->target && ps_spec_compress_saliency(c) == PS_SALIENCY_ACTIVATIONS));
}

const char *ps_spec_compress_moments(const ps_spec_compress *c)
{
    if (c->prune && c->prune->by == PS_PRUNE_BY_MOMENTS)
        return "compress.prune.by";
    return c->saliency == PS_SALIENCY_MOMENTS && !c->later ? "compress.saliency" : NULL;
}

/* -1 says that there is none, and is not for files. */
static ps_status check_limits(const ps_spec_limits *limits, const ps_conf_doc *doc)
{
    const struct {
        const char *key;
        double value;
    } rows[] = {{"compress.limits.loss", limits->loss},
                {"compress.limits.accuracy", limits->accuracy}};
    for (size_t i = 0; i < 2; i++)
        if (ps_conf_has(doc, rows[i].key) && rows[i].value < 0)
            return ps_conf_fail(doc, rows[i].key, "%g is out of range, allowed from 0",
                                rows[i].value);
    return PS_OK;
}

static ps_status check_layers(const ps_spec_compress *c, const ps_conf_doc *doc, const char *key)
{
    if (c->prune && c->prune->what == PS_PRUNE_LAYERS)
        return ps_conf_fail(doc, key,
                            "what layers do to the stream is no input's sum, and is measured on "
                            "data; leave it out, and say data.train");
    return PS_OK;
}

/* Nothing is summed: no key says how. */
static ps_status check_from(const ps_spec_compress *c, const ps_conf_doc *doc)
{
    static const char *const keys[] = {"compress.calibrate.rows", "compress.calibrate.held_out",
                                       "compress.calibrate.sequential", "compress.calibrate.keep"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (ps_conf_has(doc, keys[i]))
            return ps_conf_fail(doc, keys[i],
                                "not with compress.calibrate.from: the sums are those of job "
                                "%" PRId64 ", which keeps them",
                                c->calibrate.from);
    return check_layers(c, doc, "compress.calibrate.from");
}

static ps_status check_importance(const ps_spec_compress *c, const ps_conf_doc *doc)
{
    static const char key[] = "compress.importance";
    if (c->importance[0] != '/')
        return ps_conf_fail(doc, key, "'%s' must be an absolute path: workers open it",
                            c->importance);
    if (!ps_spec_compress_calibrates(c))
        return ps_conf_fail(doc, key, "nothing that the job does looks at inputs");
    if (ps_conf_has(doc, "compress.calibrate"))
        return ps_conf_fail(doc, "compress.calibrate",
                            "not with compress.importance, which says all that is known of inputs");
    return check_layers(c, doc, key);
}

ps_status ps_compress_check(const ps_spec_compress *c, const ps_conf_doc *doc)
{
    bool steps = false;
    ps_status st = PS_OK;
#define PART_CHECK(name)      \
    steps |= c->name != NULL; \
    if (!st && c->name)       \
        st = ps_compress_##name##_check(c, doc);
    PS_COMPRESS_PARTS(PART_CHECK)
#undef PART_CHECK
    if (st)
        return st;
    if (!steps)
        return ps_conf_fail(
            doc, "compress",
            "nothing to do; say compress.quantise, compress.prune or compress.lowrank");
    if (ps_conf_has(doc, "compress.calibrate") && !ps_spec_compress_calibrates(c))
        return ps_conf_fail(doc, "compress.calibrate", "nothing that the job does looks at data");
    if (c->calibrate.keep && c->calibrate.sequential)
        return ps_conf_fail(doc, "compress.calibrate.keep",
                            "what is summed then is of half-compressed layers, and of no use to "
                            "others; say compress.calibrate.sequential: false");
    st = c->calibrate.from ? check_from(c, doc) : PS_OK;
    if (!st && *c->importance)
        st = check_importance(c, doc);
    return st ? st : check_limits(&c->limits, doc);
}

static bool limited(const ps_spec_compress *c)
{
    return c->limits.loss >= 0 || c->limits.accuracy >= 0;
}

/* Is there data for what needs it, and nothing that nobody reads? */
static ps_status check_data(const ps_job_spec *spec, const ps_conf_doc *doc)
{
    const ps_spec_compress *c = spec->compress;
    bool calibrates = ps_spec_compress_calibrates(c) && !c->calibrate.from && !*c->importance;
    if (ps_conf_has(doc, "data") && !ps_conf_has(doc, "data.format"))
        return ps_conf_fail(doc, "data.format", "missing; data have one");
    if (calibrates && !spec->data.train)
        return ps_conf_fail(doc, "data.train",
                            "missing; the job calibrates on it; without data, say "
                            "compress.calibrate.from or compress.importance");
    if (spec->distil && !spec->data.train)
        return ps_conf_fail(doc, "data.train", "missing; distil trains on it");
    if (!calibrates && !spec->distil && spec->data.train)
        return ps_conf_fail(doc, "data.train",
                            "nothing that the job does looks at it; what is measured is data.test");
    if (limited(c) && !spec->data.test)
        return ps_conf_fail(doc, "data.test", "missing; compress.limits is about it");
    bool share = false;
    if (c->quantise && c->quantise->target && *c->quantise->target->loss)
        (void)ps_spec_target_loss(c->quantise->target, &share);
    if (share && !spec->data.test)
        return ps_conf_fail(doc, "data.test",
                            "missing; compress.quantise.target.loss is a share of the loss on it");
    return PS_OK;
}

/* What is measured on the numbers that were solved for says nothing. */
static ps_status check_overlap(const ps_spec_data *data, const ps_conf_doc *doc)
{
    if (!data->train || !data->test)
        return PS_OK;
    const char *train = *data->train->tokens ? data->train->tokens : data->train->features;
    const char *test = *data->test->tokens ? data->test->tokens : data->test->features;
    if (strcmp(train, test) != 0)
        return PS_OK;
    return ps_conf_fail(doc, "data.test",
                        "%s is data.train, too: what is measured there says nothing of other data",
                        test);
}

static ps_status check_origin(const ps_job_spec *spec, const ps_spec_model *m,
                              const ps_conf_doc *doc)
{
    bool language = ps_spec_model_is_language(m), tokens = !strcmp(spec->data.format, "tokens");
    if (ps_conf_has(doc, "data.format") && language != tokens)
        return ps_conf_fail(doc, "data.format", "'%s' is not what model %s reads: allowed: %s",
                            spec->data.format, spec->model_name, language ? "tokens" : "idx, csv");
    if (language && spec->data.sequence_length > m->context_length)
        return ps_conf_fail(doc, "data.sequence_length",
                            "%" PRId64 " is more than the context of model %s, %" PRId64,
                            spec->data.sequence_length, spec->model_name, m->context_length);
    if (spec->compress->limits.accuracy >= 0 && m->loss != PS_SPEC_CROSS_ENTROPY)
        return ps_conf_fail(doc, "compress.limits.accuracy", "model %s says no classes",
                            spec->model_name);
    if (!language && *spec->compress->importance)
        return ps_conf_fail(doc, "compress.importance",
                            "model %s is no language model: GGUF has no names for its tensors",
                            spec->model_name);
    if (!language && ps_conf_has(doc, "compress.lowrank.what"))
        return ps_conf_fail(doc, "compress.lowrank.what", "model %s has neither", spec->model_name);
    if (!language && ps_conf_has(doc, "compress.quantise.embeddings"))
        return ps_conf_fail(doc, "compress.quantise.embeddings", "model %s has none",
                            spec->model_name);
    return PS_OK;
}

ps_status ps_compress_check_job(const ps_job_spec *spec, const ps_spec_model *origin,
                                const ps_conf_doc *doc)
{
    if (!spec->compress)
        return PS_OK;
    if (!strcmp(spec->name, spec->model_name))
        return ps_conf_fail(doc, "name",
                            "'%s' is the model that is compressed, and stays; the new model needs "
                            "another name",
                            spec->name);
    ps_status st = ps_compress_check(spec->compress, doc);
    if (!st)
        st = check_data(spec, doc);
    if (!st)
        st = spec->compress->allow_overlap ? PS_OK : check_overlap(&spec->data, doc);
    return !st && origin ? check_origin(spec, origin, doc) : st;
}
