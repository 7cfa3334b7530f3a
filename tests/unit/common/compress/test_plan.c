/* plan: shapes of real models, and figures that were worked out by hand: what becomes of which
 * tensor and why, what shares an input, windows, sizes, and what is refused before any data are
 * read. */
#include "common/compress/store_plan.h"
#include "tests/unit/common/compress/plan_rig.h"

#include <math.h>
#include <time.h>

/* SmolLM2-135M: rows of 576 are no multiple of 128, the head is the embedding, and of its 272
 * tensors 180 fall back. */
START_TEST(rows_that_a_group_does_not_divide_get_a_smaller_one)
{
    rig r;
    ck_ok(plan(&r, SMOL, "quantise: {scheme: int4}\n"));
    ck_assert_uint_eq(r.plan->n_tensors, 272);
    static const char why[] = "rows of 576 are not whole groups of 128";
    has(&r, "model.embed_tokens.weight", "int8/row", "embedding and head");
    has(&r, "model.layers.0.self_attn.q_proj.weight", "int4/64", why);
    has(&r, "model.layers.29.mlp.up_proj.weight", "int4/64", why);
    has(&r, "model.layers.7.mlp.down_proj.weight", "int4/128", "");
    has(&r, "model.layers.7.input_layernorm.weight", "float32", "norm");
    has(&r, "model.norm.weight", "float32", "norm");
    size_t fallen = 0;
    for (size_t i = 0; i < r.plan->n_tensors; i++)
        fallen += r.plan->tensors[i].fell_back;
    ck_assert_uint_eq(fallen, 180);
    ck_assert_uint_eq(r.plan->parameters, 134515008);
    ck_assert_uint_eq(r.plan->parent_data, 4 * 134515008);
    ck_assert_uint_eq(r.plan->data, 84537600);
    ck_assert_uint_eq(r.plan->n_inputs, 0);
    ck_assert_uint_eq(r.plan->n_windows, 0);
    rig_free(&r);
}
END_TEST

START_TEST(products_of_one_input_share_its_sums_and_windows_follow_the_pass)
{
    rig r;
    ck_ok(plan(&r, SMOL, "quantise: {scheme: int4, method: gptq}\n"));
    const ps_plan *p = r.plan;
    ck_assert_uint_eq(p->n_inputs, 4 * 30);
    size_t q = tensor(&r, "model.layers.3.self_attn.q_proj.weight")->input;
    ck_assert_uint_eq(q, tensor(&r, "model.layers.3.self_attn.k_proj.weight")->input);
    ck_assert_uint_eq(q, tensor(&r, "model.layers.3.self_attn.v_proj.weight")->input);
    ck_assert_uint_eq(q + 1, tensor(&r, "model.layers.3.self_attn.o_proj.weight")->input);
    ck_assert_uint_eq(q + 2, tensor(&r, "model.layers.3.mlp.gate_proj.weight")->input);
    ck_assert_uint_eq(q + 2, tensor(&r, "model.layers.3.mlp.up_proj.weight")->input);
    ck_assert_uint_eq(q + 3, tensor(&r, "model.layers.3.mlp.down_proj.weight")->input);
    ck_assert_uint_eq(tensor(&r, "model.embed_tokens.weight")->input, PS_PLAN_NO_INPUT);
    ck_assert_str_eq(tensor(&r, "model.embed_tokens.weight")->method->name, "round");
    ck_assert_uint_eq(p->inputs[q].columns, 576);
    ck_assert_uint_eq(p->inputs[q + 3].numbers, 1536 * 1537 / 2);
    ck_assert_uint_eq(p->n_windows, 30); /* sequential: one layer at a time */
    for (size_t i = 0; i < 30; i++)
        ck_assert_uint_eq(ps_plan_window_layer(p, &p->windows[i]), i);
    ck_assert_uint_eq(p->windows[29].numbers, 1678944);
    ck_assert_uint_eq(p->sum_bytes, 40294656); /* 12 bytes a sum, and held-out rows apart */
    ck_assert_uint_eq(p->psd_bytes, p->data + p->sum_bytes);
    ck_assert_uint_eq(p->calibration_rows, 112);
    ck_assert_uint_eq(p->held_out_rows, 16);
    ck_assert_uint_eq(p->tokens_a_row, 2048);
    ck_assert_double_gt(p->work, 0);
    ck_assert_double_eq_tol(p->seconds, p->work / (2 * PS_PLAN_WORK_RATE), 1e-6);
    ck_assert_uint_eq(p->warnings.len, 0);
    rig_free(&r);
}
END_TEST

