/* report.html: one page with all that the demo found, and nothing loaded from elsewhere. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chart.h"
#include "demo.h"
#include "table.h"

/* Both colour schemes by variables; figures take theirs from the classes that chart.c names. */
static const char style[] =
    ":root{color-scheme:light dark;--paper:#fff;--ink:#1c2430;--soft:#5b6675;--line:#d9dee5;"
    "--one:#2563b8;--two:#c2570c;--band:#f3f5f8}\n"
    "@media(prefers-color-scheme:dark){:root{--paper:#14181e;--ink:#e6e9ee;--soft:#9aa5b3;"
    "--line:#333b46;--one:#6ea8f0;--two:#f0975a;--band:#1d232b}}\n"
    "body{margin:0;background:var(--paper);color:var(--ink);"
    "font:16px/1.55 system-ui,sans-serif}\n"
    "main{max-width:920px;margin:0 auto;padding:32px 20px 64px}\n"
    "h1{font-size:1.7em;line-height:1.25;margin:0 0 .4em}\n"
    "h2{font-size:1.15em;margin:2.2em 0 .3em}\n"
    "p{margin:.4em 0 .8em;max-width:46em}.soft,figcaption{color:var(--soft);font-size:.88em}\n"
    ".warn{border-left:4px solid var(--two);background:var(--band);padding:.5em .9em}\n"
    "table{border-collapse:collapse;font-size:.86em;font-variant-numeric:tabular-nums;"
    "width:100%}\n"
    "th{font-weight:600;text-align:left;border-bottom:2px solid var(--line);vertical-align:bottom}"
    "td{border-bottom:1px solid var(--line)}th,td{padding:.35em .5em}\n"
    ".n{text-align:right}.n,td:nth-child(2){white-space:nowrap}.wide{overflow-x:auto}small{color:"
    "var(--soft)}\n"
    "tbody tr:nth-child(even){background:var(--band)}b.win{color:var(--one)}b.lose{color:var("
    "--two)}\n"
    "figure{margin:.6em 0 0}svg{width:100%;height:auto;display:block}\n"
    "svg text{fill:var(--ink);font:12.5px system-ui,sans-serif}"
    "svg text.small{font-size:9.5px}svg text.title{fill:var(--soft)}\n"
    ".grid{stroke:var(--line)}.mark{stroke:var(--soft);stroke-dasharray:5 4}"
    ".ink{stroke:var(--ink);stroke-width:1.5}.whisker{stroke-width:1.5;opacity:.55}\n"
    ".one{fill:var(--one);stroke:none}.two{fill:var(--two);stroke:none}"
    ".one .whisker{stroke:var(--one)}.two .whisker{stroke:var(--two)}\n"
    ".one text.letter{fill:var(--one)}.two text.letter{fill:var(--two)}"
    "svg text.letter{font-size:15px;font-weight:700}\n";

static void add_head(cli_buffer *page, const demo_state *demo) {
    cli_buffer_add(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
        "<title>tamis: a pruned encoder, judged and timed</title>\n<style>\n%s</style>\n"
        "</head>\n<body>\n<main>\n<h1>A sentence encoder, pruned: what it costs, what it "
        "gains</h1>\n<p>",
        style);
    cli_buffer_add_escaped(page, demo->model);
    cli_buffer_add(
        page,
        " was pruned in several ways, packed, and run. Speed is measured over all models "
        "in turns, in one process, on %lld texts, %d rounds. ",
        (long long)demo->text_count, (int)demo->rounds);
    if (demo->rows[0].result != NULL)
        cli_buffer_add(page,
                       "Accuracy is a reverse dictionary: %lld WordNet definitions look for their "
                       "word among %lld.",
                       (long long)demo->rows[0].report.queries,
                       (long long)demo->rows[0].report.candidates);
    else
        cli_buffer_add(page, "There was no WordNet: accuracy was not measured.");
    cli_buffer_add(page, "</p>\n<p class=\"soft\">");
    cli_buffer_add_escaped(page, demo->device);
    cli_buffer_add(page, ", %s, %d threads · %s · ", demo->isa,
                   (int)tms_context_threads(demo->session->context), demo->date);
    cli_buffer_add_escaped(page, demo->versions);
    cli_buffer_add(page, ", commit ");
    cli_buffer_add_escaped(page, demo->commit);
    cli_buffer_add(page, "</p>\n");
}

