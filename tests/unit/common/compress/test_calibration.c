/* calibration, imatrix: a file of sums is read as it was described, and one that lies about itself
 * is refused by what is wrong with it; an importance matrix is the diagonals, in whatever pieces
 * the file comes. */
#include "common/compress/calibration.h"

#include "common/compress/imatrix.h"
#include "common/model/gguf_parse.h"
#include "tests/unit/common/compress/plan_rig.h"

#include <math.h>

enum { COLUMNS = 3, TRIANGLE = 6 };

#define GPT1                                                                    \
    "{architecture: gpt2, vocab_size: 257, context_length: 8, hidden_size: 3, " \
    "num_layers: 1, num_heads: 1}"
#define SUMS                                                                      \
    "{\"columns\":3,\"squares\":false,\"tensors\":[\"h.0.attn.c_attn.weight\"]}," \
    "{\"columns\":3,\"squares\":true,\"tensors\":[\"h.0.attn.c_proj.weight\",\"h.0.x\"]}"
#define ABOUT(config, rows, inputs)                                            \
    "{\"model\":\"m\",\"parent_sha256\":\"ab\",\"calibration_sha256\":\"cd\"," \
    "\"config\":\"" config "\",\"tokens_a_row\":" rows ",\"more\":[1],\"inputs\":[" inputs "]}"

static ps_status keep(void *state, const void *data, size_t len)
{
    ps_buf_append(state, data, len);
    return PS_OK;
}

/* Tokens, a triangle and a row of squares, with these metadata. */
static ps_buf file_of(const char *about, const float tokens[2], float first)
{
    const float triangle[TRIANGLE] = {first, 2, 3, 40, 5, 600}, squares[COLUMNS] = {7, 80, 900};
    const ps_safetensors_tensor tensors[] = {
        {.name = "sum.0", .dtype = PS_SAFETENSORS_F32, .n_dims = 1, .shape = {TRIANGLE}},
        {.name = "tokens", .dtype = PS_SAFETENSORS_F32, .n_dims = 1, .shape = {2}},
        {.name = "sum.1", .dtype = PS_SAFETENSORS_F32, .n_dims = 1, .shape = {COLUMNS}}};
    ps_buf out = PS_BUF_EMPTY;
    const ps_safetensors_pair pair = {PS_CALIBRATION_META, about};
    ps_safetensors_writer *w = NULL;
    ck_ok(ps_safetensors_writer_new(tensors, 3, &pair, about ? 1 : 0,
                                    (ps_safetensors_sink){keep, &out}, &w));
    ck_ok(ps_safetensors_writer_data(w, triangle, sizeof triangle));
    ck_ok(ps_safetensors_writer_data(w, tokens, 2 * sizeof *tokens));
    ck_ok(ps_safetensors_writer_data(w, squares, sizeof squares));
    ck_ok(ps_safetensors_writer_finish(&w));
    return out;
}

static ps_status matrix_of(const ps_buf *file, size_t piece, size_t len, ps_buf *gguf)
{
    ps_imatrix *m = ps_imatrix_new();
    ps_status st = PS_OK;
    for (size_t at = 0; !st && at < len; at += piece)
        st = ps_imatrix_feed(m, ps_slice_of(file->data + at, len - at < piece ? len - at : piece));
    if (!st)
        st = ps_imatrix_finish(m, gguf);
    ps_imatrix_free(&m);
    return st;
}

static void holds(const ps_gguf *g, const ps_buf *file, const char *name, const float *numbers,
                  size_t n)
{
    const ps_gguf_tensor *t = ps_gguf_find_tensor(g, name);
    ck_assert_msg(t != NULL, "%s", name);
    ck_assert_uint_eq(t->n_dims, 1);
    ck_assert_uint_eq(t->end - t->begin, n * sizeof *numbers);
    ck_assert_mem_eq(file->data + t->begin, numbers, n * sizeof *numbers);
}

START_TEST(an_importance_matrix_is_of_the_diagonals)
{
    const float tokens[] = {20, 4}, counts[] = {20}, whole[] = {1, 40, 600}, bare[] = {7, 80, 900};
    ps_buf file = file_of(ABOUT(GPT1, "8", SUMS), tokens, 1);
    for (size_t piece = 1; piece < 600; piece += piece < 16 ? 1 : 97) {
        ps_buf gguf = PS_BUF_EMPTY;
        ps_gguf *g = NULL;
        uint64_t chunks = 0;
        ck_ok(matrix_of(&file, piece, file.len, &gguf));
        ck_ok(ps_gguf_parse(ps_buf_slice(&gguf), gguf.len, &g));
        ck_assert_uint_eq(g->n_tensors, 4);
        holds(g, &gguf, "blk.0.attn_qkv.weight.in_sum2", whole, COLUMNS);
        holds(g, &gguf, "blk.0.attn_output.weight.in_sum2", bare, COLUMNS);
        holds(g, &gguf, "blk.0.attn_qkv.weight.counts", counts, 1);
        ck_ok(ps_gguf_get_uint(ps_gguf_find_key(g, "imatrix.chunk_count"), &chunks));
        ck_assert_uint_eq(chunks, 2);
        ps_gguf_free(&g);
        ps_buf_free(&gguf);
    }
    ps_buf_free(&file);
}
END_TEST

