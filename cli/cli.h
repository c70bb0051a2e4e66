/* What the subcommands share: exit codes, the session, sentences. The command sees the library
 * through tamis.h alone. */
#ifndef TAMIS_CLI_CLI_H
#define TAMIS_CLI_CLI_H

#include <stdbool.h>

#include "tamis.h"

/* Exit codes, documented in docs/command.md. CLI_GO_ON is none: the command line was good, the work
 * is still to be done. */
typedef enum cli_exit {
    CLI_GO_ON = -1,
    CLI_GOOD = 0,
    CLI_FAILED = 1, /* something failed, or a check does not hold */
    CLI_MISUSE = 2, /* the command line is wrong */
    CLI_INTERRUPTED = 130
} cli_exit;

/* Where Debian's wordnet-base puts WordNet. */
#define CLI_WORDNET_DIR "/usr/share/wordnet"

/* What a command measures on, or tells of: the CPU, a GPU of this machine, or one that is only
 * described. */
typedef struct cli_device {
    int32_t is_given;
    tms_device kind;
    int32_t index;       /* of a GPU */
    const char *machine; /* one that is only described, by its name; or NULL */
} cli_device;

/* One run of a subcommand: the context's numbers, and how to print. */
typedef struct cli_session {
    int32_t threads;   /* 0: all cores */
    uint32_t isa_mask; /* 0: all */
    int32_t is_json;
    cli_device device;
    bool ignores_tuning; /* the context knows the library's own table alone */
    tms_context *context;
} cli_session;

/* cli_inspect, cli_prune ...: arguments begin with the subcommand's own name. */
#define TMS_COMMAND(name, summary) cli_exit cli_##name(int argc, char **argv);
#include "commands.def"
#undef TMS_COMMAND

/* Ends a run: destroys the context, writes out what is still buffered, and turns a success into a
 * failure where standard output took it not (a full disk, a closed pipe). */
cli_exit cli_end(cli_session *session, cli_exit code);

/* "tamis: <sentence>" on standard error, control characters made visible. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
cli_exit
cli_fail(cli_exit code, const char *format, ...);

/* The library's sentence, without its function's name. */
const char *cli_sentence(tms_status status);
/* Prints it; the exit code is the one that the status asks for. */
cli_exit cli_fail_status(tms_status status);

/* Prints text with control characters made visible: names come from files that nobody vouches for.
 */
void cli_put(const char *text);

/* The one of the words that is nearest to text, or NULL where none is near. */
const char *cli_nearest(const char *text, const char *const *words, int count);

#endif
