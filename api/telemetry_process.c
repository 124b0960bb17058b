/* The gauges of the process, from what Linux tells of it. */
#include "api/telemetry.h"
#include "base/world.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    PROC_TEXT = 1024,
    STAT_START = 22, /* field of /proc/self/stat, counted from 1 */
    STAT_STATE = 3,
    OWN_DESCRIPTORS = 1, /* that reading the folder takes */
    DOT_FOLDERS = 2,
};

/* False: not there, or empty. */
static bool read_file(const char *path, char out[PROC_TEXT]) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, out, PROC_TEXT - 1) : -1;

    if (fd >= 0) {
        (void)close(fd);
    }
    out[len > 0 ? len : 0] = '\0';
    return len > 0;
}

static void set_memory(void) {
    long page = sysconf(_SC_PAGESIZE);
    char text[PROC_TEXT];
    char *end;
    long size, resident;

    if (page > 0 && read_file("/proc/self/statm", text)) {
        size = strtol(text, &end, 10);
        resident = strtol(end, &end, 10);
        metric_set(METRIC_PROCESS_VIRTUAL, (int64_t)size * page);
        metric_set(METRIC_PROCESS_RESIDENT, (int64_t)resident * page);
    }
}

static void set_descriptors(void) {
    DIR *folder = opendir("/proc/self/fd");
    struct rlimit files;
    int64_t n = -DOT_FOLDERS - OWN_DESCRIPTORS;

    if (folder != NULL) {
        while (readdir(folder) != NULL) {
            n++;
        }
        (void)closedir(folder);
        metric_set(METRIC_PROCESS_FDS, n);
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        metric_set(METRIC_PROCESS_MAX_FDS, (int64_t)files.rlim_cur);
    }
}

static int64_t us_of(const struct timeval *time) {
    return (int64_t)time->tv_sec * 1000000 + time->tv_usec;
}

static void set_processor(void) {
    struct rusage usage;

    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        metric_set(METRIC_PROCESS_CPU, us_of(&usage.ru_utime) + us_of(&usage.ru_stime));
    }
}

static void set_threads(void) {
    struct stat st;

    if (stat("/proc/self/task", &st) == 0) {
        metric_set(METRIC_PROCESS_THREADS, (int64_t)st.st_nlink - DOT_FOLDERS);
    }
}

/* Ticks since the machine started; -1: not known. The name of the program, in parentheses, may
 * hold anything. */
static int64_t start_ticks(void) {
    char text[PROC_TEXT];
    char *at = read_file("/proc/self/stat", text) ? strrchr(text, ')') : NULL;

    for (int field = STAT_STATE - 1; at != NULL && field < STAT_START; field++) {
        at = strchr(at + 1, ' ');
    }
    return at != NULL ? strtol(at, NULL, 10) : -1;
}

void telemetry_process_start(void) {
    long hz = sysconf(_SC_CLK_TCK);
    int64_t ticks = start_ticks();
    struct timespec up;
    int64_t age_ms;

    if (hz > 0 && ticks >= 0 && clock_gettime(CLOCK_BOOTTIME, &up) == 0) {
        age_ms = (int64_t)up.tv_sec * 1000 + up.tv_nsec / 1000000 - ticks * 1000 / hz;
        metric_set(METRIC_PROCESS_START, world_wall_ms(world_system()) - age_ms);
    }
}

void telemetry_process(void) {
    set_memory();
    set_descriptors();
    set_processor();
    set_threads();
}
