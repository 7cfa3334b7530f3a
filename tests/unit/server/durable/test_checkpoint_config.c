/* store_config: what a checkpoint says of its store, and what one of an older version said. */
#include "server/durable/checkpoint_config.h"

#include "tests/lib/check_main.h"
#include "tests/lib/params.h"

/* Which tensors decay is kept; before version 2 nobody said it, and all did. */
START_TEST(a_configuration_of_before_is_read)
{
    test_params p;
    test_params_init(&p, 5, 6);
    p.plans[1].undecayed = true;
    ps_buf now = PS_BUF_EMPTY, before = PS_BUF_EMPTY;
    ps_checkpoint_config_encode(&p.config, &now);
    ps_checkpoint_config read;
    ck_ok(ps_checkpoint_config_decode(ps_buf_slice(&now), &read));
    ck_assert(!read.plans[0].undecayed && read.plans[1].undecayed);
    ck_assert_str_eq(read.consistency, "asp");
    ps_checkpoint_config_free(&read);

    size_t last = now.len - 3 * 8,
           first = last - (8 + 1) - 4 * 8; /* words behind the plans' names */
    ps_buf_append(&before, now.data, first);
    ps_buf_append(&before, now.data + first + 8, last - first - 8);
    ps_buf_append(&before, now.data + last + 8, now.len - last - 8);
    ps_put_u64le(before.data, 1);
    ck_ok(ps_checkpoint_config_decode(ps_buf_slice(&before), &read));
    ck_assert(!read.plans[0].undecayed && !read.plans[1].undecayed);
    ck_assert_str_eq(read.plans[1].name, "b");
    ck_assert_uint_eq(read.plans[0].shape[1], 6);
    ps_checkpoint_config_free(&read);
    ps_put_u64le(before.data, 3);
    ck_assert_int_eq(ps_checkpoint_config_decode(ps_buf_slice(&before), &read), PS_CORRUPT);
    ps_buf_free(&now);
    ps_buf_free(&before);
}
END_TEST

static const ps_check_case cases[] = {{&a_configuration_of_before_is_read}, {0}};

int main(void)
{
    return ps_check_main("server/durable/checkpoint_config", cases);
}