START_TEST(windows_are_as_large_as_there_is_room)
{
    static const struct {
        const char *calibrate;
        uint64_t bytes;
        size_t windows;
    } rows[] = {
        {"{sequential: true, held_out: 0}", 0, 4},
        {"{sequential: false, held_out: 0}", 0, 1},
        /* of each of 4 layers 3 · 8256 and 131328 sums, of 12 bytes */
        {"{sequential: false, held_out: 0}", 12 * 2 * (3 * 8256 + 131328), 2},
        {"{sequential: false, held_out: 0}", 12 * 131328, 8},
        {"{sequential: true, held_out: 0}", 12 * 131328, 8},
        {"{sequential: false, held_out: 0.5}", 24 * 131328, 8},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char yaml[160];
        rig r;
        (void)snprintf(yaml, sizeof yaml, "quantise: {scheme: int4, method: gptq}\ncalibrate: %s\n",
                       rows[i].calibrate);
        ck_ok(plan_within(&r, GPT, yaml, rows[i].bytes));
        ck_assert_msg(r.plan->n_windows == rows[i].windows, "%s: %zu", rows[i].calibrate,
                      r.plan->n_windows);
        size_t next = 0;
        for (size_t w = 0; w < r.plan->n_windows; w++) {
            ck_assert_uint_eq(r.plan->windows[w].first, next);
            next = r.plan->windows[w].end;
        }
        ck_assert_uint_eq(next, r.plan->n_inputs);
        rig_free(&r);
    }
    rig r;
    ck_assert_int_eq(plan_within(&r, GPT, "quantise: {scheme: int4, method: gptq}\n", 1 << 20),
                     PS_RESOURCE_EXHAUSTED);
    ck_assert_str_eq(ps_error_message(),
                     "sums of the 512 columns of h.0.mlp.c_proj.weight take 3 MiB, and psd has 1 "
                     "MiB for them; method search needs less");
    rig_free(&r);
    ck_ok(plan_within(&r, GPT, "quantise: {scheme: int4, method: search}\n", 1 << 20));
    ck_assert_uint_eq(r.plan->inputs[3].numbers, 512);
    rig_free(&r);
}
END_TEST

START_TEST(weights_of_gpt2_are_stored_transposed)
{
    rig r;
    ck_ok(plan(&r, GPT, "quantise: {scheme: int4, method: gptq, group: 256}\n"));
    static const char why[] = "rows of 128 are not whole groups of 256";
    has(&r, "h.0.attn.c_attn.weight", "int4/128", why);
    has(&r, "h.0.mlp.c_proj.weight", "int4/256", "");
    has(&r, "h.0.mlp.c_proj.bias", "float32", "bias");
    has(&r, "wpe.weight", "float32", "positions");
    has(&r, "wte.weight", "int8/row", "embedding and head");
    const ps_plan_tensor *t = tensor(&r, "h.0.attn.c_attn.weight");
    ck_assert(t->stored.transposed);
    ck_assert_uint_eq(ps_model_form_rows(&t->stored), 384);
    ck_assert_uint_eq(r.plan->inputs[t->input].columns, 128);
    ck_assert_uint_eq(t->bytes, 384 * (2 + 64));
    ck_assert(!tensor(&r, "wte.weight")->stored.transposed);
    ck_assert_uint_eq(r.plan->n_inputs, 16);
    rig_free(&r);
}
END_TEST

