/* Calls of all shapes over mTLS on loopback, server and client in one process. */
#include "tests/lib/check_main.h"
#include "tests/lib/echo_rig.h"

static echo_rig rig;

START_TEST(a_unary_call_is_answered)
{
    echo_rig_open(&rig, NULL);
    echo_rig_connect(&rig, NULL);
    Psd__Test__V1__Piece request = PSD__TEST__V1__PIECE__INIT, *reply = NULL;
    request.number = 7;
    request.text = (char *)(uintptr_t) "hello";
    ck_ok(echo_unary(&rig, &request, NULL, &reply));
    ck_assert_uint_eq(reply->number, 7);
    ck_assert_str_eq(reply->text, "hello");
    psd__test__v1__piece__free_unpacked(reply, NULL);
    ck_assert_str_eq(rig.states, "up;");
    echo_rig_close(&rig);
}
END_TEST

#define MIB (1u << 20)

static uint8_t piece_bytes[MIB];

static void upload_more(echo_call *c)
{
    uint64_t *left = c->user;
    while (*left > 0 && ps_call_writable(c->call)) {
        (*left)--;
        echo_send(c, *left, "", ps_slice_of(piece_bytes, sizeof piece_bytes));
    }
    if (*left == 0)
        ps_call_half_close(c->call);
}

START_TEST(a_hundred_megabytes_go_up_and_arrive_whole)
{
    echo_rig_open(&rig, NULL);
    echo_rig_connect(&rig, NULL);
    ps_test_echo_fill(3, piece_bytes, sizeof piece_bytes);
    uint64_t left = 100;
    echo_call c = {.on_writable = upload_more, .user = &left};
    echo_start(&rig, &c, ECHO_UPLOAD, NULL);
    upload_more(&c);
    echo_wait(&rig, &c);
    ck_assert_msg(c.status == PS_OK, "%s", c.message);
    ck_assert_uint_eq(c.sum->messages, 100);
    ck_assert_uint_eq(c.sum->bytes, 100ull * MIB);
    uint32_t crc = 0;
    for (int i = 0; i < 100; i++)
        crc = ps_test_crc32(crc, ps_slice_of(piece_bytes, sizeof piece_bytes));
    ck_assert_uint_eq(c.sum->crc, crc);
    echo_clear(&c);
    echo_rig_close(&rig);
}
END_TEST

START_TEST(a_hundred_megabytes_come_down_whole)
{
    echo_rig_open(&rig, NULL);
    echo_rig_connect(&rig, NULL);
    ps_test_echo_fill(0, piece_bytes, sizeof piece_bytes);
    echo_call c = {0};
    echo_start(&rig, &c, ECHO_DOWNLOAD, NULL);
    Psd__Test__V1__Ask ask = PSD__TEST__V1__ASK__INIT;
    ask.count = 100;
    ask.size = MIB;
    ps_call_send(c.call, &ask.base, NULL);
    ps_call_half_close(c.call);
    echo_wait(&rig, &c);
    ck_assert_msg(c.status == PS_OK, "%s", c.message);
    ck_assert_uint_eq(c.messages, 100);
    ck_assert_uint_eq(c.bytes, 100ull * MIB);
    uint32_t crc = 0;
    for (int i = 0; i < 100; i++)
        crc = ps_test_crc32(crc, ps_slice_of(piece_bytes, sizeof piece_bytes));
    ck_assert_uint_eq(c.crc, crc);
    echo_clear(&c);
    echo_rig_close(&rig);
}
END_TEST

static void talk_back(echo_call *c, const Psd__Test__V1__Piece *piece)
{
    uint64_t *said = c->user;
    ck_assert_uint_eq(piece->number, *said);
    if (++*said == 50)
        ps_call_half_close(c->call);
    else
        echo_send(c, *said, "again", (ps_slice){0});
}

START_TEST(both_sides_talk_in_turn)
{
    echo_rig_open(&rig, NULL);
    echo_rig_connect(&rig, NULL);
    uint64_t said = 0;
    echo_call c = {.on_message = talk_back, .user = &said};
    echo_start(&rig, &c, ECHO_TALK, NULL);
    echo_send(&c, 0, "hello", (ps_slice){0});
    echo_wait(&rig, &c);
    ck_assert_msg(c.status == PS_OK, "%s", c.message);
    ck_assert_uint_eq(c.messages, 50);
    echo_clear(&c);
    echo_rig_close(&rig);
}
END_TEST

/* Of limits that are larger than any window; one of these ends a byte or two before the first
 * window does, where nothing of the next message says how much of it is to come. */
START_TEST(messages_that_fill_the_window_are_followed_by_others)
{
    enum { HEADS = 32 };
    ps_rpc_limits limits = PS_RPC_LIMITS_DEFAULT;
    limits.call_bytes = 16ull << 30;
    limits.connection_bytes = limits.memory_bytes = 64ull << 30;
    echo_rig_open(&rig, &limits);
    echo_rig_connect(&rig, NULL);
    for (size_t less = 0; less < HEADS; less++) {
        echo_call c = {0};
        echo_start(&rig, &c, ECHO_UPLOAD, &(ps_call_options){.deadline_ms = 20000});
        echo_send(&c, 1, "", ps_slice_of(piece_bytes, sizeof piece_bytes - less));
        echo_send(&c, 2, "", ps_slice_of(piece_bytes, sizeof piece_bytes));
        ps_call_half_close(c.call);
        echo_wait(&rig, &c);
        ck_assert_msg(c.status == PS_OK, "%zu: %s", less, c.message);
        echo_clear(&c);
    }
    echo_rig_close(&rig);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_unary_call_is_answered},
    {&a_hundred_megabytes_go_up_and_arrive_whole, 60},
    {&a_hundred_megabytes_come_down_whole, 60},
    {&both_sides_talk_in_turn},
    {&messages_that_fill_the_window_are_followed_by_others, 60},
    {0},
};

int main(void)
{
    return ps_check_main("transport/rpc_calls", cases);
}
