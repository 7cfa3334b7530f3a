#include "common/security/identity.h"

#include "tests/lib/check_main.h"

#include <string.h>

#define L63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

START_TEST(good_identities_parse_and_format_back)
{
    static const struct {
        const char *uri, *cluster, *name;
        ps_role role;
    } good[] = {
        {"spiffe://lab/worker/w1", "lab", "w1", PS_ROLE_WORKER},
        {"spiffe://a/server/0", "a", "0", PS_ROLE_SERVER},
        {"spiffe://prod.example.org/submitter/ann_b-c.d", "prod.example.org", "ann_b-c.d",
         PS_ROLE_SUBMITTER},
        {"spiffe://1/observer/127.0.0.1", "1", "127.0.0.1", PS_ROLE_OBSERVER},
        {"spiffe://" L63 "/admin/" L63, L63, L63, PS_ROLE_ADMIN},
        {"spiffe://a--_./worker/a..b", "a--_.", "a..b", PS_ROLE_WORKER},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ps_identity who;
        char text[PS_IDENTITY_TEXT_MAX];
        ck_assert_msg(ps_identity_parse(ps_slice_str(good[i].uri), &who) == PS_OK, "%s: %s",
                      good[i].uri, ps_error_message());
        ck_assert_str_eq(who.cluster, good[i].cluster);
        ck_assert_str_eq(who.name, good[i].name);
        ck_assert_int_eq(who.role, good[i].role);
        ck_assert_str_eq(ps_identity_format(&who, text), good[i].uri);
    }
}
END_TEST

