/* quantization_config as folders of the world have it: what is read says which layouts, and what is
 * not is named. */
#include "common/model/hf_quantization.h"
#include "tests/lib/check_main.h"
#include "tests/lib/ck_ok.h"

#include <string.h>

static ps_status parse(const char *keys, ps_hf_quantization *out)
{
    ps_buf json = PS_BUF_EMPTY;
    ps_buf_printf(&json, "{\"model_type\":\"llama\",\"quantization_config\":%s,\"vocab_size\":8}",
                  keys);
    ps_status st = ps_hf_quantization_parse(ps_buf_slice(&json), out);
    ps_buf_free(&json);
    return st;
}

#define WEIGHTS(bits, type, symmetric, strategy, size)                                   \
    "\"weights\":{\"actorder\":null,\"block_structure\":null,\"dynamic\":false,\"group_" \
    "size\":" size ",\"num_bits\":" bits                                                 \
    ",\"observer\":\"minmax\",\"observer_kwargs\":{},\"strategy\":\"" strategy           \
    "\",\"symmetric\":" symmetric ",\"type\":\"" type "\"}"
#define TOKENS(type)                                                                            \
    "\"input_activations\":{\"actorder\":null,\"block_structure\":null,\"dynamic\":true,"       \
    "\"group_size\":null,\"num_bits\":8,\"observer\":null,\"observer_kwargs\":{},\"strategy\":" \
    "\"token\",\"symmetric\":true,\"type\":\"" type "\"}"
#define GROUP(name, more, format) \
    "\"" name "\":{" more ",\"output_activations\":null,\"targets\":[\"re:.*q_proj\"]" format "}"
#define CT(format, groups, more)                                                             \
    "{\"config_groups\":{" groups "},\"format\":\"" format                                   \
    "\",\"global_compression_ratio\":1.5,\"ignore\":[\"lm_head\"],\"kv_cache_scheme\":null," \
    "\"quant_method\":\"compressed-tensors\",\"quantization_status\":\"compressed\"" more "}"
#define ONE(format, weights) CT(format, GROUP("group_0", weights, ""), "")

#define GPTQ                                                                                     \
    "{\"bits\":4,\"group_size\":128,\"damp_percent\":0.1,\"desc_act\":true,\"static_groups\":"   \
    "false,\"sym\":true,\"true_sequential\":true,\"model_name_or_path\":null,\"model_file_base_" \
    "name\":\"model\",\"quant_method\":\"gptq\"}"
#define AWQ                                                                            \
    "{\"bits\":4,\"group_size\":128,\"modules_to_not_convert\":[\"lm_head\"],\"quant_" \
    "method\":\"awq\",\"version\":\"gemm\",\"zero_point\":true}"

static const struct {
    const char *keys;
    const ps_packed_row *rows[3];
    bool symmetric, by_rows, mixed;
    const char *activations;
} read[] = {
    {GPTQ, {&ps_packed_gptq}, .symmetric = true},
    {AWQ, {&ps_packed_awq}},
    {ONE("pack-quantized", WEIGHTS("4", "int", "true", "group", "128")),
     {&ps_packed_ct},
     .symmetric = true},
    {ONE("pack-quantized", WEIGHTS("4", "int", "false", "group", "128")),
     {&ps_packed_ct_zeros},
     .symmetric = true},
    {ONE("int-quantized", WEIGHTS("8", "int", "true", "channel", "null") "," TOKENS("int")),
     {&ps_packed_int8},
     .symmetric = true,
     .by_rows = true,
     .activations = "int8"},
    {ONE("float-quantized", WEIGHTS("8", "float", "true", "channel", "null") "," TOKENS("float")),
     {&ps_packed_fp8},
     .symmetric = true,
     .by_rows = true,
     .activations = "fp8"},
    {ONE("naive-quantized", WEIGHTS("8", "int", "true", "channel", "null")),
     {&ps_packed_int8},
     .symmetric = true,
     .by_rows = true},
    {ONE("mxfp4-pack-quantized", WEIGHTS("4", "float", "true", "group", "32")),
     {&ps_packed_mxfp4},
     .symmetric = true},
    {CT("pack-quantized", GROUP("g", WEIGHTS("8", "int", "true", "group", "128"), ""),
        ",\"sparsity_config\":{\"format\":\"dense\",\"global_sparsity\":0.1,\"targets\":[]}"),
     {&ps_packed_ct},
     .symmetric = true},
    {CT("mixed-precision",
        GROUP("a", WEIGHTS("4", "int", "true", "group", "32"),
              ",\"format\":\"pack-quantized\"") "," GROUP("b",
                                                          WEIGHTS("8", "float", "true", "channel",
                                                                  "null"),
                                                          ",\"format\":\"float-quantized\""),
        ""),
     {&ps_packed_ct, &ps_packed_fp8},
     .symmetric = true,
     .mixed = true},
};
enum { READ = sizeof read / sizeof *read };

