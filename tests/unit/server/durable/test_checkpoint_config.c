/* checkpoint_config: what a checkpoint says of its store, in words, and what those of older
 * versions said by position. Golden files: tests/golden/checkpoint. */
#include "server/durable/checkpoint_config.h"

#include "common/base/crc32c.h"
#include "server/params/store_settings.h"
#include "tests/unit/server/durable/checkpoint_rig.h"

/* The encoded form of these lines. */
static ps_buf lines_of(const char *settings, const char *tensors)
{
    ps_buf out = PS_BUF_EMPTY;
    ps_buf_put_u64le(&out, PS_CHECKPOINT_CONFIG_VERSION);
    ps_buf_printf(&out, "%s\n%s", settings, tensors);
    return out;
}

static ps_status decode(const char *settings, const char *tensors, ps_checkpoint_config *out)
{
    ps_buf bytes = lines_of(settings, tensors);
    ps_status st = ps_checkpoint_config_decode(ps_buf_slice(&bytes), out);
    ps_buf_free(&bytes);
    return st;
}

/* A value that is another one, and allowed: of a number half of it, and of 0 and 1 the next. */
static void put_other(const char *value, size_t len, ps_buf *out)
{
    char text[64] = "", *end;
    ck_assert_uint_lt(len, sizeof text);
    memcpy(text, value, len);
    double number = strtod(text, &end);
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        ps_buf_puts(out, *text == 't' ? "false" : "true");
    else if (*end || end == text) /* a name */
        ps_buf_puts(out, text);
    else if (number == 0 || number == 1)
        ps_buf_printf(out, "%g", number + 1);
    else
        ps_buf_printf(out, "%.15g", number / 2);
}

/* The line with all values changed. */
static ps_buf changed(const char *line)
{
    ps_buf out = PS_BUF_EMPTY;
    const char *value;
    for (; (value = strstr(line, ": ")); line = value) {
        value += 2;
        ps_buf_append(&out, line, (size_t)(value - line));
        if (*value != '{') {
            size_t len = strcspn(value, ",}");
            put_other(value, len, &out);
            value += len;
        }
    }
    ps_buf_puts(&out, line);
    return out;
}

/* So a hyperparameter that store_settings.c forgets in either direction is found here, whatever it
 * is: all keys of the schema are in the line, and none has its default. */
START_TEST(every_setting_that_the_job_file_has_comes_back)
{
    test_params p;
    test_params_init(&p, 5, 6);
    p.plans[1].undecayed = true;
    for (const char *const *name = ps_optimizer_names; *name; name++) {
        ps_store_spec *spec;
        ps_buf bytes = PS_BUF_EMPTY, usual = PS_BUF_EMPTY;
        char least[128];
        (void)snprintf(least, sizeof least, "{optimizer: {name: %s, learning_rate: 0.25}}", *name);
        ck_ok(ps_store_spec_parse(ps_slice_str(least), "least", &spec));
        ps_store_spec_format(spec, &usual);
        ps_store_spec_free(&spec);
        ps_buf wanted = changed(ps_buf_cstr(&usual));
        ck_ok(ps_store_spec_parse(ps_buf_slice(&wanted), "changed", &spec));
        ps_store_settings_take(spec, &p.config);
        p.config.controller = test_controller(spec->consistency.mode);
        ps_checkpoint_config_encode(&p.config, &bytes);
        char *line = (char *)bytes.data + 8;
        *strchr(line, '\n') = 0;
        ck_assert_str_eq(line, ps_buf_cstr(&wanted));
        ps_store_spec_free(&spec);
        ps_buf_free(&bytes);
        ps_buf_free(&usual);
        ps_buf_free(&wanted);
    }
}
END_TEST

START_TEST(tensors_come_back_with_any_name_and_shape)
{
    test_params p;
    test_params_init(&p, 5, 6);
    p.plans[0].name = "a \"quoted\"\nname\x7f, übel: {x}";
    p.config.column_blocks = 1;
    p.plans[1].rank = 0;
    p.plans[1].undecayed = true;
    ps_buf bytes = PS_BUF_EMPTY;
    ps_checkpoint_config_encode(&p.config, &bytes);
    ps_checkpoint_config read;
    ck_ok(ps_checkpoint_config_decode(ps_buf_slice(&bytes), &read));
    ck_assert_uint_eq(read.config.n_plans, 2);
    ck_assert_str_eq(read.plans[0].name, p.plans[0].name);
    ck_assert_uint_eq(read.plans[0].shape[0], 5);
    ck_assert_uint_eq(read.plans[0].shape[1], 6);
    ck_assert_uint_eq(read.plans[1].rank, 0);
    ck_assert(!read.plans[0].undecayed && read.plans[1].undecayed);
    ck_assert_uint_eq(read.elements, 31);
    ck_assert_str_eq(read.consistency, "asp");
    ps_checkpoint_config_free(&read);
    p.config.n_plans = 1;
    ps_buf_clear(&bytes);
    ps_checkpoint_config_encode(&p.config, &bytes);
    for (size_t len = 0; len < bytes.len; len++) { /* cut short, it is none */
        ps_status st = ps_checkpoint_config_decode(ps_slice_of(bytes.data, len), &read);
        ck_assert(st == PS_CORRUPT || st == PS_FAILED_PRECONDITION);
    }
    ps_buf_free(&bytes);
}
END_TEST