static void add_seed_warning(cli_buffer *page, const demo_state *demo) {
    if (demo_seed_text(demo) != NULL)
        cli_buffer_add(page, "<p class=\"warn\">%s</p>\n", demo_seed_text(demo));
}

static void add_share_cell(cli_buffer *page, bool is_there, const tms_share *share) {
    if (is_there)
        cli_buffer_add(page, "<td class=\"n\">%.1f <small>%.1f–%.1f</small></td>",
                       100.0 * share->value, 100.0 * share->low, 100.0 * share->high);
    else
        cli_buffer_add(page, "<td class=\"n\">–</td>");
}

/* A difference is claimed only where the intervals of the times do not touch. */
static const char *verdict(const demo_row *row, const demo_row *dense) {
    return row->us_max < dense->us_min ? "win" : row->us_min > dense->us_max ? "lose" : "";
}

static void add_row(cli_buffer *page, const demo_row *row, const demo_row *dense) {
    char pattern[DEMO_PATTERN_MAX], bytes[CLI_BYTES_TEXT];
    bool is_judged = row->result != NULL;

    demo_pattern_text(row, pattern);
    cli_buffer_add(page, "<tr><td><b>%c</b></td><td>%s</td><td>%s</td><td>%s</td>",
                   row->recipe->letter, pattern, demo_method_text(row), demo_layers_text(row));
    cli_buffer_add(page, "<td class=\"n\">%.1f %%</td><td class=\"n\">%s</td>", 100.0 * row->zeros,
                   cli_bytes(row->bytes, bytes));
    add_share_cell(page, is_judged, &row->report.recall1);
    add_share_cell(page, is_judged, &row->report.recall10);
    if (is_judged)
        cli_buffer_add(page, "<td class=\"n\">%.4f</td>", row->report.cosine);
    else
        cli_buffer_add(page, "<td class=\"n\">–</td>");
    cli_buffer_add(page,
                   "<td class=\"n\">%.0f</td><td class=\"n\"><b class=\"%s\">%.2f</b></td></tr>\n",
                   row->texts_per_second, verdict(row, dense), row->ratio);
}

static void add_table(cli_buffer *page, const demo_state *demo) {
    cli_buffer_add(page, "<h2>All rows</h2>\n");
    add_seed_warning(page, demo);
    cli_buffer_add(
        page, "<div class=\"wide\"><table>\n<thead><tr><th></th><th>pattern</th><th>method</th>"
              "<th>layers</th><th class=\"n\">zeros</th><th class=\"n\">bytes</th>"
              "<th class=\"n\">recall@1&nbsp;%%</th><th class=\"n\">recall@10&nbsp;%%</th>"
              "<th class=\"n\">cosine</th><th class=\"n\">texts/s</th>"
              "<th class=\"n\">× dense</th></tr></thead>\n<tbody>\n");
    for (int i = 0; i < DEMO_ROWS; i++)
        add_row(page, &demo->rows[i], &demo->rows[0]);
    cli_buffer_add(
        page, "</tbody></table></div>\n<p class=\"soft\">Small figures are 95 %% intervals. "
              "Zeros: share of the weights of all linear layers. Bytes: the safetensors file. "
              "Cosine: mean of the definitions' embeddings to the dense model's. FFN: the "
              "feed-forward layers alone. Row b has the weights of row e, multiplied zeros and "
              "all: zeros gain nothing by themselves. × dense in colour where the intervals of "
              "the times do not touch: <b class=\"win\">faster</b>, "
              "<b class=\"lose\">slower</b>.</p>\n");
}

