/* Command lines by table: a subcommand lists its options once, and parsing, --help and the guess
 * behind a misspelt option all read that list. */
#ifndef TAMIS_CLI_OPTIONS_H
#define TAMIS_CLI_OPTIONS_H

#include "cli.h"

/* Reads a value into target; false after it has said what is wrong. */
typedef bool (*cli_taker)(const char *option, const char *text, void *target);

typedef struct cli_option {
    const char *name;   /* "--pattern" */
    const char *letter; /* "-p", or NULL */
    const char *value;  /* what help calls the value; NULL: a flag without one */
    cli_taker take;
    void *target;
    const char *help; /* lines after the first are indented by the printer */
} cli_option;

/* A list that an option or operand adds to; free with cli_texts_free. */
typedef struct cli_texts {
    const char **items; /* the items are argv's own */
    int32_t count;
} cli_texts;
typedef struct cli_patterns {
    tms_pattern *items;
    int32_t count;
} cli_patterns;
typedef struct cli_shapes {
    tms_shape *items;
    int32_t count;
} cli_shapes;
typedef struct cli_numbers {
    int64_t *items;
    int32_t count;
} cli_numbers;

/* All that --help says, and what parsing needs. */
typedef struct cli_page {
    const char *name;    /* "prune" */
    const char *usage;   /* "IN --pattern PATTERN -o OUT" */
    const char *about;   /* what it does; lines of at most 80 characters */
    const char *example; /* commands, a line each, indented by the printer */
    const cli_option *options;
    int option_count;
    cli_texts *operands; /* NULL: none are taken */
    int operands_min, operands_max;
} cli_page;

/* Reads TMS_THREADS, TMS_ISA, TMS_TUNING and TMS_CUBLASLT, then the command line, then opens the
 * session's context. CLI_GO_ON, or the code to exit with (help was printed, or a sentence). */
cli_exit cli_begin(const cli_page *page, int argc, char **argv, cli_session *session);

bool cli_take_flag(const char *option, const char *text, void *target);     /* int32_t */
bool cli_take_text(const char *option, const char *text, void *target);     /* const char * */
bool cli_take_texts(const char *option, const char *text, void *target);    /* cli_texts, adds */
bool cli_take_count(const char *option, const char *text, void *target);    /* int32_t, 1 .. 4096 */
bool cli_take_isa(const char *option, const char *text, void *target);      /* uint32_t mask */
bool cli_take_pattern(const char *option, const char *text, void *target);  /* tms_pattern */
bool cli_take_zeros(const char *option, const char *text, void *target);    /* not "dense" */
bool cli_take_patterns(const char *option, const char *text, void *target); /* cli_patterns, adds */
bool cli_take_norm(const char *option, const char *text, void *target);     /* tms_norm */
bool cli_take_format(const char *option, const char *text, void *target);   /* cli_format */
bool cli_take_shapes(const char *option, const char *text, void *target);   /* cli_shapes, adds */
bool cli_take_tokens(const char *option, const char *text, void *target);   /* cli_numbers, a,b,c */

bool cli_take_device(const char *option, const char *text, void *target);  /* cli_device */
bool cli_take_machine(const char *option, const char *text, void *target); /* ... or described */
bool cli_take_dtype(const char *option, const char *text, void *target);   /* cli_dtype */

typedef struct cli_dtype {
    int32_t is_given;
    tms_dtype dtype;
} cli_dtype;

typedef struct cli_format {
    int32_t is_given;
    tms_format format;
} cli_format;

#endif