START_TEST(what_is_read)
{
    ps_hf_quantization q;
    ck_ok(parse(read[_i].keys, &q));
    for (size_t i = 0; i < 3; i++)
        ck_assert_ptr_eq(q.rows[i], read[_i].rows[i]);
    ck_assert(q.symmetric == read[_i].symmetric && q.by_rows == read[_i].by_rows &&
              q.mixed == read[_i].mixed);
    ck_assert(!q.activations == !read[_i].activations);
    if (q.activations)
        ck_assert_str_eq(q.activations, read[_i].activations);
}
END_TEST

#define W4 WEIGHTS("4", "int", "true", "group", "128")

static const struct {
    const char *keys, *words;
} refused[] = {
    {"{\"_load_in_4bit\":true,\"bnb_4bit_quant_type\":\"nf4\",\"quant_method\":\"bitsandbytes\"}",
     "quant_method 'bitsandbytes' (NF4, FP4 or LLM.int8 of bitsandbytes) is not read by psd"},
    {"{\"activation_scale_ub\":1200.0,\"modules_to_not_convert\":[],\"quant_method\":\"fbgemm_"
     "fp8\"}",
     "quant_method 'fbgemm_fp8' (FP8 rows, and activations in FP8)"},
    {"{\"activation_scheme\":\"dynamic\",\"fmt\":\"e4m3\",\"quant_method\":\"fp8\",\"weight_block_"
     "size\":[128,128]}",
     "quant_method 'fp8' (FP8 with a scale a tensor or a square of weight_block_size"},
    {"{\"modules_to_not_convert\":[\"lm_head\"],\"quant_method\":\"mxfp4\"}",
     "quant_method 'mxfp4' (MXFP4 experts, as gpt-oss has them)"},
    {"{\"weights\":\"int8\",\"quant_method\":\"eetq\"}", "quant_method 'eetq' ("},
    {"{\"quant_config\":{},\"quant_method\":\"hqq\"}", "quant_method 'hqq' ("},
    {"{\"weights\":\"int4\",\"quant_method\":\"quanto\"}", "quant_method 'quanto' ("},
    {"{\"quant_type\":\"int4_weight_only\",\"quant_method\":\"torchao\"}",
     "quant_method 'torchao' ("},
    {"{\"packing_format\":\"auto_round:auto_gptq\",\"quant_method\":\"auto-round\"}",
     "let it write auto_gptq or auto_awq"},
    {"{\"config_for_layers\":{},\"quant_method\":\"vptq\"}", "quant_method 'vptq' ("},
    {"{\"in_group_size\":8,\"quant_method\":\"aqlm\"}", "quant_method 'aqlm' ("},
    {"{\"load_in_8bit\":true}", "quant_method is missing; allowed: compressed-tensors, gptq, awq"},
    {"{\"quant_method\":\"x\"}", "quant_method 'x' is not known; allowed: compressed-tensors"},
    {"{\"quant_method\":\"gptq\",\"bits\":4,\"desc\":1}", "key 'desc' is not known"},
    {"{\"quant_method\":\"awq\",\"version\":\"gemv_fast\"}", "key 'version' is 'gemv_fast'"},
    {CT("pack-quantized", GROUP("g", W4, ""), ",\"sparsity_config\":{\"format\":\"sparse-24\"}"),
     "key 'format' is 'sparse-24'"},
    {CT("pack-quantized", GROUP("g", W4, ""), ",\"transform_config\":{\"r1\":{}}"),
     "key 'transform_config' says something"},
    {"{\"quant_method\":\"compressed-tensors\",\"kv_cache_scheme\":{\"num_bits\":8}}",
     "key 'kv_cache_scheme' is 'an object or a list'"},
    {"{\"quant_method\":\"compressed-tensors\",\"quantization_status\":\"frozen\"}",
     "key 'quantization_status' is 'frozen'"},
    {CT("pack-quantized", "", ""), "config_groups has no group"},
    {ONE("nvfp4-pack-quantized", W4), "key 'format' is 'nvfp4-pack-quantized'"},
    {ONE("marlin-24", W4), "key 'format' is 'marlin-24'"},
    {ONE("float-quantized", W4), "key 'format' and keys of 'weights' say different things"},
    {ONE("mixed-precision", W4), "say different things: format 'mixed-precision'"},
    {ONE("int-quantized", WEIGHTS("8", "int", "false", "channel", "null")), "symmetric 'false'"},
    {ONE("mxfp4-pack-quantized", WEIGHTS("4", "float", "true", "group", "16")),
     "say different things"},
    {ONE("float-quantized", WEIGHTS("8", "float", "true", "tensor", "null")),
     "key 'strategy' is 'tensor'"},
    {ONE("pack-quantized", W4 ",\"input_activations\":{\"dynamic\":false}"),
     "key 'dynamic' is 'false'"},
    {ONE("pack-quantized", W4 ",\"input_activations\":{\"strategy\":\"tensor\"}"),
     "key 'strategy' is 'tensor'"},
    {"{\"quant_method\":\"gptq\",\"format\":\"gptq_v2\",\"checkpoint_format\":\"gptq\"}",
     "key 'checkpoint_format' is 'gptq', and 'checkpoint_format' or 'format' before it 'gptq_v2'"},
    {GPTQ ",\"quantization_config\":{\"quant_method\":\"gptq\"}",
     "key 'quantization_config' is there twice"},
};
enum { REFUSED = sizeof refused / sizeof *refused };