START_TEST(blocks_of_ggml_give_way_as_they_do_in_llama_cpp)
{
    rig r;
    ck_ok(plan(&r, QWEN, "quantise: {scheme: q8_0}\n"));
    has(&r, "model.layers.0.self_attn.q_proj.weight", "float16",
        "rows of 48 are not whole blocks of q8_0");
    has(&r, "model.layers.1.mlp.down_proj.weight", "q8_0", "");
    has(&r, "model.layers.1.self_attn.k_proj.bias", "float32", "bias");
    has(&r, "model.embed_tokens.weight", "float16",
        "embedding; rows of 48 are not whole blocks of q8_0");
    has(&r, "lm_head.weight", "float16", "head; rows of 48 are not whole blocks of q8_0");
    rig_free(&r);
    ck_ok(plan(&r, SMOL, "quantise: {scheme: q4_k}\n"));
    static const char why[] = "rows of 576 are not whole blocks of q4_k";
    has(&r, "model.layers.3.mlp.up_proj.weight", "q5_0", why);
    has(&r, "model.layers.3.mlp.down_proj.weight", "q4_k", "");
    has(&r, "model.embed_tokens.weight", "q8_0", "embedding and head");
    ck_assert(tensor(&r, "model.layers.3.mlp.up_proj.weight")->fell_back);
    rig_free(&r);
    ck_ok(plan(&r, SMOL, "quantise: {scheme: q2_k}\n"));
    has(&r, "model.layers.3.mlp.up_proj.weight", "q4_0",
        "rows of 576 are not whole blocks of q2_k");
    rig_free(&r);
}
END_TEST

/* llama-quantize of SmolLM2 to Q4_K_M: 98.87 MiB of tensors (as many as its log says), 180 of 272
 * tensors fell back. */
START_TEST(a_mix_is_llama_cpp_s)
{
    rig r;
    size_t fallen = 0;
    ck_ok(plan(&r, SMOL, "quantise: {scheme: q4_k_m}\n"));
    has(&r, "model.embed_tokens.weight", "q8_0",
        "embedding and head; rows of 576 are not whole blocks of q4_k");
    has(&r, "model.layers.0.mlp.down_proj.weight", "q6_k", "q4_k_m");
    has(&r, "model.layers.3.mlp.down_proj.weight", "q4_k", "");
    has(&r, "model.layers.0.self_attn.v_proj.weight", "q8_0",
        "rows of 576 are not whole blocks of q4_k");
    for (size_t i = 0; i < r.plan->n_tensors; i++)
        fallen += r.plan->tensors[i].fell_back && i > 0; /* the embedding is none of theirs */
    ck_assert_uint_eq(fallen, 180);
    ck_assert_double_eq_tol((double)r.plan->data / (1 << 20), 98.87, 0.005);
    rig_free(&r);
    ck_ok(plan(&r, SMOL, "quantise: {scheme: q4_k_m, embeddings: int8}\n"));
    has(&r, "model.embed_tokens.weight", "int8/row", "embedding and head");
    rig_free(&r);
}
END_TEST

/* W = Q·P: one scale and one zero for all of a matrix. */
START_TEST(a_matrix_may_have_one_scale)
{
    rig r;
    ck_ok(plan(&r, MLP, "quantise: {scheme: uint8, group: matrix}\n"));
    has(&r, "layers.0.weight", "uint8/row", "");
    has(&r, "layers.1.bias", "float32", "bias");
    ck_assert(tensor(&r, "layers.0.weight")->matrix);
    ck_assert(!tensor(&r, "layers.0.bias")->matrix);
    ck_assert_uint_eq(r.plan->data, 512 * (4 + 784) + 10 * (4 + 512) + 4 * 522);
    rig_free(&r);
    ck_ok(plan(&r, MLP, "quantise: {scheme: int8, method: gptq}\n"));
    ck_assert(!tensor(&r, "layers.0.weight")->matrix);
    ck_assert_uint_eq(r.plan->n_inputs, 2);
    ck_assert_uint_eq(r.plan->inputs[1].layer, 1);
    ck_assert_uint_eq(r.plan->calibration_rows, 3584);
    ck_assert_uint_eq(r.plan->tokens_a_row, 1);
    rig_free(&r);
}
END_TEST

