/* compress_keys: section compress of a job file by itself: what its words mean, and what each rule
 * says on which line. */
#include "common/conf/compress_keys.h"

#include "tests/lib/check_main.h"

#include <stdio.h>
#include <string.h>

typedef struct document {
    ps_spec_compress *compress;
} document;

static const ps_conf_key keys[] = {
    PS_CONF_MAP_OPT("compress", document, compress, ps_spec_compress_keys),
    PS_CONF_END,
};
static const ps_conf_schema schema = {.keys = keys, .size = sizeof(document)};

static ps_status load(const char *yaml, document **out)
{
    ps_conf_doc *doc = NULL;
    void *data = NULL;
    ps_status st = ps_conf_load(&schema, ps_slice_str(yaml), "job.yaml", &doc, &data);
    *out = data;
    if (!st)
        st = ps_compress_check((*out)->compress, doc);
    ps_conf_doc_free(&doc);
    return st;
}

static void refuses(const char *yaml, const char *message)
{
    document *d = NULL;
    ck_assert_int_eq(load(yaml, &d), PS_INVALID_ARGUMENT);
    ck_assert_msg(!strncmp(ps_error_message(), message, strlen(message)), "%s", ps_error_message());
    ps_conf_free(&schema, d);
}

START_TEST(a_scheme_is_all_that_must_be_said)
{
    document *d = NULL;
    ck_ok(load("compress: {quantise: {scheme: q8_0}}\n", &d));
    const ps_spec_compress *c = d->compress;
    ck_assert_str_eq(c->quantise->method, "round");
    ck_assert_str_eq(c->quantise->embeddings, "usual");
    ck_assert_double_eq(c->quantise->damp, 0.01);
    ck_assert_uint_eq(c->quantise->n_keep, 0);
    ck_assert(c->quantise->symmetric && !c->requantise);
    ck_assert_int_eq(c->calibrate.rows, 0);
    ck_assert_double_eq(c->calibrate.held_out, 0.125);
    ck_assert(c->calibrate.sequential);
    ck_assert_double_lt(c->limits.loss, 0);
    ck_assert_double_lt(c->limits.accuracy, 0);
    ck_assert(!ps_spec_compress_calibrates(c));
    ps_conf_free(&schema, d);
}
END_TEST

/* What a section says of its scheme, and the form that is meant. */
static const struct {
    const char *said, *form;
    bool matrix;
} forms[] = {
    {"scheme: int8", "int8/row", false},
    {"scheme: int4", "int4/128", false},
    {"scheme: int4, symmetric: false", "uint4/128", false},
    {"scheme: uint3, group: 64", "uint3/64", false},
    {"scheme: int2, group: 32", "int2/32", false},
    {"scheme: int8, group: 256", "int8/256", false},
    {"scheme: int4, group: row", "int4/row", false},
    {"scheme: uint8, group: matrix", "uint8/row", true},
    {"scheme: int8, symmetric: false, group: matrix", "uint8/row", true},
    {"scheme: q8_0", "q8_0", false},
    {"scheme: q2_k", "q2_k", false},
    {"scheme: q4_k_m", "q4_k", false},
};

START_TEST(a_scheme_is_a_form)
{
    char yaml[256], text[PS_FORM_TEXT];
    document *d = NULL;
    (void)snprintf(yaml, sizeof yaml, "compress: {quantise: {%s}}\n", forms[_i].said);
    ck_ok(load(yaml, &d));
    const ps_spec_quantise *q = d->compress->quantise;
    ck_assert_str_eq(ps_form_text(ps_spec_quantise_form(q), text), forms[_i].form);
    ck_assert_int_eq(q->group == PS_GROUP_MATRIX, forms[_i].matrix);
    ps_conf_free(&schema, d);
}
END_TEST

