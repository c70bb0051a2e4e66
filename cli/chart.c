#include "chart.h"

#include <math.h>
#include <stdio.h>

enum { CHART_WIDTH = 760 };

/* Round numbers from at most low to at least high. */
typedef struct scale {
    double low, high, step;
    double from, to; /* pixels of low and high */
} scale;

static scale make_scale(double low, double high, int ticks, double from, double to) {
    double raw = (high - low) / ticks, power, digit;
    scale s = {low, high, 1.0, from, to};

    if (!(raw > 0.0)) {
        raw = fabs(low) > 0.0 ? fabs(low) / ticks : 1.0 / ticks;
        s.high = low + raw * ticks;
    }
    power = pow(10.0, floor(log10(raw)));
    digit = raw / power;
    s.step = power * (digit <= 1.0 ? 1.0 : digit <= 2.0 ? 2.0 : digit <= 5.0 ? 5.0 : 10.0);
    s.low = floor(s.low / s.step + 1e-9) * s.step;
    s.high = ceil(s.high / s.step - 1e-9) * s.step;
    return s;
}

static double place(const scale *s, double value) {
    return s->from + (value - s->low) / (s->high - s->low) * (s->to - s->from);
}

static int tick_count(const scale *s) {
    return (int)((s->high - s->low) / s->step + 1.5);
}

/* Digits behind the point that a step needs. */
static int step_digits(double step) {
    int digits = (int)ceil(-log10(step) - 1e-9);
    return digits > 0 ? digits : 0;
}

static void open_svg(cli_buffer *page, int height, const char *label) {
    cli_buffer_add(page, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", CHART_WIDTH,
                   height);
    cli_buffer_add_escaped(page, label);
    cli_buffer_add(page, "\">\n");
}

static void add_line(cli_buffer *page, const char *class, double x1, double y1, double x2,
                     double y2) {
    cli_buffer_add(page, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
                   class, x1, y1, x2, y2);
}

