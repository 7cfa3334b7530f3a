#include "tests/lib/tokenizer_folder.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const ps_test_beside_keys[PS_TEST_BESIDE] = {"config", "map", "added"};
static const char *const names[PS_TEST_BESIDE] = {"tokenizer_config.json",
                                                  "special_tokens_map.json", "added_tokens.json"};

static void put(const char *folder, const char *name, ps_slice bytes)
{
    char *path = ps_asprintf("%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes.data, 1, bytes.len, f), bytes.len);
    ck_assert_int_eq(fclose(f), 0);
    ps_free(&path);
}

static void take_away(const char *folder, const char *name)
{
    char *path = ps_asprintf("%s/%s", folder, name);
    (void)unlink(path);
    ps_free(&path);
}

ps_status ps_test_tokenizer_folder(const char *name, ps_slice bytes,
                                   const ps_buf beside[PS_TEST_BESIDE], ps_tokenizer **out)
{
    char folder[] = "/tmp/psd-test-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    put(folder, name, bytes);
    for (size_t i = 0; i < PS_TEST_BESIDE; i++)
        if (beside[i].len)
            put(folder, names[i], ps_buf_slice(&beside[i]));
    ps_status st = ps_tokenizer_open(NULL, folder, out);
    take_away(folder, name);
    for (size_t i = 0; i < PS_TEST_BESIDE; i++)
        take_away(folder, names[i]);
    ck_assert_int_eq(rmdir(folder), 0);
    return st;
}

void ps_test_read_ids(ps_json_reader *json, ps_ids *out)
{
    ps_json_token token;
    ck_ok(ps_json_expect(json, PS_JSON_ARRAY, &token));
    while (ps_json_next(json, &token) == PS_OK && token.kind == PS_JSON_NUMBER)
        ps_ids_add(out, (uint32_t)token.u64);
}
