#include "cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "terminal.h"

enum { CLI_SENTENCE_BYTES = 20000 }; /* more than the library's longest and words around it */

/* Writes text with control characters as \x1b. Bytes of UTF-8 stay. */
static void put_visibly(FILE *file, const char *text) {
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++)
        if (*c < 0x20 || *c == 0x7f)
            fprintf(file, "\\x%02x", *c);
        else
            putc(*c, file);
}

void cli_put(const char *text) {
    put_visibly(stdout, text);
}

cli_exit cli_fail(cli_exit code, const char *format, ...) {
    char sentence[CLI_SENTENCE_BYTES];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    cli_progress_clear();
    fflush(stdout); /* so that what was printed before stands before it */
    fputs("tamis: ", stderr);
    put_visibly(stderr, sentence);
    putc('\n', stderr);
    return code;
}

const char *cli_sentence(tms_status status) {
    const char *sentence = tms_error_text();
    const char *colon = strstr(sentence, ": ");

    if (strncmp(sentence, "tms_", 4) == 0 && colon != NULL)
        sentence = colon + 2;
    return *sentence != '\0' ? sentence : tms_status_text(status);
}

cli_exit cli_fail_status(tms_status status) {
    if (status == TMS_ERR_CANCELLED && ferror(stdout))
        return CLI_FAILED; /* rows that nobody takes stop the work; cli_end says why */
    if (status == TMS_ERR_CANCELLED)
        return cli_fail(CLI_INTERRUPTED, "interrupted");
    return cli_fail(status == TMS_ERR_INVALID ? CLI_MISUSE : CLI_FAILED, "%s",
                    cli_sentence(status));
}

cli_exit cli_end(cli_session *session, cli_exit code) {
    cli_progress_clear();
    tms_context_destroy(session->context);
    session->context = NULL;
    /* A check that does not hold has its finding to print as well. */
    if ((fflush(stdout) != 0 || ferror(stdout)) && (code == CLI_GOOD || code == CLI_FAILED))
        return cli_fail(CLI_FAILED, "standard output was not written whole: %s", strerror(errno));
    return code;
}

/* Edits (insert, drop, replace a character) that turn a into b; words are short. */
static int distance(const char *a, const char *b) {
    enum { LONGEST = 31 };
    int row[LONGEST + 1], length_a = (int)strlen(a), length_b = (int)strlen(b);

    if (length_a > LONGEST || length_b > LONGEST)
        return LONGEST;
    for (int j = 0; j <= length_b; j++)
        row[j] = j;
    for (int i = 1; i <= length_a; i++) {
        int diagonal = row[0];

        row[0] = i;
        for (int j = 1; j <= length_b; j++) {
            int replace = diagonal + (a[i - 1] != b[j - 1]);
            int other = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;

            diagonal = row[j];
            row[j] = replace < other ? replace : other;
        }
    }
    return row[length_b];
}

const char *cli_nearest(const char *text, const char *const *words, int count) {
    const char *nearest = NULL;
    int least = 3; /* two edits are a slip, three another word */

    for (int i = 0; i < count; i++) {
        int edits = distance(text, words[i]);

        if (edits < least && edits < (int)strlen(words[i])) {
            least = edits;
            nearest = words[i];
        }
    }
    return nearest;
}