START_TEST(what_is_not_read_is_named)
{
    ps_hf_quantization q;
    ck_assert_int_eq(parse(refused[_i].keys, &q), PS_INVALID_ARGUMENT);
    ck_assert_msg(strstr(ps_error_message(), refused[_i].words), "%s", ps_error_message());
    ck_assert_ptr_null(strchr(ps_error_message(), '\n'));
}
END_TEST

START_TEST(a_folder_without_it_has_numbers)
{
    ps_hf_quantization q;
    ck_ok(ps_hf_quantization_parse(ps_slice_str("{\"model_type\":\"llama\"}"), &q));
    ck_assert_ptr_null(q.rows[0]);
}
END_TEST

static ps_hf_quantization of_file(const char *json, const char *method)
{
    ps_hf_quantization q;
    ck_ok(ps_hf_quantization_parse_file(ps_slice_str(json), method, &q));
    return q;
}

START_TEST(two_files_agree_or_are_refused)
{
    ps_hf_quantization in, beside;
    ck_ok(parse(GPTQ, &in));
    beside = of_file("{\"bits\":4,\"group_size\":128,\"damp_percent\":0.01,\"desc_act\":false}",
                     "gptq"); /* says less, and nothing else */
    ck_assert_ptr_eq(beside.rows[0], &ps_packed_gptq);
    ck_ok(ps_hf_quantization_join(&in, &beside));
    beside = of_file("{\"bits\":8,\"group_size\":128}", "gptq");
    ck_assert_int_eq(ps_hf_quantization_join(&in, &beside), PS_INVALID_ARGUMENT);
    ck_assert_msg(strstr(ps_error_message(), "key 'bits' is '4'"), "%s", ps_error_message());
    beside = of_file("{\"zero_point\":true,\"q_group_size\":128,\"w_bit\":4,\"version\":\"GEMM\"}",
                     "awq");
    ck_assert_ptr_eq(beside.rows[0], &ps_packed_awq);
    ck_assert(!beside.symmetric);
    ck_assert_int_eq(ps_hf_quantization_join(&in, &beside), PS_INVALID_ARGUMENT);
    ck_assert_msg(strstr(ps_error_message(), "key 'quant_method' is 'gptq'"), "%s",
                  ps_error_message());
}
END_TEST