/* As a file of before the key was there is read. */
START_TEST(a_setting_that_a_file_does_not_name_takes_its_default)
{
    ps_checkpoint_config read;
    ck_ok(decode("{optimizer: {name: lion, learning_rate: 0.5}}", "{\"name\":\"w\"}\n", &read));
    ck_assert_double_eq(read.config.optimizer.learning_rate, 0.5);
    ck_assert_double_eq(read.config.optimizer.beta1, 0.9);
    ck_assert_double_eq(read.config.optimizer.beta2, 0.99); /* lion's own */
    ck_assert_double_eq(read.config.optimizer.weight_decay, 0);
    ck_assert_int_eq(read.config.schedule.kind, PS_SCHEDULE_CONSTANT);
    ck_assert_uint_eq(read.config.column_blocks, 1);
    ck_assert_str_eq(read.consistency, "asp");
    ck_assert(read.plans[0].rank == 0 && !read.plans[0].undecayed);
    ps_checkpoint_config_free(&read);
}
END_TEST

static const struct {
    const char *settings, *tensors, *says;
} newer[] = {
    {"{optimizer: {name: sgd, learning_rate: 1, momentumm: 1}}", "",
     "optimizer.momentumm: unknown"},
    {"{optimizer: {name: adam3, learning_rate: 1}}", "", "'adam3' is not known"},
    {"{optimizer: {name: sgd, learning_rate: 1}, consistency: {mode: ssp}}", "",
     "consistency.mode"},
    {"{optimizer: {name: sgd, learning_rate: 1}}", "{\"name\":\"w\",\"rows\":3}\n",
     "rows: unknown"},
};

/* It means something to whoever wrote it. */
START_TEST(a_key_that_is_not_known_is_named_and_refused)
{
    ps_checkpoint_config read;
    ck_assert_int_eq(decode(newer[_i].settings, newer[_i].tensors, &read), PS_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), newer[_i].says));
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "a newer psd wrote it; start that one"));
}
END_TEST

START_TEST(a_version_that_is_not_known_is_refused)
{
    ps_checkpoint_config read;
    ps_buf bytes = lines_of("{optimizer: {name: sgd, learning_rate: 1}}", "{\"name\":\"w\"}\n");
    ck_ok(ps_checkpoint_config_decode(ps_buf_slice(&bytes), &read));
    ps_checkpoint_config_free(&read);
    ps_put_u64le(bytes.data, PS_CHECKPOINT_CONFIG_VERSION + 1);
    ck_assert_int_eq(ps_checkpoint_config_decode(ps_buf_slice(&bytes), &read),
                     PS_FAILED_PRECONDITION);
    ps_put_u64le(bytes.data, 0);
    ck_assert_int_eq(ps_checkpoint_config_decode(ps_buf_slice(&bytes), &read), PS_CORRUPT);
    ps_buf_free(&bytes);
}
END_TEST

#define ONE "{optimizer: {name: sgd, learning_rate: 1}}"
static const char *const damaged[] = {
    "",
    "\n",
    "{\"name\":\"w\"}",
    "{\"shape\":[2],\"decays\":true}\n",
    "{\"name\":\"w\",\"name\":\"w\"}\n",
    "{\"name\":\"w\\u0000x\"}\n",
    "{\"name\":\"w\",\"shape\":[0]}\n",
    "{\"name\":\"w\",\"shape\":[2.5]}\n",
    "{\"name\":\"w\",\"shape\":[-1]}\n",
    "{\"name\":\"w\",\"shape\":[1,1,1,1,1,1,1,1,1]}\n",
    "{\"name\":\"w\",\"shape\":[281474976710656]}\n{\"name\":\"v\",\"shape\":[1]}\n",
    "{\"name\":\"w\",\"decays\":1}\n",
    "{\"name\":\"w\"}{\"name\":\"v\"}\n",
};

START_TEST(lines_that_are_no_tensors_are_damage)
{
    ps_checkpoint_config read;
    ck_assert_int_eq(decode(ONE, damaged[_i], &read), PS_CORRUPT);
}
END_TEST

static ps_param_store *load_golden(const char *name)
{
    char path[512];
    ps_param_store *store;
    (void)snprintf(path, sizeof path, "%s/tests/golden/checkpoint/%s", getenv("PSD_SOURCE_ROOT"),
                   name);
    ck_ok(ps_checkpoint_load_file(&ps_disk_system, path, NULL, &store, NULL));
    return store;
}

