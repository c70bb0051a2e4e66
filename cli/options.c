#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tuning.h"

enum { SHARED_COUNT = 4, HELP_COLUMN = 24 };

/* What every subcommand takes beside its own. */
static void shared_options(cli_session *session, int32_t *is_help, cli_option out[SHARED_COUNT]) {
    const cli_option options[SHARED_COUNT] = {
        {"--json", NULL, NULL, cli_take_flag, &session->is_json, "print JSON, for machines"},
        {"--threads", NULL, "N", cli_take_count, &session->threads,
         "use at most N threads (else TMS_THREADS, else all cores)"},
        {"--isa", NULL, "LIST", cli_take_isa, &session->isa_mask,
         "hold kernels to these: none, or of avx2, avx512, sm80,\nsm90, cublaslt (else TMS_ISA, "
         "else all that there are)"},
        {"--help", "-h", NULL, cli_take_flag, is_help, "print this"},
    };
    memcpy(out, options, sizeof options);
}

/* Text line by line, each behind `indent` spaces; the first where the cursor stands. */
static void print_indented(const char *text, int indent) {
    for (; *text != '\0'; text++) {
        putchar(*text);
        if (*text == '\n')
            printf("%*s", indent, "");
    }
    putchar('\n');
}

static void print_options(const cli_option *options, int count) {
    for (int i = 0; i < count; i++) {
        const cli_option *o = &options[i];
        int used = printf("  %s%s%s%s%s", o->letter != NULL ? o->letter : "",
                          o->letter != NULL ? ", " : "", o->name, o->value != NULL ? " " : "",
                          o->value != NULL ? o->value : "");

        if (used >= HELP_COLUMN)
            printf("\n%*s", HELP_COLUMN, "");
        else
            printf("%*s", HELP_COLUMN - used, "");
        print_indented(o->help, HELP_COLUMN);
    }
}

static void print_help(const cli_page *page, const cli_option *shared) {
    printf("usage: tamis %s%s%s\n\n%s\n\n", page->name, *page->usage != '\0' ? " " : "",
           page->usage, page->about);
    print_options(page->options, page->option_count);
    print_options(shared, SHARED_COUNT);
    printf("\nexample:\n  ");
    print_indented(page->example, 2);
}

/* The option that begins with the word's name; *out_value is what follows "=", or NULL. */
static const cli_option *find_option(const cli_option *options, int count, const char *word,
                                     const char **out_value) {
    size_t length = strcspn(word, "=");

    for (int i = 0; i < count; i++) {
        const cli_option *o = &options[i];

        if (strlen(o->name) == length && strncmp(o->name, word, length) == 0) {
            *out_value = word[length] == '=' ? word + length + 1 : NULL;
            return o;
        }
        if (o->letter != NULL && strcmp(o->letter, word) == 0) {
            *out_value = NULL;
            return o;
        }
    }
    return NULL;
}

/* An option of the page or one that all share. */
static const cli_option *look_up(const cli_page *page, const cli_option *shared, const char *word,
                                 const char **out_value) {
    const cli_option *option = find_option(page->options, page->option_count, word, out_value);

    return option != NULL ? option : find_option(shared, SHARED_COUNT, word, out_value);
}

static cli_exit refuse_option(const cli_page *page, const cli_option *shared, const char *word) {
    const char *names[64], *nearest;
    char name[64];
    int count = 0;

    for (int i = 0; i < page->option_count; i++)
        names[count++] = page->options[i].name;
    for (int i = 0; i < SHARED_COUNT; i++)
        names[count++] = shared[i].name;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
    nearest = cli_nearest(name, names, count);
    if (nearest != NULL)
        return cli_fail(CLI_MISUSE, "%s has no option %s; did you mean %s?", page->name, name,
                        nearest);
    return cli_fail(CLI_MISUSE, "%s has no option %s; `tamis %s --help` lists them", page->name,
                    name, page->name);
}

