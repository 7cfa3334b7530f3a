/* What llama-quantize makes of each tensor, by hand: the figures of its source, and what is known
 * of the files that people share. */
#include "common/form/mix.h"

#include "tests/lib/check_main.h"

#include <string.h>

static const char *form_of(const char *mix, ps_mix_tensor t)
{
    t.n_dims = t.n_dims ? t.n_dims : 2;
    t.columns = t.columns ? t.columns : 4096;
    t.layers = t.layers ? t.layers : 32;
    return ps_mix_form(ps_mix_find(mix), &t).row->name;
}

#define OF(mix, ...) form_of(mix, (ps_mix_tensor){__VA_ARGS__})

START_TEST(every_kind_is_found_under_its_name)
{
    size_t n = 0;
    for (; ps_mix_names[n]; n++) {
        const ps_mix *mix = ps_mix_find(ps_mix_names[n]);
        ck_assert_str_eq(ps_mix_name(mix), ps_mix_names[n]);
        ck_assert_str_eq(OF(ps_mix_names[n], PS_PART_UP), ps_mix_base(mix).row->name);
    }
    ck_assert_uint_eq(n, 22);
    ck_assert_ptr_null(ps_mix_find("q4_k_xl"));
    ck_assert_uint_eq(ps_mix_file_type(ps_mix_find("q4_k_m")), 15);
    ck_assert_uint_eq(ps_mix_file_type(ps_mix_find("bf16")), 32);
}
END_TEST

/* A Q4_K_M of 32 layers has attn_v and ffn_down as Q6_K in these. */
START_TEST(sensitive_layers_get_more_bits)
{
    static const bool more[32] = {1, 1, 1, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1,
                                  0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 1, 1, 1, 1};
    for (uint64_t layer = 0; layer < 32; layer++) {
        const char *want = more[layer] ? "q6_k" : "q4_k";
        ck_assert_str_eq(OF("q4_k_m", PS_PART_V, .layer = layer), want);
        ck_assert_str_eq(OF("q4_k_m", PS_PART_QKV, .layer = layer), want);
        ck_assert_str_eq(OF("q4_k_m", PS_PART_DOWN, .layer = layer), want);
        ck_assert_str_eq(OF("q4_k_m", PS_PART_K, .layer = layer), "q4_k");
        ck_assert_str_eq(OF("q4_k_s", PS_PART_V, .layer = layer), layer < 4 ? "q5_k" : "q4_k");
        ck_assert_str_eq(OF("q3_k_m", PS_PART_V, .layer = layer), layer < 2 ? "q5_k" : "q4_k");
        ck_assert_str_eq(OF("q3_k_m", PS_PART_DOWN, .layer = layer), layer < 2 ? "q5_k" : "q4_k");
    }
    ck_assert_str_eq(OF("q3_k_m", PS_PART_O), "q4_k");
    ck_assert_str_eq(OF("q3_k_l", PS_PART_O), "q5_k");
    ck_assert_str_eq(OF("q3_k_s", PS_PART_O), "q3_k");
    ck_assert_str_eq(OF("q2_k", PS_PART_O), "q3_k");
    ck_assert_str_eq(OF("q2_k", PS_PART_V, .heads = 32, .kv_heads = 8), "q4_k");
    ck_assert_str_eq(OF("q2_k", PS_PART_V, .heads = 32, .kv_heads = 32), "q3_k");
    ck_assert_str_eq(OF("q4_k_m", PS_PART_V, .layer = 12, .layers = 80, .heads = 64, .kv_heads = 8),
                     "q6_k");
    ck_assert_str_eq(OF("q4_k_m", PS_PART_V, .layer = 10, .layers = 80, .heads = 64, .kv_heads = 8),
                     "q5_k");
}
END_TEST

START_TEST(importance_changes_what_is_safe)
{
    ck_assert_str_eq(OF("q4_0", PS_PART_DOWN), "q4_0");
    ck_assert_str_eq(OF("q4_0", PS_PART_DOWN, .importance = true), "q4_1");
    ck_assert_str_eq(OF("q5_0", PS_PART_DOWN, .importance = true), "q5_1");
    ck_assert_str_eq(OF("q4_0", PS_PART_DOWN, .importance = true, .layer = 4), "q4_0");
    ck_assert_str_eq(OF("iq4_nl", PS_PART_DOWN), "q5_k");
    ck_assert_str_eq(OF("iq4_nl", PS_PART_DOWN, .importance = true), "iq4_nl");
}
END_TEST

START_TEST(head_norms_and_positions_have_their_own)
{
    ck_assert_str_eq(OF("q4_k_m", PS_PART_HEAD, .head = true), "q6_k");
    ck_assert_str_eq(OF("q4_0", PS_PART_TOKENS, .head = true), "q6_k");
    ck_assert_str_eq(OF("q4_0", PS_PART_TOKENS), "q4_0");
    ck_assert_str_eq(OF("q8_0", PS_PART_TOKENS, .head = true), "q8_0");
    ck_assert_str_eq(OF("mxfp4", PS_PART_HEAD, .head = true), "q8_0");
    ck_assert_str_eq(OF("f16", PS_PART_HEAD, .head = true), "float16");
    ck_assert_str_eq(OF("q4_0", PS_PART_NORM, .n_dims = 1), "float32");
    ck_assert_str_eq(OF("f16", PS_PART_POSITIONS), "float32");
}
END_TEST

/* SmolLM2's rows of 576, and rows that nothing divides. */
START_TEST(rows_that_are_no_whole_blocks_fall_back)
{
    static const char *const instead[][2] = {
        {"q2_k", "q4_0"}, {"q3_k_s", "q4_0"}, {"q4_k_s", "q5_0"},   {"q5_k_s", "q5_1"},
        {"q6_k", "q8_0"}, {"q4_0", "q4_0"},   {"iq4_nl", "iq4_nl"}, {"mxfp4", "mxfp4"}};
    for (size_t i = 0; i < sizeof instead / sizeof *instead; i++) {
        ck_assert_str_eq(OF(instead[i][0], PS_PART_UP, .columns = 576), instead[i][1]);
        ck_assert_str_eq(OF(instead[i][0], PS_PART_UP, .columns = 100), "float16");
        ck_assert_str_eq(OF(instead[i][0], PS_PART_HEAD, .columns = 576, .head = true), "q8_0");
    }
    ck_assert_str_eq(OF("q4_k_m", PS_PART_V, .columns = 576), "q8_0");
    ck_assert_str_eq(OF("f16", PS_PART_UP, .columns = 7), "float16");
}
END_TEST

static const ps_check_case cases[] = {
    {&every_kind_is_found_under_its_name},      {&sensitive_layers_get_more_bits},
    {&importance_changes_what_is_safe},         {&head_norms_and_positions_have_their_own},
    {&rows_that_are_no_whole_blocks_fall_back}, {0},
};

int main(void)
{
    return ps_check_main("form/mix", cases);
}