START_TEST(what_is_kept_stays)
{
    rig r;
    ck_ok(plan(&r, GPT, "quantise: {scheme: int8, keep: [\"h.*.mlp.c_fc\", wte.weight]}\n"));
    has(&r, "h.3.mlp.c_fc.weight", "float32", "kept: h.*.mlp.c_fc");
    has(&r, "h.3.mlp.c_fc.bias", "float32", "kept: h.*.mlp.c_fc");
    has(&r, "h.3.mlp.c_proj.weight", "int8/row", "");
    has(&r, "wte.weight", "float32", "kept: wte.weight");
    rig_free(&r);
    ck_ok(plan(&r, GPT, "quantise: {scheme: int4, embeddings: float32}\n"));
    has(&r, "wte.weight", "float32", "embedding and head");
    rig_free(&r);
    ck_ok(plan(&r, GPT, "quantise: {scheme: q8_0, embeddings: int4}\n"));
    has(&r, "wte.weight", "int4/128", "embedding and head");
    rig_free(&r);
    ck_ok(plan(&r, GPT, "quantise: {scheme: bfloat16}\n"));
    has(&r, "wte.weight", "bfloat16", "embedding and head");
    has(&r, "h.0.attn.c_attn.weight", "bfloat16", "");
    rig_free(&r);
    refuses(GPT, "quantise: {scheme: int8, keep: [lm_head]}\n", PS_INVALID_ARGUMENT,
            "compress.quantise.keep: 'lm_head' names no tensor of model big");
    refuses(GPT, "quantise: {scheme: int8, keep: [\"h.?.mlp.c_fc\"]}\n", PS_INVALID_ARGUMENT,
            "compress.quantise.keep: 'h.?.mlp.c_fc' names no tensor of model big");
}
END_TEST

START_TEST(shapes_are_refused_before_any_data_are_read)
{
    refuses("{architecture: mlp, layers: [7, 5, 3]}", "quantise: {scheme: int4}\n",
            PS_INVALID_ARGUMENT,
            "tensor layers.0.weight: rows of 7 numbers are no whole bytes in int4, in groups of no "
            "size; int8 would do, or keep the tensor (compress.quantise.keep)");
    refuses(
        "{architecture: mlp, layers: [8, 5, 3]}", "quantise: {scheme: uint2, keep: [layers.0]}\n",
        PS_INVALID_ARGUMENT,
        "tensor layers.1.weight: rows of 5 numbers are no whole bytes in uint2, in groups of no "
        "size; uint8 would do, or keep the tensor (compress.quantise.keep)");
    rig r;
    ck_ok(plan(&r, GPT, "quantise: {scheme: int8}\n"));
    ps_plan_free(&r.plan);
    r.tensors[0].shape[1] = 64;
    ck_assert_int_eq(ps_plan_new(&r.spec, &r.parent, 0, &r.plan), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(),
                     "tensor wte.weight has not the shape that its architecture gives it");
    rig_free(&r);
}
END_TEST

START_TEST(few_rows_are_told_and_fewer_are_refused)
{
    rig r;
    static const char gptq[] = "quantise: {scheme: int8, method: gptq}\n"
                               "calibrate: {rows: %d, held_out: 0}\n";
    char yaml[128];
    (void)snprintf(yaml, sizeof yaml, gptq, 100);
    ck_ok(plan(&r, MLP, yaml));
    ck_assert_str_eq(
        ps_buf_cstr(&r.plan->warnings),
        "calibration has 100 rows, fewer than columns of 2 inputs (layers.0.weight has "
        "784): on other data errors may be larger than by rounding\n");
    rig_free(&r);
    (void)snprintf(yaml, sizeof yaml, gptq, 97);
    refuses(MLP, yaml, PS_INVALID_ARGUMENT,
            "compress.calibrate.rows: 97 rows are too few for the 784 columns of "
            "layers.0.weight, at least 98; take more, or method round");
    ck_ok(plan(&r, MLP, "quantise: {scheme: int8, method: search}\ncalibrate: {rows: 5}\n"));
    ck_assert_uint_eq(r.plan->held_out_rows, 1);
    ck_assert_uint_eq(r.plan->warnings.len, 0);
    rig_free(&r);
    ck_ok(plan(&r, MLP, "quantise: {scheme: int8, method: awq}\ncalibrate: {rows: 5}\n"));
    ck_assert_uint_eq(r.plan->warnings.len, 0); /* it takes no inverse */
    rig_free(&r);
}
END_TEST

