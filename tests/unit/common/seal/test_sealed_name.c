#include "common/seal/sealed_name.h"

#include "tests/lib/check_main.h"

#include <string.h>

#define HEX "0123456789abcdef"

static void assert_name(const char *path, const char *wanted)
{
    ps_sealed_names names = {"/var/lib/psd", "lab"};
    ps_buf aad = PS_BUF_EMPTY;
    ps_sealed_form form = ps_sealed_name(&names, path, &aad);
    bool log = strstr(path, "/records/");
    ck_assert_msg(form == (!wanted ? PS_SEALED_NONE
                           : log   ? PS_SEALED_LOG
                                   : PS_SEALED_STREAM),
                  "%s", path);
    ck_assert_str_eq(ps_buf_cstr(&aad), wanted ? wanted : "");
    ps_buf_free(&aad);
}

START_TEST(what_says_something_of_parameters_or_data_has_a_name_of_its_own)
{
    assert_name("/var/lib/psd/models/fashion-mlp." HEX ".safetensors",
                "psd/v1 lab model fashion-mlp " HEX);
    assert_name("/var/lib/psd/models/a.b." HEX ".safetensors", "psd/v1 lab model a.b " HEX);
    assert_name("/var/lib/psd/artifacts/17." HEX, "psd/v1 lab artifact 17 " HEX);
    assert_name("/var/lib/psd/checkpoints/17/checkpoint-3", "psd/v1 lab checkpoint 17 3");
    assert_name("/var/lib/psd/checkpoints/17/checkpoint-3.damaged", "psd/v1 lab checkpoint 17 3");
    assert_name("/var/lib/psd/records/17", "psd/v1 lab record 17 0");
    assert_name("/var/lib/psd/psd.db", "psd/v1 lab catalog psd.db 0");
}
END_TEST

START_TEST(what_is_on_its_way_or_says_nothing_has_none)
{
    static const char *const paths[] = {
        "/var/lib/psd/models/.incoming-a." HEX ".safetensors",
        "/var/lib/psd/models/." HEX ".safetensors",
        "/var/lib/psd/models/a." HEX,
        "/var/lib/psd/models/a.0123456789abcdeg.safetensors",
        "/var/lib/psd/models/a." HEX ".safetensors.key",
        "/var/lib/psd/models/a." HEX ".safetensors.sealing",
        "/var/lib/psd/models",
        "/var/lib/psd/artifacts/.incoming-17." HEX,
        "/var/lib/psd/artifacts/" HEX,
        "/var/lib/psd/checkpoints/17/checkpoint.tmp",
        "/var/lib/psd/checkpoints/17/checkpoint-3x",
        "/var/lib/psd/checkpoints/17/manifest",
        "/var/lib/psd/checkpoints/x/checkpoint-3",
        "/var/lib/psd/reserve/0",
        "/var/lib/psd/records/17.new",
        "/var/lib/psd/psd.db-wal",
        "/var/lib/psd2/models/a." HEX ".safetensors",
        "/elsewhere",
        "",
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        assert_name(paths[i], NULL);
}
END_TEST

static const ps_check_case tests[] = {
    {&what_says_something_of_parameters_or_data_has_a_name_of_its_own},
    {&what_is_on_its_way_or_says_nothing_has_none},
    {0},
};

int main(void)
{
    return ps_check_main("seal/sealed_name", tests);
}
