#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/dtype.h"
#include "bench.h"
#include "measure/rows.h"

static tms_bench_row row_of(const bench *self, const tmsi_row_frame *frame,
                            const bench_candidate *who) {
    const bench_product *p = &self->product;
    const bool is_dense = strcmp(who->who, "cublaslt") == 0;
    const tms_image *image = who->args.image != NULL ? who->args.image : &self->image;
    tms_bench_row row = frame->row;

    row.op = who->op != NULL ? who->op : "spmm";
    row.who = who->who;
    row.kernel = who->kernel;
    row.format = is_dense ? "dense" : "nm";
    row.pattern = is_dense ? "dense" : "2:4";
    row.sparsity = is_dense ? 0.0 : 0.5;
    row.dtype = tms_dtype_name(who->type);
    row.isa = "sm90";
    row.threads = -1;
    row.t = p->t;
    row.k = p->k;
    row.n = p->n;
    row.epilogue = who->epilogue;
    row.us = who->median.value;
    row.us_min = who->median.low;
    row.us_max = who->median.high;
    row.cycles = who->median_cycles.value > 0.0 ? who->median_cycles.value : NAN;
    row.rounds = self->options.rounds;
    row.bytes =
        is_dense ? p->n * p->k * (int64_t)tmsi_dtype_bytes(who->type) : (int64_t)image->bytes;
    row.device = tms_context_device_text(self->context);
    return row;
}

static void print(const tms_bench_row *row) {
    char text[2048];

    tms_bench_row_print(row, text, sizeof text);
    puts(text);
    fflush(stdout);
}

void bench_print_rows(const bench *self, const char *state) {
    double dense_us = NAN;
    tmsi_row_frame frame;

    tmsi_row_frame_fill(self->context, self->versions, &frame);
    for (int i = 0; i < self->count; i++)
        if (strcmp(self->candidates[i].who, "cublaslt") == 0 && !self->candidates[i].is_lost)
            dense_us = self->candidates[i].median.value;
    for (int i = 0; i < self->count; i++) {
        const bench_candidate *who = &self->candidates[i];
        tms_bench_row row = row_of(self, &frame, who);
        char label[32];

        if (who->is_lost)
            continue;
        snprintf(label, sizeof label, "y %s", tms_dtype_name(who->y_type));
        row.state = state;
        row.label = who->label != NULL ? who->label : label;
        row.ratio_dense = dense_us / row.us;
        print(&row);
    }
}
