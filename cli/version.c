#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "json.h"
#include "options.h"

/* A context of the first GPU, or NULL and why there is none. */
static tms_context *open_gpu(const char **out_text) {
    tms_context_desc desc = tms_context_desc_default();
    const char *cublaslt = getenv("TMS_CUBLASLT");
    tms_context *gpu = NULL;
    tms_status status;

    desc.device = TMS_DEVICE_CUDA;
    desc.cublaslt_path = cublaslt != NULL && *cublaslt != '\0' ? cublaslt : NULL;
    status = tms_context_create(&desc, &gpu);
    *out_text = status == TMS_OK ? tms_context_device_text(gpu) : cli_sentence(status);
    return gpu;
}

/* What is known beside the GPU's name: null for machines where it is not. */
static cli_exit print_json(const tms_context *context, const tms_context *gpu) {
    return cli_json_print(json_pack(
        "{ss ss ss ss ss? ss? ss? si}", "version", tms_version_text(), "commit", tms_commit_text(),
        "cpu", tms_context_cpu_name(context), "isa", tms_context_isa_text(context), "gpu",
        gpu != NULL ? tms_context_device_text(gpu) : NULL, "driver",
        gpu != NULL ? tms_context_driver_text(gpu) : NULL, "cublaslt",
        gpu != NULL ? tms_context_cublaslt_text(gpu) : NULL, "threads",
        (int)tms_context_threads(context)));
}

static void print_line(const char *name, const char *text) {
    printf("%-8s ", name);
    cli_put(text);
    printf("\n");
}

static void print_text(const tms_context *context, const tms_context *gpu, const char *gpu_text) {
    printf("tamis %s\n", tms_version_text());
    print_line("commit", tms_commit_text());
    print_line("cpu", tms_context_cpu_name(context));
    print_line("isa", tms_context_isa_text(context));
    print_line("gpu", gpu_text);
    if (gpu != NULL) {
        print_line("driver", tms_context_driver_text(gpu));
        print_line("dense", tms_context_cublaslt_text(gpu));
    }
    printf("threads  %d\n", (int)tms_context_threads(context));
}

cli_exit cli_version(int argc, char **argv) {
    const cli_page page = {
        .name = "version",
        .usage = "",
        .about = "Prints the version and the commit it was built from, the CPU, the instruction\n"
                 "sets that kernels may use on it, the first GPU that kernels run on with its\n"
                 "driver and its dense library, and the threads.",
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
        code = print_json(session.context, gpu);
    else
        print_text(session.context, gpu, gpu_text);
    tms_context_destroy(gpu);
    return cli_end(&session, code == CLI_GO_ON ? CLI_GOOD : code);
}
