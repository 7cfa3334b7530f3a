/* token_ids: the three keys as configurations have them, and back; and the chat template out of the
 * files that may hold it. */
#include "common/format/token_ids.h"

#include "common/model/side_files.h"
#include "tests/lib/check_main.h"

#include <string.h>

static ps_token_ids read_of(const char *json)
{
    ps_token_ids ids = {0};
    ps_status st = ps_token_ids_read(ps_slice_str(json), &ids);
    ck_assert_msg(st == PS_OK, "%s: %s", json, ps_error_message());
    return ids;
}

START_TEST(ids_come_back_as_they_were_written)
{
    static const char *const same[] = {
        "{\"bos_token_id\":1,\"eos_token_id\":2,\"pad_token_id\":null}",
        "{\"bos_token_id\":null,\"eos_token_id\":[2,5],\"pad_token_id\":-1}",
        "{\"bos_token_id\":0,\"eos_token_id\":[7],\"pad_token_id\":128009}",
        "{\"bos_token_id\":null,\"eos_token_id\":null,\"pad_token_id\":null}"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        ps_token_ids ids = read_of(same[i]);
        ps_buf out = PS_BUF_EMPTY;
        ps_json_writer w = ps_json_writer_to(&out);
        ps_json_object(&w);
        ps_token_ids_put(&w, &ids);
        ps_json_object_end(&w);
        ck_assert_str_eq(ps_buf_cstr(&out), same[i]);
        ck_assert(ps_token_ids_any(&ids) == (i < 3));
        ps_buf_free(&out);
    }
}
END_TEST

START_TEST(what_is_said_later_replaces_and_null_does_not)
{
    ps_token_ids ids =
        read_of("{\"a\":{\"eos_token_id\":9},\"eos_token_id\":[2,-1,70,5],\"bos_token_id\":1}");
    ck_ok(ps_token_ids_read(ps_slice_str("{\"eos_token_id\":null,\"bos_token_id\":3}"), &ids));
    uint32_t id = 0;
    ck_assert(ps_token_ids_usable(&ids, PS_TOKEN_BOS, 0, 64, &id) && id == 3);
    ck_assert(ps_token_ids_usable(&ids, PS_TOKEN_EOS, 0, 64, &id) && id == 2);
    ck_assert(ps_token_ids_usable(&ids, PS_TOKEN_EOS, 1, 64, &id) && id == 5); /* rows alone */
    ck_assert(!ps_token_ids_usable(&ids, PS_TOKEN_EOS, 2, 64, &id));
    ck_assert(ps_token_ids_usable(&ids, PS_TOKEN_EOS, 1, 71, &id) && id == 70);
    ck_assert(!ps_token_ids_usable(&ids, PS_TOKEN_PAD, 0, 64, &id));
    ps_token_ids_add(&ids, PS_TOKEN_EOS, 5);
    ck_assert_uint_eq(ids.of[PS_TOKEN_EOS].n, 4);
}
END_TEST

START_TEST(what_is_no_id_is_refused_and_changes_nothing)
{
    static const char *const bad[] = {"{\"eos_token_id\":\"a\"}",
                                      "{\"eos_token_id\":1.5}",
                                      "{\"eos_token_id\":-2}",
                                      "{\"eos_token_id\":{}}",
                                      "{\"eos_token_id\":[1,[2]]}",
                                      "{\"eos_token_id\":4294967296}",
                                      "{\"eos_token_id\":[1,null]}",
                                      "{\"eos_token_id\":1e300}",
                                      "[]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ps_token_ids ids = read_of("{\"eos_token_id\":4}");
        ck_assert_msg(ps_token_ids_read(ps_slice_str(bad[i]), &ids) == PS_INVALID_ARGUMENT, "%s",
                      bad[i]);
        ck_assert(ids.of[PS_TOKEN_EOS].n == 1 && ids.of[PS_TOKEN_EOS].at[0] == 4);
    }
    ps_buf many = PS_BUF_EMPTY;
    ps_buf_puts(&many, "{\"eos_token_id\":[0");
    for (int i = 0; i < PS_TOKEN_IDS_MAX; i++)
        ps_buf_puts(&many, ",1");
    ps_buf_puts(&many, "]}");
    ps_token_ids ids = {0};
    ck_assert_int_eq(ps_token_ids_read(ps_buf_slice(&many), &ids), PS_INVALID_ARGUMENT);
    ps_buf_free(&many);
}
END_TEST

START_TEST(the_chat_template_is_found_where_it_is)
{
    static const struct {
        const char *name, *text, *want;
    } cases[] = {
        {"chat_template.jinja", "{{ messages }}", "{{ messages }}"},
        {"tokenizer_config.json", "{\"chat_template\":\"{{ a }}\",\"x\":[1]}", "{{ a }}"},
        {"tokenizer_config.json",
         "{\"chat_template\":[{\"name\":\"tool\",\"template\":\"t\"},{\"template\":\"d\","
         "\"name\":\"default\"}]}",
         "d"},
        {"tokenizer_config.json", "{\"chat_template\":[{\"name\":\"tool\",\"template\":\"t\"}]}",
         NULL},
        {"tokenizer_config.json", "{\"chat_template\":[3]}", NULL},
        {"tokenizer_config.json", "no JSON", NULL},
        {"generation_config.json", "{\"chat_template\":\"a\"}", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ps_safetensors_pair pair = {cases[i].name, cases[i].text};
        ps_safetensors file = {.metadata = &pair, .n_metadata = 1};
        ps_buf out = PS_BUF_EMPTY;
        ck_assert_msg(ps_side_chat_template(&file, &out) == (cases[i].want != NULL), "%s",
                      cases[i].text);
        ck_assert_str_eq(ps_buf_cstr(&out), cases[i].want ? cases[i].want : "");
        ps_buf_free(&out);
    }
    ck_assert(!ps_side_can_be_kept(ps_slice_str("a\xff")));
    ck_assert(!ps_side_can_be_kept(ps_slice_of("a\0b", 3)));
    ck_assert(ps_side_can_be_kept(ps_slice_str("\xc3\xbc")));
}
END_TEST

static const ps_check_case tests[] = {{&ids_come_back_as_they_were_written},
                                      {&what_is_said_later_replaces_and_null_does_not},
                                      {&what_is_no_id_is_refused_and_changes_nothing},
                                      {&the_chat_template_is_found_where_it_is},
                                      {0}};

int main(void)
{
    return ps_check_main("common/format/token_ids", tests);
}
