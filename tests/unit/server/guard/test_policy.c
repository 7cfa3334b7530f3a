#include "server/guard/policy.h"

#include "tests/lib/check_main.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool may(ps_role role, const char *path)
{
    ps_identity who;
    ck_ok(ps_identity_make("lab", role, "x", &who));
    return ps_policy_check(&who, path) == PS_OK;
}

static const ps_policy_rule *rule_of(const char *path)
{
    const ps_policy_rule *rule;
    for (size_t i = 0; (rule = ps_policy_rule_at(i)); i++)
        if (strcmp(rule->path, path) == 0)
            return rule;
    return NULL;
}

/* Reads `service X {` and `rpc Y(` of one proto file; returns how many calls there were. */
static int check_proto(const char *path)
{
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s", path);
    char line[512], service[64] = "", call[64], full[192];
    int calls = 0;
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "service %63[A-Za-z]", service) == 1)
            continue;
        if (sscanf(line, " rpc %63[A-Za-z]", call) != 1)
            continue;
        (void)snprintf(full, sizeof full, "/psd.v1.%s/%s", service, call);
        ck_assert_msg(rule_of(full) != NULL, "%s of %s has no row in policy.c", full, path);
        calls++;
    }
    fclose(file);
    return calls;
}

START_TEST(every_call_of_the_proto_files_has_a_row)
{
    const char *root = getenv("PSD_SOURCE_ROOT");
    ck_assert_msg(root != NULL, "PSD_SOURCE_ROOT is not set");
    char folder[1024], path[1400];
    (void)snprintf(folder, sizeof folder, "%s/proto/psd/v1", root);
    DIR *dir = opendir(folder);
    ck_assert_msg(dir != NULL, "%s", folder);
    int calls = 0, rows = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (!strstr(entry->d_name, ".proto"))
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        calls += check_proto(path);
    }
    closedir(dir);
    for (size_t i = 0; ps_policy_rule_at(i); i++)
        rows += strncmp(ps_policy_rule_at(i)->path, "/psd.v1.", 8) == 0;
    ck_assert_int_ge(calls, 20);
    ck_assert_int_eq(calls, rows); /* and no row is left of a call that is gone */
}
END_TEST

START_TEST(what_has_no_row_is_denied_to_everybody)
{
    static const char *const paths[] = {
        "",
        "/",
        "/psd.v1.Jobs/",
        "/psd.v1.Jobs/submit",
        "psd.v1.Jobs/Submit",
        "/psd.v1.Jobs/Submit/",
        "/psd.v1.Jobs/Submit ",
        "/psd.v1.Jobs/Submit?x",
        "//psd.v1.Jobs/Submit",
        "/psd.v1.Secret/Get",
        "/grpc.health.v1.Health/",
        "/psd.v1.Admin/*",
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        for (int role = PS_ROLE_NONE + 1; role < PS_ROLE_COUNT; role++)
            ck_assert_msg(!may((ps_role)role, paths[i]), "%s as %s", paths[i],
                          ps_role_name((ps_role)role));
}
END_TEST

START_TEST(nobody_may_nothing)
{
    ps_identity nobody = {0}, beyond = {.role = PS_ROLE_COUNT}, wild = {.role = (ps_role)77};
    for (size_t i = 0; ps_policy_rule_at(i); i++) {
        ck_assert_int_eq(ps_policy_check(&nobody, ps_policy_rule_at(i)->path),
                         PS_PERMISSION_DENIED);
        ck_assert_int_eq(ps_policy_check(&beyond, ps_policy_rule_at(i)->path),
                         PS_PERMISSION_DENIED);
        ck_assert_int_eq(ps_policy_check(&wild, ps_policy_rule_at(i)->path), PS_PERMISSION_DENIED);
    }
}
END_TEST

/* The design's words, row by row, written a second time: who may what. */
START_TEST(roles_may_what_the_design_says)
{
    static const struct {
        const char *path, *who; /* initials of worker, submitter, observer, admin */
    } expected[] = {
        {"/psd.v1.Parameters/Describe", "wsa"},
        {"/psd.v1.Parameters/Pull", "wsa"},
        {"/psd.v1.Parameters/Push", "w"},
        {"/psd.v1.Parameters/Clock", "w"},
        {"/psd.v1.Jobs/Submit", "sa"},
        {"/psd.v1.Jobs/Get", "soa"},
        {"/psd.v1.Jobs/List", "soa"},
        {"/psd.v1.Jobs/Cancel", "sa"},
        {"/psd.v1.Jobs/Watch", "soa"},
        {"/psd.v1.Workers/Attach", "w"},
        {"/psd.v1.Workers/List", "soa"},
        {"/psd.v1.Models/List", "soa"},
        {"/psd.v1.Models/Get", "soa"},
        {"/psd.v1.Models/Import", "sa"},
        {"/psd.v1.Models/Export", "wsa"},
        {"/psd.v1.Models/Delete", "sa"},
        {"/psd.v1.Models/ListArtifacts", "soa"},
        {"/psd.v1.Models/PutArtifact", "wsa"},
        {"/psd.v1.Models/GetArtifact", "wsoa"},
        {"/psd.v1.Admin/Status", "soa"},
        {"/psd.v1.Admin/Quotas", "soa"},
        {"/psd.v1.Admin/Reload", "a"},
        {"/psd.v1.Admin/Checkpoint", "a"},
        {"/psd.v1.Admin/Drain", "a"},
        {"/psd.v1.Admin/Keys", "a"},
        {"/psd.v1.Admin/RotateKeys", "a"},
        {"/psd.v1.Admin/RetireKey", "a"},
        {"/psd.v1.Identity/Renew", "wsoa"},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const char *path = expected[i].path, *who = expected[i].who;
        ck_assert_msg(!may(PS_ROLE_SERVER, path), "%s", path);
        ck_assert_msg(may(PS_ROLE_WORKER, path) == !!strchr(who, 'w'), "worker %s", path);
        ck_assert_msg(may(PS_ROLE_SUBMITTER, path) == !!strchr(who, 's'), "submitter %s", path);
        ck_assert_msg(may(PS_ROLE_OBSERVER, path) == !!strchr(who, 'o'), "observer %s", path);
        ck_assert_msg(may(PS_ROLE_ADMIN, path) == !!strchr(who, 'a'), "admin %s", path);
    }
}
END_TEST

START_TEST(a_refusal_names_role_call_and_who_may)
{
    ps_identity who;
    ck_ok(ps_identity_make("lab", PS_ROLE_OBSERVER, "eve", &who));
    ck_assert_int_eq(ps_policy_check(&who, "/psd.v1.Jobs/Submit"), PS_PERMISSION_DENIED);
    ck_assert_str_eq(ps_error_message(), "role observer may not call psd.v1.Jobs/Submit; allowed "
                                         "roles: submitter, admin");
    ck_assert_int_eq(ps_policy_check(&who, "/a\r\nb\x80"), PS_PERMISSION_DENIED);
    ck_assert_str_eq(ps_error_message(),
                     "role observer may not call a??b?; it has no rule, so nobody may");
}
END_TEST

static const ps_check_case cases[] = {
    {&every_call_of_the_proto_files_has_a_row},
    {&what_has_no_row_is_denied_to_everybody},
    {&nobody_may_nothing},
    {&roles_may_what_the_design_says},
    {&a_refusal_names_role_call_and_who_may},
    {0},
};

int main(void)
{
    return ps_check_main("security/policy", cases);
}
