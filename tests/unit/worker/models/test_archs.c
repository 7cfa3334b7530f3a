/* Every architecture in several variants against transformers on PyTorch in float64
 * (tests/golden/archs): the loss, what is said, the gradients; and that each goes out as a folder
 * of Hugging Face and as GGUF, and comes back as it was. On the device of tests/cuda a few variants
 * of each take a step and say something.
 *
 * With PSD_ARCHS_OUT, a folder, those files stay there: tests/golden/archs/check.py asks
 * transformers and llama.cpp what they make of them. */
#include "common/model/export_check.h"
#include "common/model/model_format.h"
#include "tests/lib/check_main.h"
#include "tests/unit/worker/models/archs_fixture.h"
#include "tests/unit/worker/models/step.h"
#include "worker/models/model_row.h"

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const kinds[] = {"gemma2", "gemma3", "gpt2",    "gpt_neox", "llama",
                                    "qwen2",  "qwen3",  "mistral", "bert"};
enum { KINDS = sizeof kinds / sizeof *kinds, SPEAKING = KINDS - 1 };
#define PACKED KINDS /* of several kinds, with rows of several documents */

/* A simulated device takes its time, and what differs there is the operations, of which a few
 * variants have all. */
enum { MOST_WHERE_SLOW = 2 };

static bool is_slow(void)
{
    return strcmp(ps_test_backend(), "cpu") != 0;
}

static bool are_enough(int variants)
{
    return is_slow() && variants == MOST_WHERE_SLOW;
}

/* There, of texts, one that has classes and then one that embeds. */
static bool is_left_out(const archs_variant *v, int variants)
{
    return is_slow() && v->n_texts && (v->n_gradients == 0) != (variants == MOST_WHERE_SLOW - 1);
}

/* How far off a length may be. What is 0 by its nature (of queries that see one key) is so in
 * float32 to the rounding of what it is the difference of. */
static double tolerance(const archs_variant *v, const archs_gradient *want, double share)
{
    double most = 0;
    for (const archs_gradient *g = v->gradients; g < v->gradients + v->n_gradients; g++)
        most = fmax(most, g->length);
    return share * (want->length > 1e-9 * most ? want->length : 1e-2 * most);
}

static void check_gradient(const archs_variant *v, const ps_model *m, size_t i, double share)
{
    const char *name = ps_model_parameters(m)->parameters[i].name;
    const archs_gradient *want = v->gradients;
    while (want < v->gradients + v->n_gradients && strcmp(want->name, name) != 0)
        want++;
    ck_assert_msg(want < v->gradients + v->n_gradients, "%s: no gradient of %s", v->name, name);
    ps_tensor t = ps_model_gradient(m, i);
    size_t n = (size_t)ps_tensor_count(t);
    float *got = ps_alloc_array(n, sizeof *got);
    double *along = ps_alloc_array(n, sizeof *along), square = 0;
    ck_ok(ps_copy_to_host(ps_model_stream(m), got, t, n * sizeof *got));
    for (size_t k = 0; k < n; k++)
        square += (double)got[k] * (double)got[k];
    ck_assert_msg(fabs(sqrt(square) - want->length) <= tolerance(v, want, share),
                  "%s: the gradient of %s is %g long, not %g", v->name, name, sqrt(square),
                  want->length);
    for (int which = 0; which < 2; which++) {
        char seed[96];
        double sum = 0, length = 0;
        (void)snprintf(seed, sizeof seed, "%s %s", which ? "second" : "first", name);
        archs_numbers(seed, along, n);
        for (size_t k = 0; k < n; k++) {
            sum += (double)got[k] * along[k];
            length += along[k] * along[k];
        }
        ck_assert_msg(fabs(sum - want->along[which]) <= tolerance(v, want, share) * sqrt(length),
                      "%s: the gradient of %s points elsewhere: %g, not %g", v->name, name, sum,
                      want->along[which]);
    }
    ps_free(&got);
    ps_free(&along);
}

/* share: how much of its length a gradient may be off. */
static void check_gradients(const archs_variant *v, const ps_model *m, double share)
{
    size_t n = ps_model_parameters(m)->count;
    ck_assert_uint_eq(n, v->n_gradients);
    for (size_t i = 0; i < n; i++)
        check_gradient(v, m, i, share);
}

static void check_answers(const archs_variant *v, const float *said, size_t n)
{
    ck_assert_uint_eq(n, v->n_answers);
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(fabs((double)said[i] - v->answers[i]) <= 2e-6 * (1 + fabs(v->answers[i])),
                      "%s: answer %zu is %.9g, not %.9g", v->name, i, (double)said[i],
                      v->answers[i]);
}