static void lies(const char *about, float tokens, float first, ps_status code, const char *text)
{
    const float both[] = {tokens, 0};
    ps_buf file = file_of(about, both, first), gguf = PS_BUF_EMPTY;
    ps_status st = matrix_of(&file, file.len, file.len, &gguf);
    ck_assert_msg(st == code, "%s instead of: %s", ps_status_name(st), text);
    ck_assert_msg(strstr(ps_error_message(), text) != NULL, "'%s' instead of '%s'",
                  ps_error_message(), text);
    ps_buf_free(&gguf);
    ps_buf_free(&file);
}

START_TEST(what_lies_about_itself_is_refused)
{
    lies(NULL, 20, 1, PS_CORRUPT, "no psd.calibration");
    lies("{}", 20, 1, PS_CORRUPT, "of which model");
    lies("[]", 20, 1, PS_CORRUPT, "calibration.safetensors: ");
    lies(ABOUT(GPT1, "0", SUMS), 20, 1, PS_CORRUPT, "a row of 0 tokens");
    lies(ABOUT(GPT1, "8", "{\"columns\":1.5}"), 20, 1, PS_CORRUPT, "an input of 1.5 columns");
    lies(ABOUT(GPT1, "8", "{\"squares\":true}"), 20, 1, PS_CORRUPT, "without columns");
    lies(ABOUT(GPT1, "8", "{\"columns\":4}"), 20, 1, PS_CORRUPT,
         "tensor sum.0 has not the 10 numbers of its input");
    lies(ABOUT(GPT1, "8", SUMS "," SUMS), 20, 1, PS_CORRUPT, "more inputs than tensors");
    lies(ABOUT(GPT1, "8", SUMS ",{\"columns\":1}"), 20, 1, PS_CORRUPT, "tensor sum.2");
    lies(ABOUT(GPT1, "8", SUMS), 0, 1, PS_CORRUPT, "sums of no tokens");
    lies(ABOUT(GPT1, "8", SUMS), NAN, 1, PS_FAILED_PRECONDITION, "tokens");
    lies(ABOUT(GPT1, "8", SUMS), 20, -1, PS_CORRUPT, "h.0.attn.c_attn.weight that are no squares");
    lies(ABOUT(GPT1, "8", SUMS), 20, INFINITY, PS_CORRUPT, "no squares");
    lies(ABOUT("{architecture: mlp, layers: [3, 3]}", "8", SUMS), 20, 1, PS_FAILED_PRECONDITION,
         "model m is no language model");
    lies(ABOUT(GPT1, "8", "{\"columns\":3,\"tensors\":[\"x\"]}"), 20, 1, PS_FAILED_PRECONDITION,
         "no tensor of model m was calibrated for");
    lies(ABOUT("{}", "8", SUMS), 20, 1, PS_INVALID_ARGUMENT, "architecture");
}
END_TEST

START_TEST(one_that_ends_early_is_not_whole)
{
    const float tokens[] = {20, 4};
    ps_buf file = file_of(ABOUT(GPT1, "8", SUMS), tokens, 1), gguf = PS_BUF_EMPTY;
    for (size_t len = 0; len < file.len; len++)
        ck_assert_int_eq(matrix_of(&file, file.len, len, &gguf), PS_DATA_LOSS);
    ps_buf_free(&file);
}
END_TEST