START_TEST(data_may_have_fewer_rows_than_nobody_asked_for)
{
    static const struct {
        uint64_t have, calibration, held_out;
    } rows[] = {{9999, 3584, 512}, {4096, 3584, 512}, {3000, 2625, 375}, {2, 1, 1}, {1, 1, 0}};
    uint64_t calibration = 0, held_out = 0;
    rig r;
    ck_ok(plan(&r, MLP, "quantise: {scheme: int8, method: gptq}\n"));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ck_ok(ps_plan_rows(r.plan, rows[i].have, &calibration, &held_out));
        ck_assert_uint_eq(calibration, rows[i].calibration);
        ck_assert_uint_eq(held_out, rows[i].held_out);
    }
    ck_assert_int_eq(ps_plan_rows(r.plan, 0, &calibration, &held_out), PS_INVALID_ARGUMENT);
    rig_free(&r);
    ck_ok(plan(&r, MLP, "quantise: {scheme: int8, method: gptq}\ncalibrate: {rows: 3001}\n"));
    ck_assert_int_eq(ps_plan_rows(r.plan, 3000, &calibration, &held_out), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "compress.calibrate.rows: 3001, but data.train has 3000; "
                                         "allowed: as many as there are");
    rig_free(&r);
}
END_TEST

START_TEST(what_was_compressed_is_so_again_only_when_asked)
{
    rig r;
    ck_ok(plan(&r, GPT, "quantise: {scheme: int8}\n"));
    ps_plan_free(&r.plan);
    ck_assert(ps_form_parse("int4/128", &r.tensors[0].form));
    ck_assert_int_eq(ps_plan_new(&r.spec, &r.parent, 0, &r.plan), PS_FAILED_PRECONDITION);
    ck_assert_str_eq(ps_error_message(),
                     "model big is compressed already (float32, int4/128); name the model it was "
                     "made of, or say compress.requantise: true");
    r.compress->requantise = true;
    r.tensors[2].form = r.tensors[0].form; /* a bias */
    ck_assert_int_eq(ps_plan_new(&r.spec, &r.parent, 0, &r.plan), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(),
                     "tensor h.0.ln_1.weight of model big cannot be in form int4/128");
    r.tensors[2].form = (ps_form){0};
    ck_ok(ps_plan_new(&r.spec, &r.parent, 0, &r.plan));
    has(&r, "wte.weight", "int8/row", "embedding and head");
    ck_assert_uint_eq(r.plan->parent_data, 4 * (r.plan->parameters - 257 * 128) + 257 * 66);
    rig_free(&r);
}
END_TEST

static ps_status write_to(void *state, const void *data, size_t len)
{
    ps_buf_append(state, data, len);
    return PS_OK;
}

/* A file of these tensors, as psd writes it, or as others do, without metadata: its size. */
static uint64_t file_of(const ps_model_form *tensors, size_t n, bool bare)
{
    ps_safetensors_tensor *stored = ps_alloc_array(n, sizeof *stored);
    ps_safetensors_pair pairs[3] = {{"psd.model", GPT}, {"tokenizer.json", "{\"a\":1}"}};
    ps_buf forms = PS_BUF_EMPTY, head = PS_BUF_EMPTY;
    ps_safetensors_writer *writer = NULL;
    for (size_t i = 0; i < n; i++)
        stored[i] = ps_model_form_stored(&tensors[i]);
    ps_model_forms_format(tensors, n, &forms);
    pairs[2] = (ps_safetensors_pair){PS_MODEL_META_FORMS, ps_buf_cstr(&forms)};
    ps_safetensors_sink sink = {write_to, &head};
    const ps_safetensors_pair *first = bare ? &pairs[2] : pairs;
    ck_ok(ps_safetensors_writer_new(stored, n, first, (bare ? 0 : 2) + (forms.len ? 1 : 0), sink,
                                    &writer));
    uint64_t total = ps_safetensors_writer_total(writer);
    ps_safetensors_writer_free(&writer);
    ps_buf_free(&forms);
    ps_buf_free(&head);
    ps_free(&stored);
    return total;
}

