#include <jansson.h>
#include <stdio.h>

#include "json.h"
#include "options.h"

cli_exit cli_version(int argc, char **argv) {
    const cli_page page = {
        .name = "version",
        .usage = "",
        .about = "Prints the version and the commit it was built from, the CPU, the instruction\n"
                 "sets that kernels may use on it, and the threads.",
        .example = "tamis version\nTMS_ISA=avx2 tamis version --json",
    };
    cli_session session = {0};
    cli_exit code = cli_begin(&page, argc, argv, &session);

    if (code != CLI_GO_ON)
        return code;
    if (session.is_json)
        code = cli_json_print(json_pack(
            "{ss ss ss ss si}", "version", tms_version_text(), "commit", tms_commit_text(), "cpu",
            tms_context_cpu_name(session.context), "isa", tms_context_isa_text(session.context),
            "threads", (int)tms_context_threads(session.context)));
    else {
        printf("tamis %s\ncommit   %s\ncpu      ", tms_version_text(), tms_commit_text());
        cli_put(tms_context_cpu_name(session.context));
        printf("\nisa      %s\nthreads  %d\n", tms_context_isa_text(session.context),
               (int)tms_context_threads(session.context));
        code = CLI_GOOD;
    }
    return cli_end(&session, code);
}
