/* The other end of NOTIFY_SOCKET is a datagram socket of this test. */
#include "common/base/notify.h"
#include "tests/lib/check_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int listen_as_systemd(void)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    /* abstract: nothing to clean up */
    int len = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "psd-test-%d", (int)getpid());
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&name,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)),
                     0);
    char text[120];
    snprintf(text, sizeof(text), "@%s", name.sun_path + 1);
    setenv("NOTIFY_SOCKET", text, 1);
    return fd;
}

static const char *received(int fd)
{
    static char text[512];
    ssize_t n = recv(fd, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = 0;
    return text;
}

START_TEST(states_arrive_as_systemd_reads_them)
{
    if (!ps_notify_built())
        return;
    int fd = listen_as_systemd();
    ps_notify_ready("cpu, 1 slot");
    ck_assert_str_eq(received(fd), "READY=1\nSTATUS=cpu, 1 slot");
    ps_notify_reloading();
    const char *reloading = received(fd);
    const char *time = "RELOADING=1\nMONOTONIC_USEC=";
    ck_assert(strncmp(reloading, time, strlen(time)) == 0);
    ck_assert_uint_gt(strtoull(reloading + strlen(time), NULL, 10), 0);
    ps_notify_ready(NULL);
    ck_assert_str_eq(received(fd), "READY=1");
    ps_notify_watchdog();
    ck_assert_str_eq(received(fd), "WATCHDOG=1");
    ps_notify_stopping();
    ck_assert_str_eq(received(fd), "STOPPING=1");
    close(fd);
}
END_TEST

START_TEST(a_status_cannot_smuggle_in_another_assignment)
{
    if (!ps_notify_built())
        return;
    int fd = listen_as_systemd();
    ps_notify_status("job %d\nMAINPID=1", 7);
    ck_assert_str_eq(received(fd), "STATUS=job 7 MAINPID=1");
    close(fd);
}
END_TEST

START_TEST(a_manager_that_does_not_read_holds_nothing_up)
{
    if (!ps_notify_built())
        return;
    int fd = listen_as_systemd();
    for (int i = 0; i < 1000; i++) {
        ps_notify_watchdog();
        ps_notify_status("round %d", i);
    }
    ck_assert_str_eq(received(fd), "WATCHDOG=1");
    ck_assert_str_eq(received(fd), "STATUS=round 0");
    close(fd);
}
END_TEST

START_TEST(the_watchdog_is_fed_twice_in_its_time)
{
    unsetenv("WATCHDOG_USEC");
    ck_assert_uint_eq(ps_notify_watchdog_ms(), 0);
    if (!ps_notify_built())
        return;
    char pid[16];
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    setenv("WATCHDOG_USEC", "30000000", 1);
    setenv("WATCHDOG_PID", pid, 1);
    ck_assert_uint_eq(ps_notify_watchdog_ms(), 15000);
    setenv("WATCHDOG_PID", "1", 1);
    ck_assert_uint_eq(ps_notify_watchdog_ms(), 0);
}
END_TEST

START_TEST(without_a_socket_nothing_happens)
{
    unsetenv("NOTIFY_SOCKET");
    ps_notify_ready("unheard");
    ps_notify_status("%s", "unheard");
}
END_TEST

static const ps_check_case tests[] = {{&states_arrive_as_systemd_reads_them},
                                      {&a_status_cannot_smuggle_in_another_assignment},
                                      {&a_manager_that_does_not_read_holds_nothing_up},
                                      {&the_watchdog_is_fed_twice_in_its_time},
                                      {&without_a_socket_nothing_happens},
                                      {0}};

int main(void)
{
    return ps_check_main("common/base/notify", tests);
}
