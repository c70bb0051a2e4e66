/* The progress bar, and ctrl-C. */
#ifndef TAMIS_CLI_TERMINAL_H
#define TAMIS_CLI_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

/* From now on ctrl-C (and a polite kill) stops the work at its next step instead of the process
 * where it stands, so that nothing half-written stays behind. */
void cli_watch_interrupt(void);
bool cli_is_interrupted(void);

/* A tms_progress: draws the bar on a terminal, ten times a second at most, and asks the work to
 * stop once ctrl-C was pressed. user is not used. */
int32_t cli_progress_step(void *user, const char *what, int64_t done, int64_t total);

/* Wipes the bar, if one stands. */
void cli_progress_clear(void);

#endif
