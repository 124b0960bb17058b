/* The `redoubt` program: hardens the process, then hands over to a subcommand of server/cli.c's
 * table. */
#include "server/cli.h"

#include "crypto/tls.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* Secrets live in this memory: no core files, no debugger of the same user, nothing readable by
 * others. */
static void harden(void) {
    const struct rlimit none = {0, 0};

    (void)umask(077);
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    /* libcurl would write the keys of our connections into the file that it names. */
    (void)unsetenv("SSLKEYLOGFILE");
    (void)signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv) {
    harden();
    tls_global_init();
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    return cli_run(argc, argv);
}
