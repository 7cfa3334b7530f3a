/* elsewhere: which paths are of the net, and what is said of them. */
#include "common/base/elsewhere.h"
#include "tests/lib/check_main.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is said of a path that is not there; the same as of any when `part` is NULL. */
static void check(const char *path, const char *part)
{
    ps_status st = ps_elsewhere(path, ps_fail(PS_NOT_FOUND, "%s: not there", path));
    ck_assert_int_eq(st, PS_NOT_FOUND);
    const char *said = ps_error_message();
    ck_assert_msg(!strncmp(said, path, strlen(path)), "%s", said);
    if (part)
        ck_assert_msg(strstr(said, part) != NULL, "%s", said);
    else
        ck_assert_str_eq(said + strlen(path), ": not there");
}

START_TEST(a_model_of_a_hub_is_one_to_download)
{
    static const char want[] = "hf download org/some-Model_1.5 --local-dir some-Model_1.5, and";
    check("org/some-Model_1.5", want);
    check("hf://org/some-Model_1.5", want);
    check("https://huggingface.co/org/some-Model_1.5", want);
    check("https://huggingface.co/org/some-Model_1.5/resolve/main/model.safetensors", want);
    check("huggingface.co/org/some-Model_1.5", want);
    check("Qwen/Qwen2.5-0.5B", "hf download Qwen/Qwen2.5-0.5B --local-dir Qwen2.5-0.5B, and");
    check("org/Model-v1.x-GGUF", "hf download org/Model-v1.x-GGUF --local-dir");
}
END_TEST

START_TEST(an_address_is_to_be_downloaded)
{
    check("https://example.org/a/model.gguf", "download it (curl -LO), and give the file");
    check("https://huggingface.co/datasets/org/name", "psd fetches nothing");
    check("s3://bucket/model", "psd fetches nothing");
}
END_TEST

START_TEST(a_path_is_a_path)
{
    static const char *const paths[] = {"model",
                                        "./org/name",
                                        "/org/name",
                                        "org/name/",
                                        "org/name/it",
                                        "../name",
                                        "org/model.\x01",
                                        "~/name",
                                        "",
                                        "/",
                                        "data/texts.jsonl",
                                        "models/model.gguf",
                                        "models/model.Q4.gguf",
                                        "data/train.gz"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        check(paths[i], NULL);
    ck_assert_int_eq(mkdir("org", 0700), 0);
    check("org/name", NULL); /* of a folder that is there */
    ck_assert_int_eq(rmdir("org"), 0);
}
END_TEST

START_TEST(other_failures_stay)
{
    ck_assert_int_eq(ps_elsewhere("org/name", ps_fail(PS_NO_ACCESS, "org/name: shut")),
                     PS_NO_ACCESS);
    ck_assert_str_eq(ps_error_message(), "org/name: shut");
}
END_TEST

static const ps_check_case tests[] = {
    {&a_model_of_a_hub_is_one_to_download},
    {&an_address_is_to_be_downloaded},
    {&a_path_is_a_path},
    {&other_failures_stay},
    {0},
};

int main(void)
{
    return ps_check_main("base/elsewhere", tests);
}
