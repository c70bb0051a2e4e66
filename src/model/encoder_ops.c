#define BODY(name) name
#include "model/encoder_ops_body.h"

#include "base/memory.h"
#include "base/threads.h"

static bool has_avx2(const tms_context *context) {
    return (context->hardware.isa & TMS_ISA_AVX2) != 0;
}

void tmsi_attention_run(const tms_context *context, tmsi_attention *attention) {
    tmsi_parallel_for(context, attention->texts->count * attention->heads,
                      has_avx2(context) ? tmsi_attention_task_avx2 : tmsi_attention_task,
                      attention);
}

void tmsi_norm_run(const tms_context *context, tmsi_norm *norm) {
    tmsi_parallel_for(context, tmsi_div_up(norm->tokens, TMSI_NORM_BAND),
                      has_avx2(context) ? tmsi_norm_task_avx2 : tmsi_norm_task, norm);
}