/* Takes the option at argv[*at] and steps over its value. */
static cli_exit take_option(const cli_page *page, const cli_option *shared, int argc, char **argv,
                            int *at) {
    const char *value = NULL, *next;
    const cli_option *option = look_up(page, shared, argv[*at], &value);

    if (option == NULL)
        return refuse_option(page, shared, argv[*at]);
    if (option->value == NULL && value != NULL)
        return cli_fail(CLI_MISUSE, "%s takes no value, but was given \"%s\"", option->name, value);
    if (option->value != NULL && value == NULL) {
        if (*at + 1 >= argc)
            return cli_fail(CLI_MISUSE, "%s needs a value: %s %s", argv[*at], option->name,
                            option->value);
        if (look_up(page, shared, argv[*at + 1], &next) != NULL)
            return cli_fail(CLI_MISUSE,
                            "%s needs a value, but the option %s follows; %s=%s if that is it",
                            argv[*at], argv[*at + 1], option->name, argv[*at + 1]);
        value = argv[++*at];
    }
    return option->take(option->name, value, option->target) ? CLI_GO_ON : CLI_MISUSE;
}

static cli_exit read_environment(cli_session *session) {
    const char *threads = getenv("TMS_THREADS"), *isa = getenv("TMS_ISA");

    if (threads != NULL && *threads != '\0' &&
        !cli_take_count("TMS_THREADS", threads, &session->threads))
        return CLI_MISUSE;
    if (isa != NULL && *isa != '\0' && !cli_take_isa("TMS_ISA", isa, &session->isa_mask))
        return CLI_MISUSE;
    return CLI_GO_ON;
}

static cli_exit check_operands(const cli_page *page) {
    int count = page->operands != NULL ? page->operands->count : 0;

    if (count < page->operands_min)
        return cli_fail(CLI_MISUSE, "something is missing: tamis %s %s", page->name, page->usage);
    if (page->operands != NULL && count > page->operands_max)
        return cli_fail(CLI_MISUSE, "\"%s\" is one too many: tamis %s %s",
                        page->operands->items[page->operands_max], page->name, page->usage);
    return CLI_GO_ON;
}

static cli_exit read_line(const cli_page *page, const cli_option *shared, int argc, char **argv) {
    bool is_open = true; /* till "--", words with a dash are options */

    for (int at = 1; at < argc; at++) {
        if (is_open && strcmp(argv[at], "--") == 0) {
            is_open = false;
        } else if (is_open && argv[at][0] == '-' && argv[at][1] != '\0') {
            cli_exit code = take_option(page, shared, argc, argv, &at);
            if (code != CLI_GO_ON)
                return code;
        } else if (page->operands == NULL) {
            return cli_fail(CLI_MISUSE, "%s takes no \"%s\"", page->name, argv[at]);
        } else if (!cli_take_texts("", argv[at], page->operands)) {
            return CLI_MISUSE;
        }
    }
    return CLI_GO_ON;
}

static cli_exit open_context(cli_session *session) {
    tms_context_desc desc = tms_context_desc_default();
    const char *cublaslt = getenv("TMS_CUBLASLT");
    char path[CLI_PATH_MAX], *tuning = NULL;
    tms_status status;
    cli_exit code = CLI_GO_ON;

    if (!session->ignores_tuning)
        code = cli_tuning_load(&tuning, &desc.tuning_bytes, path, sizeof path);
    if (code != CLI_GO_ON)
        return code;
    desc.threads = session->threads;
    desc.isa_mask = session->isa_mask;
    /* A described GPU need not be there. */
    desc.device = session->device.machine == NULL ? session->device.kind : TMS_DEVICE_CPU;
    desc.device_index = session->device.index;
    desc.tuning = tuning;
    desc.cublaslt_path = cublaslt != NULL && *cublaslt != '\0' ? cublaslt : NULL;
    status = tms_context_create(&desc, &session->context);
    if (status == TMS_ERR_FORMAT)
        code =
            cli_fail(CLI_FAILED, "%s: %s (TMS_TUNING= does without)", path, cli_sentence(status));
    else if (status != TMS_OK)
        code = cli_fail_status(status);
    free(tuning);
    return code;
}

cli_exit cli_begin(const cli_page *page, int argc, char **argv, cli_session *session) {
    cli_option shared[SHARED_COUNT];
    int32_t is_help = 0;
    cli_exit code;

    shared_options(session, &is_help, shared);
    /* Help is given whatever else the line holds. */
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(page, shared);
            return CLI_GOOD;
        }
    code = read_environment(session);
    if (code == CLI_GO_ON)
        code = read_line(page, shared, argc, argv);
    if (code == CLI_GO_ON)
        code = check_operands(page);
    if (code != CLI_GO_ON)
        return code;
    return open_context(session);
}