static void add_text(cli_buffer *page, double x, double y, const char *anchor, const char *text) {
    cli_buffer_add(page, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
    cli_buffer_add_escaped(page, text);
    cli_buffer_add(page, "</text>\n");
}

static void add_tick_text(cli_buffer *page, double x, double y, const char *anchor, double value,
                          double step) {
    char text[32];

    snprintf(text, sizeof text, "%.*f", step_digits(step), value);
    add_text(page, x, y, anchor, text);
}

/* Grid lines across [left, right] at the ticks of a standing scale, with their numbers. */
static void add_y_axis(cli_buffer *page, const scale *s, double left, double right,
                       const char *title) {
    for (int i = 0; i < tick_count(s); i++) {
        double value = s->low + i * s->step, y = place(s, value);

        add_line(page, "grid", left, y, right, y);
        add_tick_text(page, left - 8, y + 4, "end", value, s->step);
    }
    cli_buffer_add(page,
                   "<text class=\"title\" transform=\"translate(14 %.1f) rotate(-90)\" "
                   "text-anchor=\"middle\">",
                   (s->from + s->to) / 2);
    cli_buffer_add_escaped(page, title);
    cli_buffer_add(page, "</text>\n");
}

static void add_x_axis(cli_buffer *page, const scale *s, double top, double bottom,
                       const char *title) {
    for (int i = 0; i < tick_count(s); i++) {
        double value = s->low + i * s->step, x = place(s, value);

        add_line(page, "grid", x, top, x, bottom);
        add_tick_text(page, x, bottom + 18, "middle", value, s->step);
    }
    cli_buffer_add(page, "<text class=\"title\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">",
                   (s->from + s->to) / 2, bottom + 40);
    cli_buffer_add_escaped(page, title);
    cli_buffer_add(page, "</text>\n");
}

static bool is_drawn(const cli_point *p) {
    return isfinite(p->x) && isfinite(p->y);
}

static void widen(double *low, double *high, double value) {
    if (isfinite(value)) {
        *low = value < *low ? value : *low;
        *high = value > *high ? value : *high;
    }
}

/* A dot where the point is, its letter to the left or right of it: neighbours in the list, which
 * often lie on one spot, take different sides. */
static void add_point(cli_buffer *page, const cli_point *p, bool is_left, const scale *xs,
                      const scale *ys) {
    double x = place(xs, p->x), y = place(ys, p->y);
    char letter[2] = {p->letter, '\0'};

    cli_buffer_add(page, "<g class=\"%s\"><title>", p->series == 0 ? "one" : "two");
    cli_buffer_add_escaped(page, p->name);
    cli_buffer_add(page, "</title>\n");
    if (isfinite(p->y_low) && isfinite(p->y_high))
        add_line(page, "whisker", x, place(ys, p->y_low), x, place(ys, p->y_high));
    if (isfinite(p->x_low) && isfinite(p->x_high))
        add_line(page, "whisker", place(xs, p->x_low), y, place(xs, p->x_high), y);
    cli_buffer_add(page,
                   "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\"/>\n"
                   "<text class=\"letter\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s"
                   "</text></g>\n",
                   x, y, is_left ? x - 13 : x + 13, y - 7, letter);
}

void cli_chart_scatter(cli_buffer *page, const cli_point *points, int count, const char *x_title,
                       const char *y_title, double mark) {
    enum { LEFT = 64, TOP = 16, RIGHT = CHART_WIDTH - 24, BOTTOM = 356, HEIGHT = 408 };
    double x_low = mark, x_high = mark, y_low = INFINITY, y_high = -INFINITY;
    scale xs, ys;

    for (int i = 0; i < count; i++)
        if (is_drawn(&points[i])) {
            widen(&x_low, &x_high, points[i].x);
            widen(&x_low, &x_high, points[i].x_low);
            widen(&x_low, &x_high, points[i].x_high);
            widen(&y_low, &y_high, points[i].y);
            widen(&y_low, &y_high, points[i].y_low);
            widen(&y_low, &y_high, points[i].y_high);
        }
    if (!(y_low <= y_high))
        return;
    xs = make_scale(x_low, x_high, 8, LEFT, RIGHT);
    ys = make_scale(y_low, y_high, 6, BOTTOM, TOP);
    open_svg(page, HEIGHT, y_title);
    add_y_axis(page, &ys, LEFT, RIGHT, y_title);
    add_x_axis(page, &xs, TOP, BOTTOM, x_title);
    add_line(page, "mark", place(&xs, mark), TOP, place(&xs, mark), BOTTOM);
    for (int i = 0; i < count; i++)
        if (is_drawn(&points[i]))
            add_point(page, &points[i], i % 2 == 0, &xs, &ys);
    cli_buffer_add(page, "</svg>\n");
}

void cli_chart_bars(cli_buffer *page, const cli_bar *bars, int count, double mark) {
    enum { LEFT = 286, RIGHT = CHART_WIDTH - 120, ROW = 26, TOP = 8 };
    double low = 0.0, high = isfinite(mark) ? mark : 0.0;
    scale s;

    for (int i = 0; i < count; i++) {
        widen(&low, &high, bars[i].value);
        widen(&low, &high, bars[i].high);
    }
    s = make_scale(low, high, 6, LEFT, RIGHT);
    open_svg(page, TOP + count * ROW + 8, "bars");
    for (int i = 0; i < count; i++) {
        const cli_bar *bar = &bars[i];
        double y = TOP + i * ROW, x = isfinite(bar->value) ? place(&s, bar->value) : LEFT;

        add_text(page, LEFT - 10, y + 16, "end", bar->name);
        cli_buffer_add(page,
                       "<g class=\"%s\"><rect x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" "
                       "rx=\"2\"/>",
                       bar->series == 0 ? "one" : "two", LEFT, y + 3, x - LEFT, ROW - 8);
        if (isfinite(bar->low) && isfinite(bar->high)) {
            add_line(page, "ink", place(&s, bar->low), y + 12, place(&s, bar->high), y + 12);
            x = place(&s, bar->high) > x ? place(&s, bar->high) : x;
        }
        cli_buffer_add(page, "</g>\n");
        add_text(page, x + 8, y + 16, "start", bar->text);
    }
    if (isfinite(mark))
        add_line(page, "mark", place(&s, mark), TOP, place(&s, mark), TOP + count * ROW);
    cli_buffer_add(page, "</svg>\n");
}

static void add_pair_bar(cli_buffer *page, const char *class, const scale *s, double x,
                         double width, double value, const char *name) {
    if (!isfinite(value))
        return;
    cli_buffer_add(page, "<g class=\"%s\"><title>", class);
    cli_buffer_add_escaped(page, name);
    cli_buffer_add(page,
                   ": %.4g</title><rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
                   "height=\"%.1f\"/></g>\n",
                   value, x, place(s, value), width, s->from - place(s, value));
}

static void add_key(cli_buffer *page, const char *class, double x, double y, const char *name) {
    cli_buffer_add(page,
                   "<g class=\"%s\"><rect x=\"%.1f\" y=\"%.1f\" width=\"12\" height=\"12\"/></g>\n",
                   class, x, y);
    add_text(page, x + 18, y + 10, "start", name);
}

void cli_chart_pairs(cli_buffer *page, const cli_pair *pairs, int count, const char *y_title,
                     const char *one, const char *two) {
    enum { LEFT = 64, TOP = 34, RIGHT = CHART_WIDTH - 8, BOTTOM = 234, HEIGHT = 380 };
    double cell = (double)(RIGHT - LEFT) / (count > 0 ? count : 1), width = cell * 0.4;
    double low = 0.0, high = 0.0;
    scale s;

    for (int i = 0; i < count; i++) {
        widen(&low, &high, pairs[i].one);
        widen(&low, &high, pairs[i].two);
    }
    s = make_scale(low, high, 5, BOTTOM, TOP);
    open_svg(page, HEIGHT, y_title);
    add_y_axis(page, &s, LEFT, RIGHT, y_title);
    add_key(page, "one", LEFT, 6, one);
    add_key(page, "two", LEFT + 330, 6, two);
    for (int i = 0; i < count; i++) {
        double x = LEFT + cell * (i + 0.08);

        add_pair_bar(page, "one", &s, x, width, pairs[i].one, pairs[i].name);
        add_pair_bar(page, "two", &s, x + width, width, pairs[i].two, pairs[i].name);
        cli_buffer_add(page,
                       "<text class=\"small\" transform=\"translate(%.1f %d) rotate(-60)\" "
                       "text-anchor=\"end\">",
                       x + width + 3, BOTTOM + 12);
        cli_buffer_add_escaped(page, pairs[i].name);
        cli_buffer_add(page, "</text>\n");
    }
    cli_buffer_add(page, "</svg>\n");
}
