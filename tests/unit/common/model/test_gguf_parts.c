/* gguf_parts: a model in several files is the model in one, whichever of them is named; files that
 * do not belong together are told by name. The files are of llama.cpp's own writer. */
#include "common/model/gguf_parts.h"

#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/model/model_in.h"
#include "tests/lib/check_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PARTS = 3, TENSORS = 16 };

static char folder[64];
static ps_buf parts[PARTS]; /* as they were */

static char *path_in(const char *in, const char *name)
{
    return ps_asprintf("%s/%s", in, name);
}

static char *part_path(const char *in, unsigned number)
{
    return ps_asprintf("%s/gpt2-%05u-of-%05u.gguf", in, number, PARTS);
}

static char *golden_folder(void)
{
    return ps_asprintf("%s/tests/golden/gguf", getenv("PSD_SOURCE_ROOT"));
}

static void put(const char *path, const ps_buf *bytes)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    if (bytes->len)
        ck_assert_uint_eq(fwrite(bytes->data, 1, bytes->len, f), bytes->len);
    ck_assert_int_eq(fclose(f), 0);
}

/* Copies of the three files, to be spoilt. */
static void open_folder(void)
{
    char *golden = golden_folder();
    strcpy(folder, "/tmp/psd-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    for (unsigned i = 0; i < PARTS; i++) {
        char *from = part_path(golden, i + 1), *to = part_path(folder, i + 1);
        parts[i] = PS_BUF_EMPTY;
        ck_ok(ps_disk_read_file(&ps_disk_system, from, 1 << 20, &parts[i]));
        put(to, &parts[i]);
        ps_free(&from);
        ps_free(&to);
    }
    ps_free(&golden);
}

static void close_folder(void)
{
    char command[96];
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
    for (unsigned i = 0; i < PARTS; i++)
        ps_buf_free(&parts[i]);
}

static ps_status convert(const char *path, ps_buf *out)
{
    ps_model_in *in = NULL;
    uint8_t piece[4099];
    size_t got = 0;
    ps_status st = ps_model_in_open(path, &(ps_model_in_options){.float32 = true}, &in);
    while (!st) {
        st = ps_model_in_read(in, piece, sizeof piece, &got);
        if (st || !got)
            break;
        ps_buf_append(out, piece, got);
    }
    ps_model_in_close(&in);
    return st;
}

static ps_status convert_part(unsigned number, ps_buf *out)
{
    char *path = part_path(folder, number);
    ps_status st = convert(path, out);
    ps_free(&path);
    return st;
}

START_TEST(any_part_is_the_whole_model)
{
    ps_buf whole = PS_BUF_EMPTY;
    char *golden = golden_folder(), *one = path_in(golden, "gpt2.gguf");
    open_folder();
    ck_ok(convert(one, &whole));
    for (unsigned i = 1; i <= PARTS; i++) {
        ps_buf got = PS_BUF_EMPTY;
        ck_assert_msg(convert_part(i, &got) == PS_OK, "%s", ps_error_message());
        ck_assert_uint_eq(got.len, whole.len);
        ck_assert_mem_eq(got.data, whole.data, whole.len);
        ps_buf_free(&got);
    }
    ps_buf_free(&whole);
    ps_free(&one);
    ps_free(&golden);
    close_folder();
}
END_TEST

/* Whichever part is named, the import fails, with these words. */
static void refuses(ps_status want, const char *words)
{
    for (unsigned i = 1; i <= PARTS; i++) {
        ps_buf out = PS_BUF_EMPTY;
        char *path = part_path(folder, i);
        bool there = access(path, F_OK) == 0;
        ps_free(&path);
        if (!there)
            continue;
        ps_status st = convert_part(i, &out);
        ck_assert_msg(st == want, "part %u: %d %s", i, st, ps_error_message());
        ck_assert_msg(strstr(ps_error_message(), words), "part %u: '%s' is not in '%s'", i, words,
                      ps_error_message());
        ps_buf_free(&out);
    }
}

START_TEST(a_part_that_is_missing_is_named)
{
    for (unsigned missing = 1; missing <= PARTS; missing++) {
        char words[64];
        open_folder();
        char *path = part_path(folder, missing);
        ck_assert_int_eq(unlink(path), 0);
        (void)snprintf(words, sizeof words, "/gpt2-%05u-of-00003.gguf: No such file", missing);
        refuses(PS_NOT_FOUND, words);
        refuses(PS_NOT_FOUND, "the model is in 3 files, and one is missing: ");
        ps_free(&path);
        close_folder();
    }
}
END_TEST

