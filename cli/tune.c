#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "options.h"
#include "terminal.h"
#include "tuning.h"

static int32_t print_row(void *user, const tms_bench_row *row) {
    char text[4096];

    (void)user;
    if (tms_bench_row_print(row, text, sizeof text) < sizeof text)
        puts(text);
    return cli_is_interrupted() || fflush(stdout) != 0;
}

static int32_t count_row(void *user, const tms_bench_row *row) {
    (void)row;
    ++*(int64_t *)user;
    return cli_is_interrupted();
}

/* The folders above the default file, which a fresh home lacks. */
static void make_folders(char *path) {
    for (char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        mkdir(path, 0700); /* what cannot be made, the writer will say */
        *at = '/';
    }
}

static cli_exit run_tune(const cli_session *session, const cli_shapes *shapes, const char *out) {
    tms_tune_desc desc = tms_tune_desc_default();
    char path[CLI_PATH_MAX];
    int64_t times = 0;
    tms_status status;

    if (out == NULL) {
        if (!cli_tuning_path(path, sizeof path))
            return cli_fail(CLI_MISUSE, "neither XDG_CACHE_HOME nor HOME names a folder: where to "
                                        "write the table? -o FILE");
        make_folders(path);
        out = path;
    }
    desc.device = session->device.kind;
    desc.shapes = shapes->items;
    desc.shape_count = shapes->count;
    desc.out = out;
    desc.progress = cli_progress_step;
    status =
        tms_tune_run(session->context, &desc, session->is_json ? print_row : count_row, &times);
    cli_progress_clear();
    if (status != TMS_OK)
        return cli_fail_status(status);
    if (!session->is_json) {
        printf("%" PRId64 " times measured on ", times);
        cli_put(session->device.kind == TMS_DEVICE_CUDA ? tms_context_device_text(session->context)
                                                        : tms_context_cpu_name(session->context));
        printf("; the table is ");
        cli_put(out);
        printf("\n");
    }
    return CLI_GOOD;
}

cli_exit cli_tune(int argc, char **argv) {
    const char *out = NULL;
    cli_shapes shapes = {0};
    cli_session session = {.ignores_tuning = true};
    const cli_option options[] = {
        {"--device", "-d", "DEVICE", cli_take_device, &session.device,
         "cpu (the default), cuda or cuda:INDEX"},
        {"--shape", "-s", "T,K,N", cli_take_shapes, &shapes,
         "a product whose times the table shall hold besides,\nso that its kernel is the one that "
         "was fastest (may repeat)"},
        {"--output", "-o", "FILE", cli_take_text, &out,
         "the table (else the user's cache: docs/tuning.md)"},
    };
    const cli_page page = {
        .name = "tune",
        .usage = "[--device DEVICE] [--shape T,K,N] [-o FILE]",
        .about =
            "Measures the kernels of this machine over a grid of products, fits what their\n"
            "parts cost, and writes that as a table, by which every later command chooses\n"
            "kernels: the file that TMS_TUNING names, else the one in the user's cache. On a\n"
            "GPU that takes a minute; on a CPU, where the models are in the library, it\n"
            "takes some seconds and finds a factor for each kernel. What the file says of other\n"
            "machines stays. Nothing else should run meanwhile. docs/tuning.md\n"
            "explains the table; --json prints each measured time.",
        .example = "tamis tune --device cuda\n"
                   "tamis tune --device cuda --shape 64,4096,4096 -o h100.txt\n"
                   "TMS_TUNING=h100.txt tamis bench --device cuda --shape 64,4096,4096",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    cli_exit code = cli_begin(&page, argc, argv, &session);

    if (code == CLI_GO_ON)
        code = run_tune(&session, &shapes, out);
    free(shapes.items);
    return cli_end(&session, code);
}