/* What stands for each text, the mean of its tokens. */
static void check_means(const archs_variant *v, ps_model *m, const ps_model_batch *batch)
{
    size_t width = (size_t)v->spec->hidden_size, all = 0;
    for (size_t i = 0; i < v->n_texts; i++)
        all += v->texts[i].n;
    float *states = ps_alloc_array(all * width, sizeof *states), *from = states;
    float *means = ps_alloc_array(v->n_texts * width, sizeof *means);
    ck_ok(ps_model_forward(m, batch, NULL));
    ck_ok(ps_model_states(m, states));
    for (size_t i = 0; i < v->n_texts; i++)
        for (size_t k = 0; k < v->texts[i].n; k++, from += width)
            for (size_t c = 0; c < width; c++)
                means[i * width + c] += from[c] / (float)v->texts[i].n;
    check_answers(v, means, v->n_texts * width);
    ck_assert_int_eq(ps_model_loss(m, batch), PS_FAILED_PRECONDITION);
    ck_assert_int_eq(ps_model_predict(m, batch, NULL, states), PS_FAILED_PRECONDITION);
    ps_free(&states);
    ps_free(&means);
}

/* Texts of several lengths at once. */
static void take_texts(ps_test_device *device, const archs_variant *v, bool again)
{
    ps_model *m = archs_model(
        device, v,
        (ps_model_options){.max_batch = ARCHS_TEXTS, .max_length = ARCHS_TEXT, .recompute = again});
    int32_t tokens[ARCHS_TEXTS * ARCHS_TEXT], labels[ARCHS_TEXTS];
    ps_model_result result;
    const ps_model_batch batch = archs_batch(v, tokens, labels);
    if (!v->n_gradients) {
        check_means(v, m, &batch);
        ps_model_free(&m);
        return;
    }
    float *said = ps_alloc_array(v->n_answers, sizeof *said);
    ck_ok(ps_model_forward(m, &batch, NULL));
    ck_ok(ps_copy_to_host(ps_model_stream(m), said, ps_tensor_head(m->output, batch.rows),
                          v->n_answers * sizeof *said));
    check_answers(v, said, v->n_texts * (size_t)ps_model_outputs(m));
    ck_ok(ps_model_loss(m, &batch));
    ck_ok(ps_model_backward(m, NULL));
    ck_ok(ps_model_result_get(m, &result));
    ck_assert_msg(fabs(result.loss - v->loss) <= 1e-6 * v->loss, "%s: the loss is %.9g, not %.9g",
                  v->name, result.loss, v->loss);
    check_gradients(v, m, 1e-4);
    ps_free(&said);
    ps_model_free(&m);
}

/* Rounded to bfloat16 on the way: about the same. */
static void take_rounded(ps_test_device *device, const archs_variant *v)
{
    ps_model *m = archs_model(
        device, v,
        (ps_model_options){.max_batch = ARCHS_TEXTS, .max_length = ARCHS_TEXT, .bf16 = true});
    int32_t tokens[ARCHS_TEXTS * ARCHS_TEXT], labels[ARCHS_TEXTS];
    const ps_model_batch batch = archs_batch(v, tokens, labels);
    const ps_model_result result = model_step(m, &batch);
    ck_assert_msg(fabs(result.loss - v->loss) <= 2e-2 * v->loss, "%s: the loss is %.9g, not %.9g",
                  v->name, result.loss, v->loss);
    check_gradients(v, m, 0.1);
    ps_model_free(&m);
}

/* again: blocks are computed again on the way back. */
static void take_step(ps_test_device *device, const archs_variant *v, bool packed, bool again)
{
    if (v->n_texts) {
        take_texts(device, v, again);
        if (v->n_gradients && !again)
            take_rounded(device, v);
        return;
    }
    ps_model *m =
        archs_model(device, v, (ps_model_options){.max_batch = ARCHS_ROWS, .recompute = again});
    int32_t tokens[ARCHS_ROWS * ARCHS_LENGTH], labels[ARCHS_ROWS * ARCHS_LENGTH];
    for (int i = 0; i < ARCHS_ROWS * ARCHS_LENGTH; i++) {
        const int32_t *at = v->tokens + i / ARCHS_LENGTH * (ARCHS_LENGTH + 1) + i % ARCHS_LENGTH;
        tokens[i] = at[0];
        bool ends = packed && (i + 1) % ARCHS_LENGTH && v->starts[i] != v->starts[i + 1];
        labels[i] = ends ? -1 : at[1];
    }
    const ps_model_batch batch = {.rows = ARCHS_ROWS,
                                  .length = ARCHS_LENGTH,
                                  .tokens = tokens,
                                  .starts = packed ? v->starts : NULL,
                                  .labels = labels};
    const ps_model_result result = model_step(m, &batch);
    ck_assert_msg(fabs(result.loss - v->loss) <= 1e-6 * v->loss, "%s: the loss is %.9g, not %.9g",
                  v->name, result.loss, v->loss);
    check_gradients(v, m, 1e-4);
    ps_model_free(&m);
}