/* Settings as make.py beside the files has them. */
START_TEST(settings_by_position_are_read)
{
    ps_param_store *store = load_golden("eeb907e-lion");
    const ps_param_config *c = ps_param_store_config(store);
    ck_assert_str_eq(c->optimizer.name, "lion");
    ck_assert_double_eq(c->optimizer.learning_rate, 0.0003);
    ck_assert_double_eq(c->optimizer.beta2, 0.99);
    ck_assert_double_eq(c->optimizer.weight_decay, 0.1);
    ck_assert_int_eq(c->schedule.kind, PS_SCHEDULE_COSINE);
    ck_assert_uint_eq(c->schedule.warmup_steps, 100);
    ck_assert_double_eq(c->schedule.final_factor, 0.1);
    ck_assert_double_eq(c->clip_norm, 2.5);
    ck_assert_uint_eq(c->column_blocks, 2);
    ck_assert_str_eq(c->controller->name, "asp");
    ck_assert_str_eq(c->plans[0].name, "layers.0.weight");
    ck_assert(c->plans[0].shape[0] == 4 && c->plans[0].shape[1] == 16);
    ck_assert(!c->plans[0].undecayed && c->plans[1].undecayed);
    ps_param_store_unref(&store);
    store = load_golden("eeb907e-momentum");
    c = ps_param_store_config(store);
    ck_assert_str_eq(c->optimizer.name, "momentum");
    ck_assert_double_eq(c->optimizer.momentum, 0.85);
    ck_assert(c->optimizer.nesterov && !c->plans[1].undecayed);
    ck_assert_str_eq(c->controller->name, "bsp");
    ps_param_store_unref(&store);
    store = load_golden("asp"); /* of before tensors said whether they decay: all did */
    c = ps_param_store_config(store);
    ck_assert_double_eq(c->optimizer.learning_rate, 1e-7);
    ck_assert_int_eq(c->schedule.kind, PS_SCHEDULE_LINEAR);
    ck_assert(!c->plans[0].undecayed);
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(what_an_older_psd_wrote_is_written_again_in_words)
{
    static const char *const names[] = {"eeb907e-lion", "eeb907e-momentum", "bsp"};
    make_folder();
    ps_param_store *before = load_golden(names[_i]);
    ck_ok(write_to(&ps_disk_system, before));
    ps_param_store *after = load(NULL);
    assert_same(before, after);
    ps_buf a = PS_BUF_EMPTY, b = PS_BUF_EMPTY;
    ps_checkpoint_config_encode(ps_param_store_config(before), &a);
    ps_checkpoint_config_encode(ps_param_store_config(after), &b);
    ck_assert_str_eq(ps_buf_cstr(&a) + 8, ps_buf_cstr(&b) + 8);
    ps_buf_free(&a);
    ps_buf_free(&b);
    ps_param_store_unref(&before);
    ps_param_store_unref(&after);
    remove_folder();
}
END_TEST

/* Changes a letter of the settings in checkpoint-1, with the checksums of its section (section.h),
 * which begins behind 8 bytes. */
static void rewrite(char from, char to)
{
    enum { SECTION = 8, PAYLOAD = SECTION + 20 };
    char path[96];
    static uint8_t bytes[1 << 16];
    (void)snprintf(path, sizeof path, "%s/checkpoint-1", folder);
    FILE *f = fopen(path, "r+");
    ck_assert_ptr_nonnull(f);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    ps_cursor c = ps_cursor_of(ps_slice_of(bytes + SECTION + 8, 8));
    uint64_t len = ps_read_u64le(&c);
    uint8_t *at = memchr(bytes + PAYLOAD, from, len);
    ck_assert_ptr_nonnull(at);
    *at = (uint8_t)to;
    ps_put_u32le(bytes + SECTION + 4, ps_crc32c(0, bytes + PAYLOAD, len));
    ps_put_u32le(bytes + SECTION + 16, ps_crc32c(0, bytes + SECTION, 16));
    rewind(f);
    ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

/* What is in it is worth more than the wait for that psd: it is no damage. */
START_TEST(a_checkpoint_of_a_newer_psd_stays_as_it_is)
{
    make_folder();
    ps_param_store *store = new_store("asp"), *out = NULL;
    ck_ok(write_to(&ps_disk_system, store));
    rewrite('k', 'j'); /* column_blocks */
    ps_param_store_unref(&store);
    ck_assert_int_eq(ps_checkpoint_load(&ps_disk_system, folder, NULL, &out, NULL, NULL),
                     PS_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "/checkpoint-1: a newer psd wrote it"));
    remove_folder();
}
END_TEST

#define COUNT(list) (int)(sizeof(list) / sizeof *(list))
static const ps_check_case cases[] = {
    {&every_setting_that_the_job_file_has_comes_back},
    {&tensors_come_back_with_any_name_and_shape},
    {&a_setting_that_a_file_does_not_name_takes_its_default},
    {&a_key_that_is_not_known_is_named_and_refused, 0, COUNT(newer)},
    {&a_version_that_is_not_known_is_refused},
    {&lines_that_are_no_tensors_are_damage, 0, COUNT(damaged)},
    {&settings_by_position_are_read},
    {&what_an_older_psd_wrote_is_written_again_in_words, 0, 3},
    {&a_checkpoint_of_a_newer_psd_stays_as_it_is},
    {0},
};

int main(void)
{
    return ps_check_main("server/durable/checkpoint_config", cases);
}
