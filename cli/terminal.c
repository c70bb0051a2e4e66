#define _GNU_SOURCE
#include "terminal.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { REDRAW_MS = 100, SHOW_LEFT_MS = 1500, BAR_CELLS = 24, WIDTH_MAX = 200 };

static volatile sig_atomic_t is_interrupted;

/* The one bar of the process. */
static struct {
    bool is_shown;
    int64_t total; /* of the work that it shows; another total is another work */
    int64_t started_ms, drawn_ms;
} bar;

static void note_interrupt(int signal_number) {
    (void)signal_number;
    is_interrupted = 1;
}

/* Files are read through maps: where one is shortened meanwhile, reading past its new end raises
 * this. Nothing can be cleaned up from here. */
static void note_lost_file(int signal_number) {
    static const char sentence[] =
        "tamis: an input file was shortened, or its disk failed, while it was read\n";
    ssize_t written = write(STDERR_FILENO, sentence, sizeof sentence - 1);

    (void)signal_number, (void)written;
    _exit(1);
}

void cli_watch_interrupt(void) {
    struct sigaction action = {0};

    signal(SIGBUS, note_lost_file);

    action.sa_handler = note_interrupt; /* no SA_RESTART: a read from a terminal ends too */
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL); /* the terminal was closed */
}

bool cli_is_interrupted(void) {
    return is_interrupted != 0;
}

static int64_t now_ms(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int terminal_width(void) {
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return 80;
    return size.ws_col < WIDTH_MAX ? size.ws_col : WIDTH_MAX;
}

/* "[#####......]  42 %  0:17 left  encoder.layer.3..." cut to the terminal's width. */
static void draw(const char *what, int64_t done, int64_t total, int64_t now) {
    char line[WIDTH_MAX + 64], left[32] = "";
    double share = total > 0 ? (double)done / (double)total : 0.0;
    int64_t spent = now - bar.started_ms;
    int full = (int)(share * BAR_CELLS), used = 0;

    if (spent >= SHOW_LEFT_MS && done > 0) {
        int64_t seconds = (int64_t)((double)spent * (1.0 - share) / share / 1000.0 + 0.5);
        snprintf(left, sizeof left, "  %d:%02d left", (int)(seconds / 60), (int)(seconds % 60));
    }
    line[used++] = '[';
    for (int i = 0; i < BAR_CELLS; i++)
        line[used++] = i < full ? '#' : '.';
    used += snprintf(line + used, sizeof line - (size_t)used, "] %3d %%%s  ", (int)(share * 100.0),
                     left);
    for (int width = terminal_width() - 1; *what != '\0' && used < width; what++)
        line[used++] = (unsigned char)*what < 0x20 || *what == 0x7f ? '?' : *what;
    line[used] = '\0';
    fprintf(stderr, "\r%s\x1b[K", line);
    fflush(stderr);
}

int32_t cli_progress_step(void *user, const char *what, int64_t done, int64_t total) {
    int64_t now;

    (void)user;
    if (isatty(STDERR_FILENO)) {
        now = now_ms();
        if (!bar.is_shown || bar.total != total || done == 0) {
            bar.is_shown = true;
            bar.total = total;
            bar.started_ms = now;
            bar.drawn_ms = 0;
        }
        if (now - bar.drawn_ms >= REDRAW_MS || done == total) {
            draw(what != NULL ? what : "", done, total, now);
            bar.drawn_ms = now;
        }
    }
    return is_interrupted;
}

void cli_progress_clear(void) {
    if (bar.is_shown) {
        fputs("\r\x1b[K", stderr);
        fflush(stderr);
        bar.is_shown = false;
    }
}
