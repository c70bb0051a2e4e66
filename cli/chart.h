/* Charts as inline SVG. Colours come from the page's style sheet by class: "one", "two" for the
 * series, "grid", "axis" for what carries them, so that a dark page needs no second drawing. */
#ifndef TAMIS_CLI_CHART_H
#define TAMIS_CLI_CHART_H

#include "buffer.h"

/* A point with its letter and, where not NAN, its intervals. */
typedef struct cli_point {
    const char *name; /* shown when pointed at */
    double x, x_low, x_high, y, y_low, y_high;
    int series; /* 0 or 1 */
    char letter;
} cli_point;

/* Points that are not finite are left out. A dashed line marks x = mark. */
void cli_chart_scatter(cli_buffer *page, const cli_point *points, int count, const char *x_title,
                       const char *y_title, double mark);

/* A lying bar: its name on the left, its text on the right. */
typedef struct cli_bar {
    char name[96], text[64];
    double value, low, high; /* low, high: NAN for none */
    int series;
} cli_bar;

/* mark: a dashed line at that value; NAN for none. */
void cli_chart_bars(cli_buffer *page, const cli_bar *bars, int count, double mark);

/* Two standing bars side by side, for one layer. */
typedef struct cli_pair {
    const char *name;
    double one, two; /* NAN: no bar */
} cli_pair;

void cli_chart_pairs(cli_buffer *page, const cli_pair *pairs, int count, const char *y_title,
                     const char *one, const char *two);

#endif