START_TEST(loss_and_gradients)
{
    ps_test_device device;
    archs_variant v;
    int variants = 0;
    FILE *file = archs_open(_i == PACKED ? "packed" : kinds[_i]);
    ps_test_device_open(&device, ps_test_backend());
    while (!are_enough(variants) && archs_next(file, &v)) {
        bool takes = !is_left_out(&v, variants);
        if (takes)
            take_step(&device, &v, _i == PACKED, false);
        if (!is_slow())
            take_step(&device, &v, _i == PACKED, true);
        ps_spec_model_free(&v.spec);
        variants += takes;
    }
    ck_assert_int_ge(variants, is_slow() ? MOST_WHERE_SLOW : 6);
    ps_test_device_close(&device);
    (void)fclose(file);
}
END_TEST

static int32_t largest(const float *logits, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        best = logits[i] > logits[best] ? i : best;
    return (int32_t)best;
}

/* The prompt at once, then token by token. */
START_TEST(what_is_said)
{
    ps_test_device device;
    archs_variant v;
    int variants = 0;
    FILE *file = archs_open(kinds[_i]);
    ps_test_device_open(&device, ps_test_backend());
    while (!are_enough(variants++) && archs_next(file, &v)) {
        ps_model *m = archs_model(&device, &v, (ps_model_options){.max_batch = 1, .decode = true});
        float *logits = ps_alloc_array((size_t)ps_model_outputs(m), sizeof *logits);
        ck_ok(ps_model_extend(m, v.tokens, ARCHS_PROMPT, 0, logits));
        for (int i = 0; i < ARCHS_SAYS; i++) {
            int32_t token = largest(logits, ps_model_outputs(m));
            ck_assert_msg(token == v.greedy[i], "%s %s: token %d is %d, not %d", kinds[_i], v.name,
                          i, token, v.greedy[i]);
            ck_ok(ps_model_extend(m, &token, 1, ARCHS_PROMPT + i, logits));
        }
        ps_free(&logits);
        ps_model_free(&m);
        ps_spec_model_free(&v.spec);
    }
    ps_test_device_close(&device);
    (void)fclose(file);
}
END_TEST

/* ---- out and in ---- */

static ps_status append(void *state, const void *data, size_t len)
{
    ps_buf_append(state, data, len);
    return PS_OK;
}

static void write_own(const archs_variant *v, ps_buf *out)
{
    const ps_model_config config = ps_job_model_config(v->spec);
    ps_model_layout layout;
    ps_safetensors_writer *writer = NULL;
    ck_ok(ps_model_describe(&config, &layout));
    ps_safetensors_tensor *tensors = ps_alloc_array(layout.count, sizeof *tensors);
    for (size_t i = 0; i < layout.count; i++) {
        const ps_model_parameter_spec *p = &layout.parameters[i];
        tensors[i] = (ps_safetensors_tensor){.name = layout.parameters[i].name,
                                             .dtype = PS_SAFETENSORS_F32,
                                             .n_dims = (uint32_t)p->rank};
        for (int d = 0; d < p->rank; d++)
            tensors[i].shape[d] = (uint64_t)p->shape[d];
    }
    ck_ok(ps_safetensors_writer_new(tensors, layout.count, NULL, 0,
                                    (ps_safetensors_sink){append, out}, &writer));
    for (size_t i = 0; i < layout.count; i++) {
        size_t n = (size_t)ps_model_parameter_elements(&layout.parameters[i]);
        float *values = ps_alloc_array(n, sizeof *values);
        archs_weights(&layout.parameters[i], values, n);
        ck_ok(ps_safetensors_writer_data(writer, values, n * sizeof *values));
        ps_free(&values);
    }
    ck_ok(ps_safetensors_writer_finish(&writer));
    ps_free(&tensors);
    ps_model_layout_free(&layout);
}