static void add_scatter(cli_buffer *page, const demo_state *demo) {
    cli_point points[DEMO_ROWS];
    char names[DEMO_ROWS][DEMO_PATTERN_MAX];
    double dense_us = demo->rows[0].us;

    for (int i = 0; i < DEMO_ROWS; i++) {
        const demo_row *row = &demo->rows[i];

        demo_pattern_text(row, names[i]);
        points[i] = (cli_point){.letter = row->recipe->letter,
                                .name = names[i],
                                .x = row->ratio,
                                .x_low = dense_us / row->us_max,
                                .x_high = dense_us / row->us_min,
                                .y = 100.0 * row->report.recall10.value,
                                .y_low = 100.0 * row->report.recall10.low,
                                .y_high = 100.0 * row->report.recall10.high,
                                .series = row->recipe->method == TMS_METHOD_WANDA};
    }
    cli_buffer_add(page, "<h2>Accuracy against speed</h2>\n");
    add_seed_warning(page, demo);
    cli_buffer_add(page, "<figure>\n");
    cli_chart_scatter(page, points, DEMO_ROWS, "speed, × dense", "recall@10 in %", 1.0);
    cli_buffer_add(page, "<figcaption>Up and to the right is better. Letters are the table's rows; "
                         "blue by magnitude, orange by Wanda. Lines are 95 %% intervals; those of "
                         "recall are of each row by itself, the paired differences to dense are "
                         "narrower.</figcaption>\n</figure>\n");
}

static void name_bar(const demo_row *row, cli_bar *bar) {
    char pattern[DEMO_PATTERN_MAX];

    demo_pattern_text(row, pattern);
    if (row->recipe->pattern == NULL || row->recipe->kernels_of != NULL)
        snprintf(bar->name, sizeof bar->name, "%c  %s", row->recipe->letter, pattern);
    else
        snprintf(bar->name, sizeof bar->name, "%c  %s, %s, %s", row->recipe->letter, pattern,
                 demo_layers_text(row), demo_method_text(row));
    bar->series = row->recipe->method == TMS_METHOD_WANDA;
    bar->low = bar->high = NAN;
}

static void add_speed_bars(cli_buffer *page, const demo_state *demo) {
    cli_bar bars[DEMO_ROWS];

    for (int i = 0; i < DEMO_ROWS; i++) {
        const demo_row *row = &demo->rows[i];
        double texts = (double)demo->text_count * 1e6;

        name_bar(row, &bars[i]);
        bars[i].value = row->texts_per_second;
        bars[i].low = texts / row->us_max;
        bars[i].high = texts / row->us_min;
        snprintf(bars[i].text, sizeof bars[i].text, "%.0f (%.2f×)", row->texts_per_second,
                 row->ratio);
    }
    cli_buffer_add(page, "<h2>Texts a second</h2>\n");
    add_seed_warning(page, demo);
    cli_buffer_add(page, "<figure>\n");
    cli_chart_bars(page, bars, DEMO_ROWS, demo->rows[0].texts_per_second);
    cli_buffer_add(page,
                   "<figcaption>The dashed line is dense. Tokenizing, attention and norms are "
                   "in these times and do not shrink with the weights.</figcaption>\n"
                   "</figure>\n");
}

static void add_byte_bars(cli_buffer *page, const demo_state *demo) {
    cli_bar bars[DEMO_ROWS];

    for (int i = 0; i < DEMO_ROWS; i++) {
        const demo_row *row = &demo->rows[i];
        char bytes[CLI_BYTES_TEXT];

        name_bar(row, &bars[i]);
        bars[i].value = (double)row->bytes / 1e6;
        snprintf(bars[i].text, sizeof bars[i].text, "%s", cli_bytes(row->bytes, bytes));
    }
    cli_buffer_add(page, "<h2>Bytes</h2>\n<figure>\n");
    cli_chart_bars(page, bars, DEMO_ROWS, (double)demo->rows[0].bytes / 1e6);
    cli_buffer_add(page, "<figcaption>The whole file, with the embeddings of words, which stay "
                         "dense.</figcaption>\n</figure>\n");
}

/* "0.attention.self.query": what tells layers apart. */
static void short_name(const char *name, char *out, size_t bytes) {
    static const char head[] = "encoder.layer.", tail[] = ".weight";
    size_t length;

    if (strncmp(name, head, sizeof head - 1) == 0)
        name += sizeof head - 1;
    length = strlen(name);
    if (length >= sizeof tail && strcmp(name + length - (sizeof tail - 1), tail) == 0)
        length -= sizeof tail - 1;
    snprintf(out, bytes, "%.*s", (int)length, name);
}