START_TEST(a_part_of_another_name_is_told_what_it_must_be)
{
    ps_buf out = PS_BUF_EMPTY;
    open_folder();
    char *path = path_in(folder, "model.gguf");
    put(path, &parts[1]);
    ck_assert_int_eq(convert(path, &out), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(
        ps_error_message(), "/model.gguf: it is part 2 of a model in 3 files, whose names must "
                            "end as they were made: this one in -00002-of-00003.gguf"));
    ps_free(&path);
    ps_buf_free(&out);
    close_folder();
}
END_TEST

/* Part number, with the little-endian value of this key (4 bytes of type before it) changed. */
static void patch(unsigned number, const char *key, uint16_t to)
{
    ps_buf *bytes = &parts[number - 1];
    uint8_t *at = memmem(bytes->data, bytes->len, key, strlen(key));
    ck_assert_ptr_nonnull(at);
    at += strlen(key) + 4;
    at[0] = (uint8_t)to;
    at[1] = (uint8_t)(to >> 8);
    char *path = part_path(folder, number);
    put(path, bytes);
    ps_free(&path);
}

static void patch_all(const char *key, uint16_t to)
{
    for (unsigned i = 1; i <= PARTS; i++)
        patch(i, key, to);
}

START_TEST(parts_that_do_not_belong_together_are_refused)
{
    open_folder();
    patch(2, "split.tensors.count", TENSORS + 1);
    ps_buf out = PS_BUF_EMPTY;
    ck_assert_int_eq(convert_part(1, &out), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(),
                                 "gpt2-00002-of-00003.gguf: it says that there "
                                 "are 17 tensors in all, another part says 16"));
    ps_buf_free(&out);
    patch_all("split.tensors.count", TENSORS + 1);
    refuses(PS_INVALID_ARGUMENT, "the files have 16 tensors, and key split.tensors.count says 17");
    patch_all("split.tensors.count", 0); /* it need not be said */
    ck_ok(convert_part(2, &out));
    ps_buf_free(&out);
    close_folder();

    open_folder(); /* two change places */
    char *two = part_path(folder, 2), *three = part_path(folder, 3);
    put(two, &parts[2]);
    ck_assert_int_eq(convert(two, &out), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "it is part 3 of a model in 3 files, whose"));
    ck_assert_int_eq(convert_part(1, &out), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "gpt2-00002-of-00003.gguf: it says that it is "
                                                     "part 3 of 3, not what its name says"));
    put(two, &parts[1]);
    put(three, &parts[1]); /* one is there twice */
    ps_buf_clear(&parts[2]);
    ps_buf_append(&parts[2], parts[1].data, parts[1].len);
    patch(3, "split.no", 2);
    patch_all("split.tensors.count", 0);
    refuses(PS_INVALID_ARGUMENT, "is there twice");
    ps_free(&two);
    ps_free(&three);
    close_folder();
}
END_TEST

START_TEST(counts_are_within_bounds)
{
    open_folder();
    patch_all("split.count", PS_GGUF_MAX_PARTS + 1);
    refuses(PS_INVALID_ARGUMENT, "key split.count: 4097 files, allowed 4096");
    patch_all("split.count", 1);
    ps_buf out = PS_BUF_EMPTY;
    ck_assert_int_eq(convert_part(3, &out), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "key split.no: 2, of 1 files"));
    close_folder();
}
END_TEST

/* In the second file's header: refused, or another model, and nothing worse. */
START_TEST(a_flipped_bit_does_no_harm)
{
    open_folder();
    char *path = part_path(folder, 2);
    for (size_t i = 0; i < 700; i++) {
        ps_buf out = PS_BUF_EMPTY;
        parts[1].data[i] ^= (uint8_t)(1 << (i % 8));
        put(path, &parts[1]);
        parts[1].data[i] ^= (uint8_t)(1 << (i % 8));
        ps_status st = convert_part(1, &out);
        ck_assert(st == PS_OK || st == PS_INVALID_ARGUMENT || st == PS_NOT_FOUND);
        ps_buf_free(&out);
    }
    for (size_t len = 0; len < parts[1].len; len += 311) { /* and one that is cut */
        ps_buf out = PS_BUF_EMPTY, cut = PS_BUF_EMPTY;
        ps_buf_append(&cut, parts[1].data, len);
        put(path, &cut);
        ck_assert_int_ne(convert_part(3, &out), PS_OK);
        ck_assert_ptr_nonnull(strstr(ps_error_message(), "gpt2-00002-of-00003.gguf: "));
        ps_buf_free(&out);
        ps_buf_free(&cut);
    }
    ps_free(&path);
    close_folder();
}
END_TEST

static const ps_check_case cases[] = {
    {&any_part_is_the_whole_model},
    {&a_part_that_is_missing_is_named},
    {&a_part_of_another_name_is_told_what_it_must_be},
    {&parts_that_do_not_belong_together_are_refused},
    {&counts_are_within_bounds},
    {&a_flipped_bit_does_no_harm, 60},
    {0},
};

int main(void)
{
    return ps_check_main("common/model/gguf_parts", cases);
}