static ps_status range(void *user, uint64_t begin, uint64_t end,
                       ps_status (*take)(void *to, ps_slice bytes), void *to)
{
    const ps_buf *file = user;
    return take(to, ps_slice_of(file->data + begin, (size_t)(end - begin)));
}

/* What is written is read back by the export itself, tensor by tensor and through a pass of its own
 * (common/model/export_check.h); here as psd would import it. */
static void leave(const archs_variant *v, ps_buf *file, const char *config, const char *format,
                  const char *path)
{
    uint64_t bytes = 0;
    const ps_export_original original = {.config = config, .range = range, .user = file};
    ps_model_export *export =
        ps_model_export_new(ps_model_format_find(format), config,
                            &(ps_model_out_options){.path = path, .dtype = "f32", .force = true});
    ck_ok(ps_model_export_feed(export, ps_buf_slice(file)));
    ck_assert_msg(ps_export_seal(export, &original) == PS_OK, "%s %s: %s", v->name, format,
                  ps_error_message());
    ck_ok(ps_model_export_finish(export, &bytes));
    ps_model_export_free(&export);
}

/* whole: numbers have been made 1 more and less again, in float32. */
static bool same(const uint8_t *a, const uint8_t *b, size_t n, bool whole)
{
    bool is = true;
    for (size_t i = 0; i < n; i++) {
        float x, y;
        memcpy(&x, a + i * sizeof x, sizeof x);
        memcpy(&y, b + i * sizeof y, sizeof y);
        is &= whole ? x + 1 == y + 1 : !memcmp(&x, &y, sizeof x);
    }
    return is;
}

static void come_back(const archs_variant *v, const ps_buf *file, const char *config,
                      const char *path)
{
    ps_model_in *in = NULL;
    bool less = ps_arch_find(v->spec->architecture)->traits.gains_less_one;
    ps_buf back = PS_BUF_EMPTY;
    ps_safetensors *was = NULL, *is = NULL;
    uint8_t piece[4096];
    size_t got = 0;
    ck_assert_msg(ps_model_in_open(path, &(ps_model_in_options){0}, &in) == PS_OK, "%s: %s",
                  v->name, ps_error_message());
    do {
        ck_ok(ps_model_in_read(in, piece, sizeof piece, &got));
        ps_buf_append(&back, piece, got);
    } while (got);
    ps_model_in_close(&in);
    ck_ok(ps_safetensors_parse(ps_buf_slice(file), file->len, &was));
    ck_ok(ps_safetensors_parse(ps_buf_slice(&back), back.len, &is));
    ck_assert_str_eq(ps_safetensors_metadata(is, PS_MODEL_META_CONFIG), config);
    ck_assert_uint_eq(was->n_tensors, is->n_tensors);
    for (size_t i = 0; i < was->n_tensors; i++) {
        const ps_safetensors_tensor *a = &was->tensors[i];
        const ps_safetensors_tensor *b = ps_safetensors_find(is, a->name);
        bool whole = less && strstr(path, ".gguf") && strstr(a->name, "norm");
        ck_assert_msg(b && a->end - a->begin == b->end - b->begin &&
                          same(file->data + was->data_start + a->begin,
                               back.data + is->data_start + b->begin,
                               (size_t)(a->end - a->begin) / sizeof(float), whole),
                      "%s: %s", v->name, a->name);
    }
    ps_safetensors_free(&was);
    ps_safetensors_free(&is);
    ps_buf_free(&back);
}

/* llama.cpp has no dropout and no dynamic scaling, and within context_length there is nothing to
 * scale; a mistral is a llama there. */
static bool says_less(const archs_variant *v, bool gguf)
{
    return gguf && (v->spec->rope.type == PS_ROPE_DYNAMIC || v->spec->dropout > 0 ||
                    ps_arch_find(v->spec->architecture)->gguf_name != NULL);
}

