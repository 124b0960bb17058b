/* Sockets of this machine: at long paths too, private, one listener each, none left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/local_socket.h"

static char folder[64];
static char deep[256]; /* a folder whose path fits into no socket's address */

static int setup(void **state) {
    (void)snprintf(folder, sizeof(folder), "/tmp/redoubt-socket-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    (void)snprintf(deep, sizeof(deep), "%s/%0120d", folder, 1);
    return mkdir(deep, 0700);
}

static int teardown(void **state) {
    return rmdir(deep) != 0 || rmdir(folder) != 0;
}

static void talk(const char *path) {
    struct err err = {.message = ""};
    struct stat st;
    char got[8] = "";
    int listener = -1, client = -1, accepted;

    assert_int_equal(local_socket_listen(path, 4, &listener, &err), OK);
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(local_socket_connect(path, 2000, &client, &err), OK);
    accepted = accept(listener, NULL, NULL);
    assert_true(accepted >= 0);
    assert_true(local_socket_is_trusted(accepted));
    assert_int_equal(send(client, "hello", 5, MSG_NOSIGNAL), 5);
    assert_int_equal(recv(accepted, got, sizeof(got), 0), 5);
    assert_string_equal(got, "hello");
    (void)close(accepted);
    (void)close(client);
    (void)close(listener);
}

static void test_at_any_path(void **state) {
    char path[320];

    for (int i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof(path), "%s/admin.sock", i == 0 ? folder : deep);
        assert_true((strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) == (i == 1));
        talk(path);
        talk(path); /* what the first listener left behind is no hindrance */
        assert_int_equal(unlink(path), 0);
    }
}

static void test_what_is_in_the_way_stays(void **state) {
    struct err err = {.message = ""};
    char path[320];
    int listener = -1, second = -1, file;

    (void)snprintf(path, sizeof(path), "%s/admin.sock", folder);
    assert_int_equal(local_socket_listen(path, 4, &listener, &err), OK);
    assert_int_equal(local_socket_listen(path, 4, &second, &err), ERR_IO);
    assert_non_null(strstr(err.message, "another process listens"));
    (void)close(listener);
    assert_int_equal(unlink(path), 0);
    file = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    (void)close(file);
    assert_int_equal(local_socket_listen(path, 4, &listener, &err), ERR_IO);
    assert_int_equal(unlink(path), 0); /* it is still there */
}

static void test_nobody_there(void **state) {
    struct err err = {.message = ""};
    char path[320];
    int fd = -1;

    (void)snprintf(path, sizeof(path), "%s/admin.sock", folder);
    assert_int_equal(local_socket_connect(path, 2000, &fd, &err), ERR_UNAVAILABLE);
    assert_int_equal(local_socket_listen("/nowhere/at/all/admin.sock", 4, &fd, &err), ERR_IO);
}

static void test_a_pair_is_no_stranger(void **state) {
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_true(local_socket_is_trusted(fds[0]));
    (void)close(fds[0]);
    (void)close(fds[1]);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_false(local_socket_is_trusted(fds[0]));
    (void)close(fds[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_any_path),
        cmocka_unit_test(test_what_is_in_the_way_stays),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_a_pair_is_no_stranger),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
