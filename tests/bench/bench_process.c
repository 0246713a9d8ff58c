/* bench_process.c - how long two commands take as processes, run by turns.
 *
 *   bench_process RUNS COMMAND_A [ARGUMENT...] -- COMMAND_B [ARGUMENT...]
 *
 * Prints one sample a run: process_ms and bare_process_ms.  What they print is dropped;
 * one that fails ends it. */
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

static double run_ms(char *const argv[])
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status = 0;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    int64_t began = bench_now_ns();
    int rc = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    if (rc != 0) bench_die(argv[0], strerror(rc));
    while (waitpid(pid, &status, 0) < 0) continue;
    double ms = (double)(bench_now_ns() - began) / 1e6;
    posix_spawn_file_actions_destroy(&actions);
    if (status != 0) bench_die(argv[0], "failed");
    return ms;
}

int main(int argc, char **argv)
{
    char **other = NULL;
    for (int i = 3; i < argc - 1 && !other; i++) {
        if (strcmp(argv[i], "--") == 0) {
            argv[i] = NULL;
            other = argv + i + 1;
        }
    }
    if (!other) bench_die("usage", "bench_process RUNS COMMAND_A ... -- COMMAND_B ...");
    int runs = bench_number(argv[1]);
    run_ms(argv + 2); /* warm */
    run_ms(other);
    for (int i = 0; i < runs; i++) {
        bench_sample("process_ms", run_ms(argv + 2));
        bench_sample("bare_process_ms", run_ms(other));
    }
    return 0;
}