/* What it cannot compute is refused. */
static bool is_in_llama_cpp(const archs_variant *v, ps_buf *file)
{
    const char *arch = v->spec->architecture;
    int64_t window = v->spec->choices.sliding_window;
    const ps_arch_choices *c = &v->spec->choices;
    bool of_gemma = !strncmp(arch, "gemma", 5),
         capped = c->attention_softcap > 0 && c->logit_softcap > 0;
    bool gemma = !of_gemma || (v->spec->tie_embeddings && c->query_pre_attn_scalar <= 0 &&
                               (!strcmp(arch, "gemma2") ? capped && c->full_attention_every == 2
                                                        : c->full_attention_every != 1));
    bool neox = strcmp(arch, "gpt_neox") != 0 || (c->attention_bias && !v->spec->tie_embeddings);
    bool is = c->hidden_act == PS_ACT_OWN && gemma && neox &&
              !(!strcmp(arch, "qwen3") && c->attention_bias) &&
              !(strncmp(arch, "gemma", 5) != 0 && window && window < v->spec->context_length);
    ps_buf config = PS_BUF_EMPTY;
    if (is)
        return true;
    ps_spec_model_format(v->spec, &config);
    ps_model_export *export = ps_model_export_new(
        ps_model_format_find("gguf"), ps_buf_cstr(&config),
        &(ps_model_out_options){.path = "/nowhere", .dtype = "f32", .force = true});
    ck_assert_int_eq(ps_model_export_feed(export, ps_buf_slice(file)), PS_FAILED_PRECONDITION);
    ck_assert_msg(strstr(ps_error_message(), "--format hf has it"), "%s", ps_error_message());
    ps_model_export_free(&export);
    ps_buf_free(&config);
    return false;
}

static void remove_file(const char *path, bool gguf)
{
    static const char *const names[] = {"config.json", "model.safetensors"};
    for (size_t i = 0; i < 2 && !gguf; i++) {
        char *file = ps_asprintf("%s/%s", path, names[i]);
        ck_assert_int_eq(unlink(file), 0);
        ps_free(&file);
    }
    ck_assert_int_eq(gguf ? unlink(path) : rmdir(path), 0);
}

static void go_and_come(const archs_variant *v, const char *kind, const char *folder, bool stays)
{
    static const char *const formats[] = {"hf", "gguf"};
    ps_buf file = PS_BUF_EMPTY, config = PS_BUF_EMPTY;
    ps_spec_model_format(v->spec, &config);
    write_own(v, &file);
    for (int gguf = 0; gguf < 2; gguf++) {
        if (gguf && !is_in_llama_cpp(v, &file))
            continue;
        char *path = ps_asprintf("%s/%s.%s%s", folder, kind, v->name, gguf ? ".gguf" : "");
        leave(v, &file, ps_buf_cstr(&config), formats[gguf], path);
        if (!says_less(v, gguf))
            come_back(v, &file, ps_buf_cstr(&config), path);
        if (!stays)
            remove_file(path, gguf);
        ps_free(&path);
    }
    ps_buf_free(&file);
    ps_buf_free(&config);
}

START_TEST(out_and_in)
{
    if (is_slow())
        return; /* files are no device's */
    archs_variant v;
    char made[] = "/tmp/psd-test.XXXXXX";
    const char *stays = getenv("PSD_ARCHS_OUT");
    FILE *file = archs_open(kinds[_i]);
    ck_assert_ptr_nonnull(mkdtemp(made));
    while (archs_next(file, &v)) {
        go_and_come(&v, kinds[_i], stays ? stays : made, stays != NULL);
        ps_spec_model_free(&v.spec);
    }
    ck_assert_int_eq(rmdir(made), 0);
    (void)fclose(file);
}
END_TEST

/* The answers that are compared are of caps as the file has them. */
START_TEST(caps_of_more_digits_than_gguf_has)
{
    archs_variant v;
    char path[] = "/tmp/psd-test.XXXXXX";
    ps_buf file = PS_BUF_EMPTY, config = PS_BUF_EMPTY;
    FILE *variants = archs_open("gemma2");
    int fd = mkstemp(path);
    ck_assert(fd >= 0 && archs_next(variants, &v));
    v.spec->choices.attention_softcap = 1 / 3.0;
    v.spec->choices.logit_softcap = 2 / 3.0;
    ps_spec_model_format(v.spec, &config);
    write_own(&v, &file);
    leave(&v, &file, ps_buf_cstr(&config), "gguf", path);
    ck_assert_int_eq(unlink(path), 0);
    (void)close(fd);
    (void)fclose(variants);
    ps_spec_model_free(&v.spec);
    ps_buf_free(&file);
    ps_buf_free(&config);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &loss_and_gradients, .repeat = KINDS + 1},
    {.test = &what_is_said, .repeat = SPEAKING},
    {.test = &out_and_in, .repeat = KINDS},
    {.test = &caps_of_more_digits_than_gguf_has},
    {0},
};

int main(void)
{
    return ps_check_main("models/archs", tests);
}