/* Of a parent's file: never larger, and not by much smaller. */
static void check_size(rig *r, bool bare, uint64_t less)
{
    ps_plan_free(&r->plan);
    r->parent.bytes = file_of(r->tensors, r->parent.n, bare);
    ck_ok(ps_plan_new(&r->spec, &r->parent, 0, &r->plan));
    ps_model_form *made = ps_alloc_array(r->parent.n, sizeof *made);
    for (size_t i = 0; i < r->parent.n; i++)
        made[i] = r->plan->tensors[i].stored;
    uint64_t size = file_of(made, r->parent.n, bare);
    ck_assert_uint_ge(r->plan->file_bytes, size);
    ck_assert_uint_le(r->plan->file_bytes, size + less);
    ps_free(&made);
}

START_TEST(the_file_is_as_large_as_it_was_said)
{
    rig r;
    ck_ok(plan(&r, GPT, "quantise: {scheme: int4}\n"));
    ck_assert_uint_eq(r.plan->file_bytes, 0); /* the parent's size was not said */
    check_size(&r, false, 8);
    check_size(&r, true, 40);
    r.parent.bytes = r.plan->parent_data - 1;
    ps_plan_free(&r.plan);
    ck_assert_int_eq(ps_plan_new(&r.spec, &r.parent, 0, &r.plan), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "is smaller than its tensors"));
    rig_free(&r);
}
END_TEST

/* Workers add it up: it may be what none can be. */
START_TEST(tokens_are_a_number_that_can_be_counted)
{
    static const float good[] = {0, 1, 16777216, 0x1p53F},
                       bad[] = {-1, -0.5F, 0x1p54F, 1e30F, INFINITY, -INFINITY, NAN};
    uint64_t n = 7;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ck_ok(ps_plan_tokens(good[i], &n));
        ck_assert((float)n == good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(ps_plan_tokens(bad[i], &n), PS_FAILED_PRECONDITION);
}
END_TEST

/* Looking for each tensor among all would take seconds. */
START_TEST(a_plan_of_a_thousand_layers_takes_no_time)
{
    static const char deep[] = "{architecture: llama, vocab_size: 300, context_length: 64, "
                               "hidden_size: 64, num_layers: 1024, num_heads: 2, "
                               "num_kv_heads: 2, intermediate_size: 64}";
    static const char *const yaml[] = {
        "quantise: {scheme: [int2, int3, int8], group: 32, target: {bits: 4}}\n",
        "prune: {what: hidden, ratio: 0.5}\n"};
    for (size_t i = 0; i < 2; i++) {
        rig r;
        clock_t before = clock();
        ck_ok(plan(&r, deep, yaml[i]));
        double seconds = (double)(clock() - before) / CLOCKS_PER_SEC;
        ck_assert_msg(seconds < 1, "%g s", seconds);
        const ps_plan_tensor *q = tensor(&r, "model.layers.1023.self_attn.q_proj.weight");
        const ps_plan_tensor *v = tensor(&r, "model.layers.1023.self_attn.v_proj.weight");
        ck_assert(i || v->tie == (size_t)(q - r.plan->tensors));
        ck_assert(i || tensor(&r, "model.layers.1023.mlp.up_proj.weight")->tie ==
                           tensor(&r, "model.layers.1023.mlp.gate_proj.weight")->tie);
        ck_assert(!i || tensor(&r, "model.layers.1023.input_layernorm.weight")->feeds == q->input);
        rig_free(&r);
    }
}
END_TEST

static const ps_check_case tests[] = {
    {&a_plan_of_a_thousand_layers_takes_no_time},
    {&tokens_are_a_number_that_can_be_counted},
    {&rows_that_a_group_does_not_divide_get_a_smaller_one},
    {&products_of_one_input_share_its_sums_and_windows_follow_the_pass},
    {&windows_are_as_large_as_there_is_room},
    {&weights_of_gpt2_are_stored_transposed},
    {&blocks_of_ggml_give_way_as_they_do_in_llama_cpp},
    {&a_mix_is_llama_cpp_s},
    {&a_matrix_may_have_one_scale},
    {&what_is_kept_stays},
    {&shapes_are_refused_before_any_data_are_read},
    {&few_rows_are_told_and_fewer_are_refused},
    {&data_may_have_fewer_rows_than_nobody_asked_for},
    {&what_was_compressed_is_so_again_only_when_asked},
    {&the_file_is_as_large_as_it_was_said},
    {0},
};

int main(void)
{
    return ps_check_main("compress/plan", tests);
}
