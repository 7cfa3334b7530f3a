/* out_folder: several files replace those of a folder, all of them or none. */
#include "common/model/out_folder.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LONG = 253 }; /* a name with "old." before it is longer than names may be */

static char folder[64], long_name[LONG + 1];

static char *path_in(const char *name)
{
    return ps_asprintf("%s/%s", folder, name);
}

static void put(char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
    ps_free(&path);
}

static void is(const char *name, const char *text)
{
    char got[16] = "";
    char *path = path_in(name);
    FILE *f = fopen(path, "r");
    ck_assert_msg((f != NULL) == (text != NULL), "%s", name);
    if (f) {
        ck_assert_ptr_nonnull(fgets(got, sizeof got, f));
        ck_assert_str_eq(got, text);
        (void)fclose(f);
    }
    ps_free(&path);
}

/* How many names the folder has. */
static size_t count(void)
{
    size_t n = 0;
    DIR *dir = opendir(folder);
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *e; (e = readdir(dir));)
        n += *e->d_name != '.';
    (void)closedir(dir);
    return n;
}

static ps_out_folder *begin(void)
{
    strcpy(folder, "/tmp/psd-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    memset(long_name, 'n', LONG);
    put(path_in("config"), "old config");
    put(path_in("weights"), "old weights");
    put(path_in("other"), "of nobody");
    ps_out_folder *f = NULL;
    ck_ok(ps_out_folder_open(&(ps_model_out_options){.path = folder, .force = true}, &f));
    put(ps_out_folder_file(f, "config"), "new config");
    put(ps_out_folder_file(f, "weights"), "new weights");
    put(ps_out_folder_file(f, "added"), "new file");
    return f;
}

/* Nothing has changed. */
static void is_as_before(size_t n)
{
    is("config", "old config");
    is("weights", "old weights");
    is("other", "of nobody");
    is("added", NULL);
    ck_assert_uint_eq(count(), n);
}

static void end(void)
{
    char *command = ps_asprintf("rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
    ps_free(&command);
}

START_TEST(all_files_replace_those_of_their_names)
{
    ps_out_folder *f = begin();
    ck_ok(ps_out_folder_finish(&f));
    is("config", "new config");
    is("weights", "new weights");
    is("added", "new file");
    is("other", "of nobody");
    ck_assert_uint_eq(count(), 4);
    end();
}
END_TEST

/* Parts, of which one comes anew, beside what is named in nearly the same way. */
static ps_out_folder *begin_away(void)
{
    ps_out_folder *f = begin();
    put(path_in("w-00001-of-00003.x"), "part");
    put(path_in("w-00002-of-00003.x"), "part");
    put(path_in("w-00002-of-00003.y"), "of nobody");
    put(path_in("w-2-of-3.x"), "of nobody");
    put(path_in("gone"), "old");
    ps_out_folder_takes_away(f, "gone");
    ps_out_folder_takes_away(f, "never there");
    ps_out_folder_takes_parts_away(f, "w", ".x");
    put(ps_out_folder_file(f, "w-00001-of-00003.x"), "new part");
    return f;
}

START_TEST(parts_of_before_go_with_those_that_are_replaced)
{
    ps_out_folder *f = begin_away();
    ck_ok(ps_out_folder_finish(&f));
    is("config", "new config");
    is("w-00001-of-00003.x", "new part");
    is("w-00002-of-00003.x", NULL);
    is("gone", NULL);
    is("w-00002-of-00003.y", "of nobody");
    is("w-2-of-3.x", "of nobody");
    ck_assert_uint_eq(count(), 7);
    end();
}
END_TEST

START_TEST(parts_of_before_stay_after_a_failure)
{
    ps_out_folder *f = begin_away();
    char *path = ps_asprintf("%s/config", ps_out_folder_unnamed(f));
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_ne(ps_out_folder_finish(&f), PS_OK);
    is("w-00001-of-00003.x", "part");
    is("w-00002-of-00003.x", "part");
    is("gone", "old");
    is_as_before(8);
    ps_free(&path);
    end();
}
END_TEST

START_TEST(a_folder_in_the_place_of_a_file_is_told_before_anything_changes)
{
    ps_out_folder *f = begin();
    char *path = path_in("vocabulary");
    ck_assert_int_eq(mkdir(path, 0700), 0);
    put(ps_out_folder_file(f, "vocabulary"), "new");
    ck_assert_int_eq(ps_out_folder_finish(&f), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "vocabulary is a folder"));
    is_as_before(4);
    ps_free(&path);
    end();
}
END_TEST

/* The last of the files that are there cannot be put aside. */
START_TEST(what_cannot_be_put_aside_leaves_all_as_it_was)
{
    ps_out_folder *f = begin();
    put(path_in(long_name), "old");
    put(ps_out_folder_file(f, long_name), "new");
    ck_assert_int_ne(ps_out_folder_finish(&f), PS_OK);
    is(long_name, "old");
    is_as_before(4);
    end();
}
END_TEST

/* The last file to come is gone: those that came before it go again. */
START_TEST(what_does_not_come_in_leaves_all_as_it_was)
{
    ps_out_folder *f = begin();
    char *path = ps_asprintf("%s/config", ps_out_folder_unnamed(f));
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_ne(ps_out_folder_finish(&f), PS_OK);
    is_as_before(3);
    ps_free(&path);
    end();
}
END_TEST

static const ps_check_case tests[] = {
    {&all_files_replace_those_of_their_names},
    {&parts_of_before_go_with_those_that_are_replaced},
    {&parts_of_before_stay_after_a_failure},
    {&a_folder_in_the_place_of_a_file_is_told_before_anything_changes},
    {&what_cannot_be_put_aside_leaves_all_as_it_was},
    {&what_does_not_come_in_leaves_all_as_it_was},
    {0},
};

int main(void)
{
    return ps_check_main("model/out_folder", tests);
}