typedef char pair_name[64];

/* Room for count pairs and their names; false where memory ran out, which the page then says. */
static bool make_pairs(cli_buffer *page, int64_t count, cli_pair **out_pairs,
                       pair_name **out_names) {
    *out_pairs = calloc((size_t)count + 1, sizeof **out_pairs);
    *out_names = calloc((size_t)count + 1, sizeof **out_names);
    if (*out_pairs != NULL && *out_names != NULL)
        return true;
    page->is_broken = true;
    return false;
}

static void add_layer_times(cli_buffer *page, const demo_state *demo) {
    cli_pair *pairs = NULL;
    pair_name *names = NULL;

    if (demo->layer_count > 0 && make_pairs(page, demo->layer_count, &pairs, &names)) {
        for (int32_t i = 0; i < demo->layer_count; i++) {
            short_name(demo->layers[i].name, names[i], sizeof names[i]);
            pairs[i] = (cli_pair){names[i], demo->layers[i].dense_us, demo->layers[i].sparse_us};
        }
        cli_buffer_add(page, "<h2>Time of each layer</h2>\n<figure>\n");
        cli_chart_pairs(page, pairs, demo->layer_count, "microseconds", "fastest dense", "2:4");
        cli_buffer_add(page,
                       "<figcaption>One product with %lld tokens, median of the rounds; fastest "
                       "dense is the better of our own kernel and OpenBLAS.</figcaption>\n"
                       "</figure>\n",
                       (long long)demo->tokens);
    }
    free(pairs);
    free(names);
}

/* The 2:4 rows on all layers, by either method. */
static const demo_row *find_all_layers(const demo_state *demo, tms_prune_method method) {
    for (int i = 0; i < DEMO_ROWS; i++) {
        const demo_row *row = &demo->rows[i];
        if (row->layers != NULL && !row->recipe->is_ffn && row->recipe->method == method &&
            strcmp(row->recipe->pattern, "2:4") == 0)
            return row;
    }
    return NULL;
}

static void add_layer_errors(cli_buffer *page, const demo_state *demo) {
    const demo_row *one = find_all_layers(demo, TMS_METHOD_MAGNITUDE);
    const demo_row *two = find_all_layers(demo, TMS_METHOD_WANDA);
    int64_t count = one != NULL ? tms_layer_table_count(one->layers) : 0;
    cli_pair *pairs = NULL;
    pair_name *names = NULL;

    if (two != NULL && tms_layer_table_count(two->layers) == count && count > 0 &&
        make_pairs(page, count, &pairs, &names)) {
        for (int64_t i = 0; i < count; i++) {
            const tms_layer_row *row = tms_layer_table_row(one->layers, i);

            short_name(row->name, names[i], sizeof names[i]);
            pairs[i] = (cli_pair){names[i], row->error, tms_layer_table_row(two->layers, i)->error};
        }
        cli_buffer_add(page, "<h2>Error of each layer</h2>\n");
        add_seed_warning(page, demo);
        cli_buffer_add(page, "<figure>\n");
        cli_chart_pairs(page, pairs, (int)count, "relative error", "magnitude (e)", "Wanda (f)");
        cli_buffer_add(page, "<figcaption>2:4 on all layers: how far the outputs of a layer moved "
                             "over the calibration texts, ‖X(W′−W)ᵀ‖ / ‖XWᵀ‖. Inputs are those of "
                             "the model pruned so far.</figcaption>\n</figure>\n");
    }
    free(pairs);
    free(names);
}

void demo_report(const demo_state *demo, cli_buffer *page) {
    add_head(page, demo);
    add_table(page, demo);
    if (demo->rows[0].result != NULL)
        add_scatter(page, demo);
    add_speed_bars(page, demo);
    add_byte_bars(page, demo);
    add_layer_times(page, demo);
    add_layer_errors(page, demo);
    cli_buffer_add(page, "</main>\n</body>\n</html>\n");
}
