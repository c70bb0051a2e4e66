#include <jansson.h>
#include <stdio.h>

#include "json.h"
#include "options.h"

/* A context of the first GPU, or NULL and why there is none. */
static tms_context *open_gpu(const char **out_text) {
    tms_context_desc desc = tms_context_desc_default();
    tms_context *gpu = NULL;
    tms_status status;

    desc.device = TMS_DEVICE_CUDA;
    status = tms_context_create(&desc, &gpu);
    *out_text = status == TMS_OK ? tms_context_device_text(gpu) : cli_sentence(status);
    return gpu;
}

cli_exit cli_version(int argc, char **argv) {
    const cli_page page = {
        .name = "version",
        .usage = "",
        .about = "Prints the version and the commit it was built from, the CPU, the instruction\n"
                 "sets that kernels may use on it, the first GPU that kernels run on, and the\n"
                 "threads.",
        .example = "tamis version\nTMS_ISA=avx2 tamis version --json",
    };
    cli_session session = {0};
    cli_exit code = cli_begin(&page, argc, argv, &session);
    const char *gpu_text;
    tms_context *gpu;

    if (code != CLI_GO_ON)
        return code;
    gpu = open_gpu(&gpu_text);
    if (session.is_json)
        code = cli_json_print(
            json_pack("{ss ss ss ss ss? si}", "version", tms_version_text(), "commit",
                      tms_commit_text(), "cpu", tms_context_cpu_name(session.context), "isa",
                      tms_context_isa_text(session.context), "gpu", gpu != NULL ? gpu_text : NULL,
                      "threads", (int)tms_context_threads(session.context)));
    else {
        printf("tamis %s\ncommit   %s\ncpu      ", tms_version_text(), tms_commit_text());
        cli_put(tms_context_cpu_name(session.context));
        printf("\nisa      %s\ngpu      ", tms_context_isa_text(session.context));
        cli_put(gpu_text);
        printf("\nthreads  %d\n", (int)tms_context_threads(session.context));
        code = CLI_GOOD;
    }
    tms_context_destroy(gpu);
    return cli_end(&session, code);
}
