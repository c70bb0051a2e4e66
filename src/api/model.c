#include "model/model.h"

#include <inttypes.h>

#include "api/arguments.h"

tms_status tms_model_open(tms_context *context, const char *path, const tms_model_desc *given,
                          tms_model **out_model) {
    tms_model_desc desc = tms_model_desc_default();
    tmsi_encoder_options options;
    tms_status status = TMS_OK;

    tmsi_enter(__func__);
    TMSI_NEED(context);
    TMSI_NEED(path);
    TMSI_NEED(out_model);
    if (given != NULL)
        TMS_TRY(tmsi_struct_read("desc", given, sizeof desc, &desc));
    if (desc.max_tokens != 0 && desc.max_tokens < 2)
        return tmsi_fail(TMS_ERR_INVALID,
                         "desc->max_tokens is %d, but must be 0 (256) or at least 2: [CLS] and "
                         "[SEP]",
                         desc.max_tokens);
    options = tmsi_model_options(&desc);
    TMS_TRY(tmsi_model_open(context, path, &options, desc.max_tokens, out_model));
done:
    return status;
}

void tms_model_close(tms_model *model) {
    tmsi_model_close(model);
}

tms_status tms_model_describe(const tms_model *model, tms_model_info *out_info) {
    tms_status status = TMS_OK;
    tms_model_info info;

    tmsi_enter(__func__);
    TMSI_NEED(model);
    TMS_TRY(tmsi_struct_check("out_info", out_info, sizeof info));
    tmsi_model_describe(model, &info);
    tmsi_struct_write(&info, out_info);
done:
    return status;
}

size_t tms_model_kernels(const tms_model *model, char *text, size_t text_bytes) {
    if (text == NULL)
        text_bytes = 0;
    if (text_bytes > 0)
        text[0] = '\0';
    return model != NULL ? tmsi_model_kernels(model, text, text_bytes) : 0;
}

tms_status tms_model_tokenize(const tms_model *model, const char *text, size_t text_bytes,
                              int32_t *out_ids, int64_t capacity, int64_t *out_count) {
    tmsi_enter(__func__);
    TMSI_NEED(model);
    TMSI_NEED(text);
    TMSI_NEED(out_count);
    if (capacity < 0 || (out_ids == NULL && capacity > 0))
        return tmsi_fail(TMS_ERR_INVALID,
                         "capacity is %" PRId64 " and out_ids %s, but there must be room for as "
                         "many ids, 0 or more",
                         capacity, out_ids == NULL ? "NULL" : "set");
    return tmsi_model_tokenize(model, text, text_bytes, out_ids, capacity, out_count);
}

tms_status tms_model_embed(tms_model *model, const char *const *texts, const size_t *lengths,
                           int64_t count, tms_progress progress, void *progress_user, float *out) {
    tmsi_enter(__func__);
    TMSI_NEED(model);
    if (count < 0)
        return tmsi_fail(TMS_ERR_INVALID, "count is %" PRId64 ", but must be 0 or more", count);
    if (count == 0)
        return TMS_OK;
    TMSI_NEED(texts);
    TMSI_NEED(lengths);
    TMSI_NEED(out);
    for (int64_t i = 0; i < count; i++)
        if (texts[i] == NULL)
            return tmsi_fail(TMS_ERR_INVALID, "texts[%" PRId64 "] is NULL", i);
    return tmsi_model_embed(model, texts, lengths, count, progress, progress_user, out);
}
