/* sealing: what a pass has seen to be as it should be is not read again by upkeep. */
#include "server/sealing.h"

#include "common/base/whole_file.h"
#include "tests/lib/check_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES = 40 };

static char folder[64];

static char *in(const char *name)
{
    static char paths[4][160];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof *paths, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *path, const char *text, size_t len)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, len, file), len);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(path, 0600), 0);
}

static void make_folder(void)
{
    char key[32];
    strcpy(folder, "/tmp/psd-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(mkdir(in("models"), 0700), 0);
    for (int i = 0; i < 2; i++) {
        memset(key, 'a' + i, sizeof key);
        write_file(in(i ? "new" : "old"), key, sizeof key);
    }
}

static void remove_folder(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static char kek[200], before[200];
static char *previous[] = {before};

static ps_server_sealing conf_of(const char *current, bool has_previous)
{
    (void)snprintf(kek, sizeof kek, "file:%s/%s", folder, current);
    (void)snprintf(before, sizeof before, "file:%s/old", folder);
    return (ps_server_sealing){
        .kek = kek, .previous = previous, .n_previous = has_previous ? 1 : 0};
}

static const char *model(int i)
{
    char name[64];
    (void)snprintf(name, sizeof name, "models/m.%016x.safetensors", i);
    return in(name);
}

static void add(const ps_sealing *s, int i)
{
    ck_ok(ps_whole_file_save(ps_sealing_disk(s), model(i), ps_slice_str("weights")));
}

static void spoil(int i)
{
    char key[200];
    (void)snprintf(key, sizeof key, "%s.key", model(i));
    write_file(key, "none", 4);
}

/* Sealed files beside the catalog's key, which is none here, and so unreadable: 1. */
static uint64_t sealed_of(const ps_sealing_counts *c)
{
    uint64_t n = 0;
    for (size_t i = 0; i < c->n_keys; i++)
        n += c->keys[i].files;
    return n;
}

START_TEST(upkeep_reads_what_it_does_not_know)
{
    make_folder();
    ps_server_sealing conf = conf_of("old", false);
    ps_sealing *s = NULL;
    ps_sealing_counts c;
    ck_ok(ps_sealing_open(&conf, folder, "lab", &s));
    for (int i = 0; i < FILES; i++)
        add(s, i);
    ps_sealing_upkeep(s, 1000, &c);
    ck_assert_uint_eq(sealed_of(&c), FILES);
    ck_assert_uint_eq(c.unreadable, 1);
    for (int i = 0; i < 5; i++)
        spoil(i); /* behind psd's back */
    add(s, FILES);
    const ps_disk *disk = ps_sealing_disk(s);
    ck_ok(disk->unlink(disk->state, model(FILES - 1)));
    ps_sealing_upkeep(s, 1000, &c); /* the new one is read, and no other */
    ck_assert_uint_eq(sealed_of(&c), FILES);
    ck_assert_uint_eq(c.unreadable, 1);
    ps_sealing_pass(s, 0, &c); /* what a person asks for is looked at */
    ck_assert_uint_eq(c.unreadable, 1 + 5);
    ck_assert_uint_eq(sealed_of(&c), FILES - 5);
    ps_sealing_upkeep(s, 1000, &c); /* which is known from there on */
    ck_assert_uint_eq(c.unreadable, 1 + 5);
    ps_sealing_close(&s);
    remove_folder();
}
END_TEST

START_TEST(another_key_is_no_one_that_is_known)
{
    make_folder();
    ps_server_sealing conf = conf_of("old", false);
    ps_sealing *s = NULL;
    ps_sealing_counts c;
    ck_ok(ps_sealing_open(&conf, folder, "lab", &s));
    for (int i = 0; i < FILES; i++)
        add(s, i);
    ps_sealing_upkeep(s, 1000, &c);
    conf = conf_of("new", true);
    ck_ok(ps_sealing_reload(s, &conf));
    ps_sealing_upkeep(s, 60000, &c);
    ck_assert_uint_eq(c.done, FILES);
    ck_assert_uint_eq(c.keys[0].files, FILES);
    ps_sealing_upkeep(s, 60000, &c);
    ck_assert_uint_eq(c.done, 0);
    ck_assert_uint_eq(c.keys[0].files, FILES);
    ps_sealing_close(&s);
    remove_folder();
}
END_TEST

static const ps_check_case cases[] = {
    {&upkeep_reads_what_it_does_not_know, 30},
    {&another_key_is_no_one_that_is_known, 30},
    {0},
};

int main(void)
{
    return ps_check_main("server/sealing", cases);
}