/* Which of the two files says that zeros are as they are makes no difference. */
START_TEST(the_file_that_says_how_zeros_stand_counts)
{
    static const char silent[] = "{\"bits\":4,\"quant_method\":\"gptq\"}";
    static const char first[] = "{\"bits\":4,\"checkpoint_format\":\"gptq\"}";
    static const char *const second[] = {"{\"bits\":4,\"checkpoint_format\":\"gptq_v2\"}",
                                         "{\"bits\":4,\"format\":\"gptq_v2\"}"};
    for (int i = 0; i < 2; i++) {
        ps_hf_quantization in = of_file(silent, "gptq"), beside = of_file(second[i], "gptq");
        ck_ok(ps_hf_quantization_join(&in, &beside));
        ck_assert(in.plain_zeros);
        ck_ok(ps_hf_quantization_join(&in, &beside)); /* and the next file is held against it */
        in = of_file(second[i], "gptq");
        beside = of_file(silent, "gptq");
        ck_ok(ps_hf_quantization_join(&in, &beside));
        ck_assert(in.plain_zeros);
        beside = of_file(first, "gptq");
        ck_assert_int_eq(ps_hf_quantization_join(&in, &beside), PS_INVALID_ARGUMENT);
    }
}
END_TEST

/* Nor which of them says that there are zeros, or that a scale is a row's. */
START_TEST(the_file_that_speaks_of_zeros_and_groups_counts)
{
    static const char silent[] = "{\"bits\":4,\"quant_method\":\"gptq\"}";
    static const char says[] = "{\"bits\":4,\"sym\":false,\"group_size\":-1}";
    ps_hf_quantization in = of_file(silent, "gptq"), beside = of_file(says, "gptq");
    ck_assert(in.symmetric && !in.by_rows);
    ck_ok(ps_hf_quantization_join(&in, &beside));
    ck_assert(!in.symmetric && in.by_rows);
    beside = of_file("{\"bits\":4,\"sym\":true}", "gptq"); /* the next is held against it */
    ck_assert_int_eq(ps_hf_quantization_join(&in, &beside), PS_INVALID_ARGUMENT);
    in = of_file(says, "gptq");
    beside = of_file(silent, "gptq");
    ck_ok(ps_hf_quantization_join(&in, &beside));
    ck_assert(!in.symmetric && in.by_rows);
}
END_TEST

/* OCP's microscaling formats, 5.4.1: 255 as a scale is NaN. */
START_TEST(a_scale_of_mxfp4_that_is_nan_is_refused)
{
    enum { ROWS = 2, COLUMNS = 64 };
    const ps_packed_matrix m = {{ps_form_find("mxfp4"), 32}, ROWS, COLUMNS};
    uint8_t codes[ROWS * COLUMNS / 2] = {0}, scales[ROWS * COLUMNS / 32] = {254, 0, 127, 128};
    uint8_t blocks[ROWS * COLUMNS / 32 * 17];
    const uint8_t *const parts[] = {codes, scales};
    ck_ok(ps_packed_mxfp4.unpack(&m, false, parts, blocks));
    scales[3] = 255;
    ck_assert_int_eq(ps_packed_mxfp4.unpack(&m, false, parts, blocks), PS_INVALID_ARGUMENT);
    ck_assert_msg(strstr(ps_error_message(), "row 1 has a scale that is NaN"), "%s",
                  ps_error_message());
}
END_TEST

START_TEST(zeros_of_mxfp4_leave_with_a_scale_that_is_a_number)
{
    const ps_packed_matrix m = {{ps_form_find("mxfp4"), 32}, 1, 64};
    uint8_t blocks[2 * 17] = {255, 0x80, 0x08, [17] = 255, 0x10}, codes[32], scales[2];
    uint8_t *const parts[] = {codes, scales};
    ps_packed_mxfp4.pack(&m, blocks, parts);
    ck_assert_int_eq(scales[0], 0);
    ck_assert_int_eq(scales[1], 255); /* which nobody reads as a number: the export is refused */
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &what_is_read, .repeat = READ},
    {.test = &what_is_not_read_is_named, .repeat = REFUSED},
    {.test = &a_folder_without_it_has_numbers},
    {.test = &two_files_agree_or_are_refused},
    {.test = &the_file_that_speaks_of_zeros_and_groups_counts},
    {.test = &the_file_that_says_how_zeros_stand_counts},
    {.test = &a_scale_of_mxfp4_that_is_nan_is_refused},
    {.test = &zeros_of_mxfp4_leave_with_a_scale_that_is_a_number},
    {0},
};

int main(void)
{
    return ps_check_main("common/model/hf_quantization", tests);
}
