/* tamis: the command. It finds the subcommand and hands it the rest of the line. */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "terminal.h"

typedef struct command {
    const char *name, *summary;
    cli_exit (*run)(int argc, char **argv);
} command;

static const command commands[] = {
#define TMS_COMMAND(name, summary) {#name, summary, cli_##name},
#include "commands.def"
#undef TMS_COMMAND
};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void print_help(void) {
    puts("tamis takes a dense neural network to a sparse one that is really faster, and\n"
         "proves both: that it is faster, and what it cost in accuracy.\n\n"
         "usage: tamis COMMAND ...\n");
    for (int i = 0; i < COMMAND_COUNT; i++)
        printf("  %-9s %s\n", commands[i].name, commands[i].summary);
    puts("\n`tamis COMMAND --help` says more, with an example.\n\n"
         "IN and MODEL are a safetensors file, or a model folder (config.json beside it).\n"
         "Exit codes: 0 good, 1 failed or does not hold, 2 the command line is wrong,\n"
         "130 interrupted.");
}

static cli_exit refuse(const char *word) {
    const char *names[COMMAND_COUNT], *nearest;

    for (int i = 0; i < COMMAND_COUNT; i++)
        names[i] = commands[i].name;
    nearest = cli_nearest(word, names, COMMAND_COUNT);
    if (nearest != NULL)
        return cli_fail(CLI_MISUSE, "there is no command \"%s\"; did you mean \"%s\"?", word,
                        nearest);
    return cli_fail(CLI_MISUSE, "there is no command \"%s\"; `tamis --help` lists them", word);
}

/* OpenMP runtimes let a thread that waits for the others spin for milliseconds, unless the
 * environment says other when they are loaded. Where strangers share the cores the spinning starves
 * the very thread that is waited for: on two busy cores `tamis eval` took 189 s, and 21 s with a
 * short spin. So the command starts itself once more with that said, unless the user said
 * something. */
static void wait_briefly(char **argv) {
    if (getenv("OMP_WAIT_POLICY") != NULL || getenv("GOMP_SPINCOUNT") != NULL ||
        getenv("KMP_BLOCKTIME") != NULL)
        return;
    if (setenv("GOMP_SPINCOUNT", "500", 1) == 0 && setenv("KMP_BLOCKTIME", "0", 1) == 0)
        execv("/proc/self/exe", argv); /* on failure all goes on, only slower */
}

int main(int argc, char **argv) {
    cli_session none = {0};

    wait_briefly(argv);
    signal(SIGPIPE, SIG_IGN); /* a reader that went away is an error of writing, said in words */
    signal(SIGXFSZ, SIG_IGN); /* so is a file that passes the limit on its size */
    cli_watch_interrupt();
    if (argc < 2) {
        cli_fail(CLI_MISUSE, "which command? `tamis --help` lists them");
        return CLI_MISUSE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help();
        return cli_end(&none, CLI_GOOD);
    }
    if (strcmp(argv[1], "--version") == 0)
        argv[1] = "version";
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    return refuse(argv[1]);
}