START_TEST(a_target_has_forms_to_choose_from)
{
    static const struct {
        const char *said;
        double bits, loss;
        uint64_t size;
        bool share, calibrates;
    } rows[] = {
        {"target: {bits: 4.5}}", 4.5, 0, 0, false, false},
        {"method: gptq, target: {size: 60MB}}", 0, 0, 60000000, false, true},
        {"target: {size: 1 MiB}}, saliency: activations", 0, 0, 1 << 20, false, true},
        {"target: {loss: +0.5%}}, saliency: moments", 0, 0.005, 0, true, false},
        {"target: {loss: 0.02}}, saliency: moments", 0, 0.02, 0, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char yaml[160], text[PS_FORM_TEXT];
        bool share = false;
        document *d = NULL;
        (void)snprintf(yaml, sizeof yaml,
                       "compress: {quantise: {scheme: [int2, int8, q4_0], group: 64, %s}\n",
                       rows[i].said);
        ck_ok(load(yaml, &d));
        const ps_spec_quantise *q = d->compress->quantise;
        ck_assert_uint_eq(q->n_scheme, 3);
        ck_assert_str_eq(ps_form_text(ps_spec_quantise_choice(q, 1), text), "int8/64");
        ck_assert_str_eq(ps_form_text(ps_spec_quantise_choice(q, 2), text), "q4_0");
        ck_assert_double_eq(q->target->bits, rows[i].bits);
        ck_assert_uint_eq(q->target->size, rows[i].size);
        if (rows[i].loss > 0)
            ck_assert_double_eq(ps_spec_target_loss(q->target, &share), rows[i].loss);
        ck_assert_int_eq(share, rows[i].share);
        ck_assert_int_eq(ps_spec_compress_calibrates(d->compress), rows[i].calibrates);
        ps_conf_free(&schema, d);
    }
}
END_TEST

START_TEST(methods_say_whether_they_look_at_data)
{
    static const struct {
        const char *name;
        bool calibrates;
    } rows[] = {{"round", false}, {"search", true}, {"gptq", true},
                {"awq", true},    {"smooth", true}, {"hqq", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char yaml[128];
        document *d = NULL;
        (void)snprintf(yaml, sizeof yaml, "compress: {quantise: {scheme: int4, method: %s}}\n",
                       rows[i].name);
        ck_ok(load(yaml, &d));
        ck_assert_int_eq(ps_spec_compress_calibrates(d->compress), rows[i].calibrates);
        ps_conf_free(&schema, d);
    }
    for (size_t i = 0; ps_method_names[i]; i++)
        ck_assert_str_eq(ps_method_row_find(ps_method_names[i])->name, ps_method_names[i]);
    ck_assert_ptr_null(ps_method_row_find("magic"));
}
END_TEST

#define Q(text) "compress:\n  quantise:\n    scheme: " text

START_TEST(what_would_be_without_effect_is_refused)
{
    refuses("compress: {}\n", "job.yaml:1: compress: nothing to do; say compress.quantise");
    refuses("compress:\n  quantise: {method: round}\n",
            "job.yaml:2: compress.quantise.scheme: missing; ");
    refuses(Q("int5\n"), "job.yaml:3: compress.quantise.scheme: 'int5' is not known; ");
    refuses(Q("float32\n"),
            "job.yaml:3: compress.quantise.scheme: float32 is what the model has; say one of fewer "
            "bits");
    refuses(Q("f32\n"), "job.yaml:3: compress.quantise.scheme: f32 is what the model has; ");
    refuses(Q("q4_k_n\n"), "job.yaml:3: compress.quantise.scheme: 'q4_k_n' is not known; did you "
                           "mean 'q4_k");
    refuses(Q("q4_k_m\n    group: 64\n"),
            "job.yaml:4: compress.quantise.group: q4_k has its own blocks; only integer schemes");
    refuses(Q("q8_0\n    group: 64\n"),
            "job.yaml:4: compress.quantise.group: q8_0 has its own blocks; only integer schemes "
            "have groups to choose");
    refuses(Q("bfloat16\n    group: row\n"),
            "job.yaml:4: compress.quantise.group: bfloat16 has no scales; only integer schemes "
            "have groups");
    refuses(Q("int4\n    group: 100\n"),
            "job.yaml:4: compress.quantise.group: '100' is not known; allowed: usual, matrix, row, "
            "256, 128, 64, 32");
    refuses(Q("uint4\n    symmetric: true\n"), "job.yaml:4: compress.quantise.symmetric: only for "
                                               "int8, int4, int3 and int2, not uint4");
    refuses(Q("bfloat16\n    method: gptq\n"),
            "job.yaml:4: compress.quantise.method: bfloat16 has no codes to choose from; its "
            "method is round");
    refuses(Q("int4\n    damp: 0.1\n"), "job.yaml:4: compress.quantise.damp: not for method round");
    refuses(Q("int4\n    method: gptq\n    damp: 2\n"),
            "job.yaml:5: compress.quantise.damp: 2 is out of range, allowed 1e-06 to 1");
    refuses(Q("int4\n    embeddings: q9\n"),
            "job.yaml:4: compress.quantise.embeddings: 'q9' is not known; allowed: usual, float32");
    refuses(Q("int4\n  calibrate: {rows: 5}\n"),
            "job.yaml:4: compress.calibrate: nothing that the job does looks at data");
    refuses(Q("int4\n    method: gptq\n  calibrate: {keep: true}\n"),
            "job.yaml:5: compress.calibrate.keep: what is summed then is of half-compressed "
            "layers, and of no use to others; say compress.calibrate.sequential: false");
    refuses(Q("int4\n    method: gptq\n  calibrate: {from: 7, rows: 5}\n"),
            "job.yaml:5: compress.calibrate.rows: not with compress.calibrate.from: the sums are "
            "those of job 7, which keeps them");
    refuses(Q("int4\n    method: search\n  importance: x.gguf\n"),
            "job.yaml:5: compress.importance: 'x.gguf' must be an absolute path: workers open it");
    refuses(Q("int4\n  importance: /x.gguf\n"),
            "job.yaml:4: compress.importance: nothing that the job does looks at inputs");
    refuses(Q("int4\n    method: search\n  importance: /x.gguf\n  calibrate: {rows: 5}\n"),
            "job.yaml:6: compress.calibrate: not with compress.importance");
    refuses("compress:\n  importance: /x.gguf\n  prune: {what: layers, ratio: 0.5}\n",
            "job.yaml:2: compress.importance: what layers do to the stream is no input's sum");
    refuses("compress:\n  prune: {what: layers, ratio: 0.5}\n  calibrate: {from: 7}\n",
            "job.yaml:3: compress.calibrate.from: what layers do");
    refuses(Q("int4\n    method: gptq\n  calibrate: {held_out: 0.6}\n"),
            "job.yaml:5: compress.calibrate.held_out: 0.6 is out of range, allowed 0 to 0.5");
    refuses(Q("int4\n  limits: {loss: -0.5}\n"),
            "job.yaml:4: compress.limits.loss: -0.5 is out of range, allowed from 0");
    refuses(Q("int4\n  limits: {accuracy: -1}\n"),
            "job.yaml:4: compress.limits.accuracy: -1 is out of range, allowed from 0");
    refuses(Q("int4\n    keep: [\"\"]\n"), "job.yaml:4: compress.quantise.keep");
    refuses(Q("int4\n  limit: {loss: 1}\n"),
            "job.yaml:4: compress.limit: unknown key; did you mean 'limits'? allowed: calibrate, "
            "importance, prune, lowrank, quantise, limits, saliency, allow_overlap, requantise");
}
END_TEST

START_TEST(what_is_removed_may_be_all_that_is_done)
{
    document *d = NULL;
    ck_ok(load("compress: {prune: {what: ffn, ratio: 0.25}}\n", &d));
    ck_assert_uint_eq(d->compress->prune->what, PS_PRUNE_FFN);
    ck_assert_uint_eq(d->compress->prune->by, PS_PRUNE_BY_MAGNITUDE);
    ck_assert_uint_eq(d->compress->prune->repair, PS_PRUNE_REPAIR_SQUARES);
    ck_assert(!d->compress->quantise && ps_spec_compress_calibrates(d->compress));
    ps_conf_free(&schema, d);
    ck_ok(load("compress: {prune: {what: rows, ratio: 0.25, repair: none}}\n", &d));
    ck_assert(!ps_spec_compress_calibrates(d->compress));
    ps_conf_free(&schema, d);
    ck_ok(load("compress: {prune: {what: rows, ratio: 0.1, by: activation, repair: none}}\n", &d));
    ck_assert(ps_spec_compress_calibrates(d->compress));
    ps_conf_free(&schema, d);
    refuses("compress:\n  prune: {ratio: 0.25}\n", "job.yaml:2: compress.prune.what: missing; ");
    refuses("compress:\n  prune: {what: ffn}\n", "job.yaml:2: compress.prune.ratio: missing; ");
    refuses("compress:\n  prune: {what: ffn, ratio: 0}\n",
            "job.yaml:2: compress.prune.ratio: 0 is out of range, allowed between 0 and 1");
    refuses("compress:\n  prune: {what: ffn, ratio: 1}\n", "job.yaml:2: compress.prune.ratio: 1 ");
    refuses("compress:\n  prune: {what: ffm, ratio: 0.5}\n",
            "job.yaml:2: compress.prune.what: 'ffm' is not known; did you mean 'ffn'?");
    refuses("compress:\n  prune: {what: 2of4, ratio: 0.25}\n",
            "job.yaml:2: compress.prune.ratio: 2of4 is a ratio of 0.5, not 0.25");
    refuses("compress:\n  prune: {what: 2of4, ratio: 0.5, by: magnitude}\n",
            "job.yaml:2: compress.prune.by: 2of4: a repair chooses by what it cannot make good");
    refuses("compress:\n  prune: {what: heads, ratio: 0.5, by: magnitude}\n",
            "job.yaml:2: compress.prune.by: heads: a repair chooses by what it cannot make good");
    refuses("compress:\n  prune: {what: layers, ratio: 0.5, repair: none}\n",
            "job.yaml:2: compress.prune.repair: not for layers: those go that change least");
    refuses("compress:\n  prune: {what: unstructured, ratio: 0.5}\n  quantise: {scheme: q4_0}\n",
            "job.yaml:2: compress.prune.what: unstructured: zeros would not stay zeros in codes");
}
END_TEST

START_TEST(zeros_are_sought_among_more_than_a_row)
{
    document *d = NULL;
    ck_ok(load("compress: {prune: {what: unstructured, ratio: 0.5, repair: none, over: model}}\n",
               &d));
    ck_assert_uint_eq(d->compress->prune->over, PS_PRUNE_OVER_MODEL);
    ck_assert(!ps_spec_compress_calibrates(d->compress));
    ps_conf_free(&schema, d);
    refuses("compress:\n  prune: {what: unstructured, ratio: 0.5, over: model}\n",
            "job.yaml:2: compress.prune.over: model: a repair takes as many of each row; say "
            "compress.prune.repair: none");
    refuses("compress:\n  prune: {what: 2of4, ratio: 0.5, over: tensor, repair: none}\n",
            "job.yaml:2: compress.prune.over: 2of4 is of each four in a row");
    refuses("compress:\n  prune: {what: ffn, ratio: 0.5, over: tensor}\n",
            "job.yaml:2: compress.prune.over: only for unstructured, not ffn");
}
END_TEST

START_TEST(a_rank_is_a_number_or_a_share)
{
    document *d = NULL;
    ck_ok(load("compress: {lowrank: {rank: 64}}\n", &d));
    const ps_spec_lowrank *l = d->compress->lowrank;
    ck_assert(l->rank >= 64 && l->rank <= 64 && l->what == PS_LOWRANK_ALL && l->whiten);
    ck_assert(!l->merged && ps_spec_compress_calibrates(d->compress));
    ps_conf_free(&schema, d);
    ck_ok(load("compress: {lowrank: {rank: 0.5, what: ffn, whiten: false, merged: true}, "
               "quantise: {scheme: int4}}\n",
               &d));
    ck_assert(!ps_spec_compress_calibrates(d->compress));
    ps_conf_free(&schema, d);
    refuses("compress:\n  lowrank: {rank: 1.5}\n",
            "job.yaml:2: compress.lowrank.rank: 1.5 is neither a whole number from 1 nor a share "
            "between 0 and 1");
    refuses("compress:\n  lowrank: {rank: 0}\n", "job.yaml:2: compress.lowrank.rank: 0 is ");
    refuses("compress:\n  lowrank: {rank: 8}\n  quantise: {scheme: int4}\n",
            "job.yaml:2: compress.lowrank: two matrices are float32, and larger than codes of one: "
            "say merged: true");
    refuses("compress:\n  lowrank: {rank: 8}\n  prune: {what: unstructured, ratio: 0.5}\n",
            "job.yaml:2: compress.lowrank: zeros would not stay zeros in a product of two");
}
END_TEST

START_TEST(what_is_no_target_is_refused)
{
    refuses(Q("[int2, int4]\n"), "job.yaml:3: compress.quantise.scheme: several forms are chosen "
                                 "from by compress.quantise.target");
    refuses(Q("int4\n    target: {bits: 4}\n"),
            "job.yaml:3: compress.quantise.scheme: int4 alone leaves nothing to choose");
    refuses(Q("[int4, q4_k_m]\n    target: {bits: 4}\n"),
            "job.yaml:3: compress.quantise.scheme: q4_k_m is a mix; a target chooses among forms");
    refuses(Q("[int4, int5]\n    target: {bits: 4}\n"),
            "job.yaml:3: compress.quantise.scheme: 'int5' is not known");
    refuses(Q("[int2, int4]\n    group: matrix\n    target: {bits: 4}\n"),
            "job.yaml:4: compress.quantise.group: matrix is not for a target");
    refuses(Q("[q8_0, q4_0]\n    group: 64\n    target: {bits: 4}\n"),
            "job.yaml:4: compress.quantise.group: q8_0 has its own blocks");
    refuses(Q("[int2, int4]\n    target: {}\n"),
            "job.yaml:4: compress.quantise.target: say one of bits, size, loss");
    refuses(Q("[int2, int4]\n    target: {bits: 4, size: 1MB}\n"),
            "job.yaml:4: compress.quantise.target: say one of bits, size, loss");
    refuses(Q("[int2, int4]\n    target: {loss: 1%}\n"),
            "job.yaml:4: compress.quantise.target.loss: the loss is predicted by moments only");
    static const char *const bad[] = {"-1%", "x", "nan", "1%%", "0", "1e9", "+"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char yaml[160], message[80];
        (void)snprintf(yaml, sizeof yaml,
                       Q("[int2, int4]\n    target: {loss: \"%s\"}\n  saliency: moments\n"),
                       bad[i]);
        (void)snprintf(message, sizeof message,
                       "job.yaml:4: compress.quantise.target.loss: '%s': expected", bad[i]);
        refuses(yaml, message);
    }
    refuses(Q("int4\n  saliency: magnitude\n"),
            "job.yaml:4: compress.saliency: nothing is chosen by it without "
            "compress.quantise.target");
}
END_TEST

static const ps_check_case tests[] = {
    {&a_target_has_forms_to_choose_from},
    {&zeros_are_sought_among_more_than_a_row},
    {&a_rank_is_a_number_or_a_share},
    {&what_is_no_target_is_refused},
    {&a_scheme_is_all_that_must_be_said},
    {.test = &a_scheme_is_a_form, .repeat = sizeof forms / sizeof *forms},
    {&methods_say_whether_they_look_at_data},
    {&what_would_be_without_effect_is_refused},
    {&what_is_removed_may_be_all_that_is_done},
    {0},
};

int main(void)
{
    return ps_check_main("conf/compress_keys", tests);
}