/* A plan's own description, of q, k and v that share an input. */
START_TEST(what_is_described_is_read)
{
    rig r;
    ck_ok(plan(&r, SMOL,
               "quantise: {scheme: q4_0, method: search}\n"
               "calibrate: {sequential: false, keep: true, held_out: 0}\n"));
    const ps_plan *p = r.plan;
    ck_assert_uint_eq(p->n_windows, 1);
    const ps_calibration_about about = {
        .model = "smol", .config = SMOL, .parent_sha256 = "00ff", .data_sha256 = ""};
    ps_buf json = PS_BUF_EMPTY, head = PS_BUF_EMPTY;
    ps_calibration_describe(p, &about, &json);
    char(*names)[PS_CALIBRATION_NAME] = ps_alloc_array(p->n_inputs, sizeof *names);
    ps_safetensors_tensor *tensors = ps_alloc_array(p->n_inputs + 1, sizeof *tensors);
    for (size_t i = 0; i <= p->n_inputs; i++)
        tensors[i] = (ps_safetensors_tensor){
            .name = i ? ps_calibration_name(i - 1, false, names[i - 1]) : PS_CALIBRATION_TOKENS,
            .dtype = PS_SAFETENSORS_F32,
            .n_dims = 1,
            .shape = {i ? p->inputs[i - 1].numbers : 2}};
    const ps_safetensors_pair pair = {PS_CALIBRATION_META, ps_buf_cstr(&json)};
    ps_safetensors_writer *w = NULL;
    ck_ok(ps_safetensors_writer_new(tensors, p->n_inputs + 1, &pair, 1,
                                    (ps_safetensors_sink){keep, &head}, &w));
    ps_safetensors_writer_free(&w);
    ps_safetensors *file = NULL;
    ps_calibration *c = NULL;
    ck_ok(ps_safetensors_parse(ps_buf_slice(&head), UINT64_MAX, &file));
    ck_ok(ps_calibration_parse(file, &c));
    ck_assert_uint_eq(c->n_inputs, 120);
    ck_assert_str_eq(c->model, "smol");
    ck_assert_str_eq(c->config, SMOL);
    ck_assert_str_eq(c->parent_sha256, "00ff");
    ck_assert_uint_eq(c->tokens_a_row, 2048);
    const ps_calibration_input *q =
        ps_calibration_find(c, "model.layers.9.self_attn.q_proj.weight");
    ck_assert_ptr_nonnull(q);
    ck_assert_ptr_eq(q, ps_calibration_find(c, "model.layers.9.self_attn.v_proj.weight"));
    ck_assert_ptr_null(ps_calibration_find(c, "model.embed_tokens.weight"));
    ck_assert(q->squares && q->columns == 576 && !q->sums[1]);
    ps_calibration_free(&c);
    ps_safetensors_free(&file);
    ps_free(&tensors);
    ps_free(&names);
    ps_buf_free(&json);
    ps_buf_free(&head);
    rig_free(&r);
}
END_TEST

START_TEST(kept_sums_are_of_one_window)
{
    rig r;
    static const char yaml[] = "quantise: {scheme: int4, method: gptq}\n"
                               "calibrate: {sequential: false, keep: true, held_out: 0}\n";
    const uint64_t all = 12 * 4 * (3 * 8256 + 131328);
    ck_ok(plan_within(&r, GPT, yaml, all));
    rig_free(&r);
    ck_assert_int_eq(plan_within(&r, GPT, yaml, all - 1), PS_RESOURCE_EXHAUSTED);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "compress.calibrate.keep: all sums"));
    rig_free(&r);
}
END_TEST

/* psd keeps nothing of it; what needs more than squares is refused by name. */
START_TEST(an_importance_matrix_is_all_in_one_turn)
{
    rig r;
    ck_ok(
        plan_within(&r, GPT, "importance: /x.gguf\nquantise: {scheme: int4, method: search}\n", 1));
    ck_assert(ps_plan_is_given(r.plan) && r.plan->n_windows == 1);
    ck_assert_uint_eq(r.plan->sum_bytes + r.plan->calibration_rows + r.plan->held_out_rows, 0);
    rig_free(&r);
    refuses(GPT, "importance: /x.gguf\nquantise: {scheme: int4, method: gptq}\n",
            PS_INVALID_ARGUMENT,
            "compress.importance: it has the squares of inputs alone, and h.0.attn.c_attn.weight "
            "needs more; take method search, or calibrate on data");
    refuses(GPT, "importance: /x.gguf\nprune: {what: ffn, ratio: 0.25, by: activation}\n",
            PS_INVALID_ARGUMENT,
            "compress.importance: it has the squares of inputs alone, and h.0.mlp.c_proj.weight "
            "needs more; take compress.prune.repair: none, or calibrate on data");
    refuses(GPT, "importance: /x.gguf\nlowrank: {rank: 8}\n", PS_INVALID_ARGUMENT,
            "compress.importance: it has the squares of inputs alone, and h.0.attn.c_attn.weight "
            "needs more; take compress.lowrank.whiten: false, which looks at none, or calibrate on "
            "data");
}
END_TEST

static const ps_check_case tests[] = {
    {&an_importance_matrix_is_of_the_diagonals},
    {&what_lies_about_itself_is_refused},
    {&one_that_ends_early_is_not_whole},
    {&what_is_described_is_read},
    {&kept_sums_are_of_one_window},
    {&an_importance_matrix_is_all_in_one_turn},
    {0},
};

int main(void)
{
    return ps_check_main("compress/calibration", tests);
}
