/* support: what psd says is looked at before it becomes a file's name or a word of the shell. */
#include "client/call/support.h"

#include "tests/lib/check_main.h"

START_TEST(psd_cannot_name_a_file_that_is_not_plain)
{
    static char good[] = "describe.json";
    static char bad[][16] = {"",    "../.bashrc", "/etc/passwd", "$(reboot)",
                             "a b", ".hidden",    "a\033[2J"};
    Psd__V1__Artifact first = PSD__V1__ARTIFACT__INIT, second = PSD__V1__ARTIFACT__INIT;
    Psd__V1__Artifact *both[] = {&first, &second};
    Psd__V1__ListArtifactsResponse list = PSD__V1__LIST_ARTIFACTS_RESPONSE__INIT;
    ck_ok(ps_check_artifacts(&list));
    list.artifacts = both;
    list.n_artifacts = 2;
    first.name = second.name = good;
    ck_ok(ps_check_artifacts(&list));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        second.name = bad[i];
        ck_assert_msg(ps_check_artifacts(&list) == PS_INVALID_ARGUMENT, "%s", bad[i]);
    }
}
END_TEST

static const ps_check_case cases[] = {
    {&psd_cannot_name_a_file_that_is_not_plain},
    {0},
};

int main(void)
{
    return ps_check_main("client/call/support", cases);
}