START_TEST(bad_identities_are_refused_with_what_is_wrong)
{
    static const struct {
        const char *uri, *says;
    } bad[] = {
        {"", "does not start with spiffe://"},
        {"spiffe:/", "does not start with spiffe://"},
        {"https://lab/worker/w1", "does not start with spiffe://"},
        {"SPIFFE://lab/worker/w1", "does not start with spiffe://"},
        {" spiffe://lab/worker/w1", "does not start with spiffe://"},
        {"spiffe://", "a part is missing"},
        {"spiffe://lab", "a part is missing"},
        {"spiffe://lab/worker", "a part is missing"},
        {"spiffe://lab/worker/", "name is empty"},
        {"spiffe:///worker/w1", "cluster is empty"},
        {"spiffe://lab//w1",
         "role '' is not one of server, worker, submitter, observer, admin, signer"},
        {"spiffe://lab/root/w1", "role 'root' is not one of"},
        {"spiffe://lab/Worker/w1", "role 'Worker' is not one of"},
        {"spiffe://lab/worker2/w1", "role 'worker2' is not one of"},
        {"spiffe://lab/work/w1", "role 'work' is not one of"},
        {"spiffe://lab/none/w1", "role 'none' is not one of"},
        {"spiffe://lab/worker/w1/", "more than spiffe://CLUSTER/ROLE/NAME"},
        {"spiffe://lab/worker/w1/x", "more than spiffe://CLUSTER/ROLE/NAME"},
        {"spiffe://lab/worker/W1", "name 'W1' must start with a-z or 0-9"},
        {"spiffe://lab/worker/wA", "character 2 is not one of"},
        {"spiffe://lab/worker/..", "must start with a-z or 0-9"},
        {"spiffe://lab/worker/-w", "must start with a-z or 0-9"},
        {"spiffe://lab/worker/w%31", "character 2 is not one of"},
        {"spiffe://lab/worker/w1?x=1", "character 3 is not one of"},
        {"spiffe://lab/worker/w1#x", "character 3 is not one of"},
        {"spiffe://lab:443/worker/w1", "cluster 'lab:443': character 4"},
        {"spiffe://u@lab/worker/w1", "cluster 'u@lab': character 2"},
        {"spiffe://lab/worker/w\n1", "name 'w?1': character 2"},
        {"spiffe://lab/worker/w\xc3\xa9", "name 'w?\?': character 2"},
        {"spiffe://lab/worker/" L63 "a", "has 64 characters, at most 63"},
        {"spiffe://" L63 "a/worker/w", "has 64 characters, at most 63"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ps_identity who = {.role = PS_ROLE_ADMIN, .name = "untouched"};
        ck_assert_msg(ps_identity_parse(ps_slice_str(bad[i].uri), &who) == PS_INVALID_ARGUMENT,
                      "%s", bad[i].uri);
        ck_assert_msg(strstr(ps_error_message(), bad[i].says) != NULL, "%s: %s", bad[i].uri,
                      ps_error_message());
        ck_assert_str_eq(who.name, "untouched");
    }
}
END_TEST

START_TEST(a_zero_byte_does_not_end_an_identity)
{
    static const char bytes[] = "spiffe://lab/worker/w1\0.evil";
    ps_identity who;
    ck_assert_int_eq(ps_identity_parse(ps_slice_of(bytes, sizeof bytes - 1), &who),
                     PS_INVALID_ARGUMENT);
    ck_assert_int_eq(ps_identity_parse(ps_slice_of(bytes, 23), &who), PS_INVALID_ARGUMENT);
    ck_ok(ps_identity_parse(ps_slice_of(bytes, 22), &who));
    ck_assert_int_eq(ps_identity_parse((ps_slice){0}, &who), PS_INVALID_ARGUMENT);
}
END_TEST

START_TEST(a_hostile_identity_makes_a_short_printable_message)
{
    char bytes[4096];
    memset(bytes, 0x1b, sizeof bytes);
    ps_identity who;
    ck_assert_int_eq(ps_identity_parse(ps_slice_of(bytes, sizeof bytes), &who),
                     PS_INVALID_ARGUMENT);
    ck_assert_uint_lt(strlen(ps_error_message()), 200);
    for (const char *c = ps_error_message(); *c; c++)
        ck_assert(*c >= 0x20 && *c < 0x7f);
}
END_TEST

START_TEST(a_cluster_is_the_name_alone)
{
    char cluster[PS_IDENTITY_PART_MAX + 1];
    ck_ok(ps_identity_parse_cluster(ps_slice_str("spiffe://lab.x"), cluster));
    ck_assert_str_eq(cluster, "lab.x");
    static const char *const bad[] = {"spiffe://",     "lab",
                                      "spiffe://lab/", "spiffe://lab/worker/w",
                                      "spiffe://LAB",  "spiffe://" L63 "a"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(ps_identity_parse_cluster(ps_slice_str(bad[i]), cluster),
                         PS_INVALID_ARGUMENT);
}
END_TEST

START_TEST(identities_are_made_of_checked_parts)
{
    ps_identity a, b;
    ck_ok(ps_identity_make("lab", PS_ROLE_WORKER, "w1", &a));
    ck_ok(ps_identity_parse(ps_slice_str("spiffe://lab/worker/w1"), &b));
    ck_assert(ps_identity_equal(&a, &b));
    b.role = PS_ROLE_ADMIN;
    ck_assert(!ps_identity_equal(&a, &b));
    ck_assert_int_eq(ps_identity_make("lab", PS_ROLE_NONE, "w1", &a), PS_INVALID_ARGUMENT);
    ck_assert_int_eq(ps_identity_make("lab", PS_ROLE_COUNT, "w1", &a), PS_INVALID_ARGUMENT);
    ck_assert_int_eq(ps_identity_make("lab/x", PS_ROLE_WORKER, "w1", &a), PS_INVALID_ARGUMENT);
    ck_assert_int_eq(ps_identity_make("lab", PS_ROLE_WORKER, "", &a), PS_INVALID_ARGUMENT);
}
END_TEST

START_TEST(sets_of_roles_are_listed)
{
    char text[80];
    ck_assert_str_eq(ps_role_set_text(PS_ROLES_CLIENTS, text, sizeof text),
                     "worker, submitter, observer, admin");
    ck_assert_str_eq(ps_role_set_text(0, text, sizeof text), "none");
    ck_assert_str_eq(ps_role_set_text(PS_ROLES_CLIENTS, text, 12), "worker, sub");
    ck_assert_str_eq(ps_role_name(PS_ROLE_NONE), "none");
    ck_assert_str_eq(ps_role_name((ps_role)99), "none");
}
END_TEST

static const ps_check_case cases[] = {
    {&good_identities_parse_and_format_back},
    {&bad_identities_are_refused_with_what_is_wrong},
    {&a_zero_byte_does_not_end_an_identity},
    {&a_hostile_identity_makes_a_short_printable_message},
    {&a_cluster_is_the_name_alone},
    {&identities_are_made_of_checked_parts},
    {&sets_of_roles_are_listed},
    {0},
};

int main(void)
{
    return ps_check_main("security/identity", cases);
}
